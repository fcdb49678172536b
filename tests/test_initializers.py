"""Initializers: distributions, plain and cut, their scale by fan in and fan out, the same bits anywhere."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from nbdl import Sequential
from nbdl.engine import random
from nbdl.errors import ConfigError
from nbdl.initializers import Identity, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling
from nbdl.layers import Dense
from nbdl.units.random import RandomStream, fans
from nbdl.units.registry import registry

SHAPE = (300, 200)
CUT = 0.87962566103423978  # the deviation left of a normal distribution cut at two of its own


def drawn(given: Any, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.asarray(registry.make("initializers", given)(shape, RandomStream(5, 6)), np.float64)


def truncated(deviation: float) -> Any:
    """The distribution with that deviation before the cut."""
    return stats.truncnorm(-2.0, 2.0, scale=deviation)


def uniform(limit: float) -> Any:
    return stats.uniform(-limit, 2.0 * limit)


DISTRIBUTIONS = [
    ("glorot_normal", truncated(math.sqrt(2 / 500) / CUT)),
    ("he_normal", truncated(math.sqrt(2 / 300) / CUT)),
    ("lecun_normal", truncated(math.sqrt(1 / 300) / CUT)),
    ("glorot_uniform", uniform(math.sqrt(6 / 500))),
    ("he_uniform", uniform(math.sqrt(6 / 300))),
    ("lecun_uniform", uniform(math.sqrt(3 / 300))),
    ("uniform", uniform(0.05)),
    ("normal", stats.norm(0.0, 0.05)),
    ("truncated_normal", truncated(0.05)),
    (VarianceScaling(2.0, "fan_out", "untruncated_normal"), stats.norm(0.0, math.sqrt(2 / 200))),
    (VarianceScaling(0.5, "fan_avg", "uniform"), uniform(math.sqrt(1.5 / 250))),
    (VarianceScaling(mode="fan_out", distribution="normal"), truncated(math.sqrt(1 / 200) / CUT)),
]


@pytest.mark.parametrize(("given", "distribution"), DISTRIBUTIONS)
def test_distributions(given: Any, distribution: Any) -> None:
    values = drawn(given).reshape(-1)
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-4
    assert stats.kstest(1.05 * values, distribution.cdf).pvalue < 1e-4


def test_plain_and_cut_normal_numbers_are_told_apart() -> None:
    plain, cut = drawn("random_normal") / 0.05, drawn("truncated_normal") / 0.05
    assert np.abs(plain).max() > 3.5
    assert 1.99 < np.abs(cut).max() <= 2.0 + 1e-6
    assert plain.std() == pytest.approx(1.0, rel=0.01)
    assert cut.std() == pytest.approx(CUT, rel=0.01)
    scaled = drawn("he_normal")
    assert scaled.std() == pytest.approx(math.sqrt(2 / 300), rel=0.01), "the scale is that after the cut"


def test_the_quantile_of_the_normal_distribution() -> None:
    q = np.linspace(-random.WITHIN_TWO, random.WITHIN_TWO, 2001)[1:-1]
    q = q[q != 0.0]
    found = q * random._polynomial(random.QUANTILE_ABOVE, q * q) / random._polynomial(random.QUANTILE_BELOW, q * q)
    np.testing.assert_allclose(found, special.ndtri(0.5 + q), rtol=3e-9)


def test_cut_normal_numbers_have_the_same_bits_on_any_machine() -> None:
    values = RandomStream(3, 4).truncated_normal((64, 33), 0.0, 0.05)
    assert hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()[:16] == "4203148daece1fc4"
    assert values.tobytes() != RandomStream(3, 5).truncated_normal((64, 33), 0.0, 0.05).tobytes()
    for shape in ((), (0,), (1,), (2, 3, 4)):
        assert RandomStream(3, 4).truncated_normal(shape, 0.0, 0.05).shape == shape


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((), (1, 1)), ((7,), (7, 7)), ((3, 5), (3, 5)), ((2, 3, 5), (6, 10)), ((2, 4, 3, 5), (24, 40))],
)
def test_fans(shape: tuple[int, ...], wanted: tuple[int, int]) -> None:
    assert fans(shape) == wanted
    if len(shape) > 1:
        limit = float(np.abs(drawn(VarianceScaling(3.0, "fan_in", "uniform"), (*shape[:-2], 300, 200))).max())
        assert limit == pytest.approx(3.0 / math.sqrt(300 * math.prod(shape[:-2])), rel=0.01)


def test_scaled_uniform_numbers_have_the_limits_of_their_formulas_to_the_last_bit() -> None:
    for name, limit in (("glorot_uniform", math.sqrt(6.0 / 20)), ("he_uniform", math.sqrt(6.0 / 7))):
        found = registry.make("initializers", name)((7, 13), RandomStream(1, 2))
        np.testing.assert_array_equal(found, RandomStream(1, 2).uniform((7, 13), -limit, limit))


# -- matrices --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 25), (25, 40), (30, 30), (2, 5, 4)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = drawn(Orthogonal(gain=1.5), shape).reshape(-1, shape[-1])
    short = matrix if len(matrix) <= shape[-1] else matrix.T
    np.testing.assert_allclose(short @ short.T, 2.25 * np.eye(len(short)), atol=1e-6)


def test_orthogonal_matrices_are_spread_evenly() -> None:
    """Without the signs of R's diagonal, LAPACK's would prefer one half of them."""
    first = [Orthogonal()((3, 3), RandomStream(seed, 0))[0, 0] for seed in range(300)]
    assert stats.kstest(first, stats.uniform(-1, 2).cdf).pvalue > 1e-4  # a coordinate of a point on the sphere


def test_identity() -> None:
    np.testing.assert_array_equal(drawn(Identity(0.5), (2, 3)), [[0.5, 0, 0], [0, 0.5, 0]])
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    model = Sequential([Dense(3, kernel_initializer="identity", input_dim=3)])
    np.testing.assert_array_equal(model.predict(x), x)


# -- names and arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("one", "ones"), ("zero", "zeros"), ("normal", "random_normal"), ("uniform", "random_uniform"),
        ("GlorotNormal", "glorot_normal"), ("LecunUniform", "lecun_uniform"), ("Orthogonal", "orthogonal"),
        ("VarianceScaling", "variance_scaling"), ("IdentityInitializer", "identity"),
        ("OrthogonalInitializer", "orthogonal"), ("TruncatedNormal", "truncated_normal"), ("Constant", "constant"),
    ],
)  # fmt: skip
def test_names_as_users_write_them(written: str, name: str) -> None:
    assert registry.get("initializers", written).name == name


def test_arguments_of_keras_1() -> None:
    assert RandomNormal(scale=0.1).stddev == TruncatedNormal(scale=0.1).stddev == 0.1
    assert Orthogonal(scale=1.1).gain == Identity(scale=1.1).gain == 1.1
    model = Sequential([Dense(200, init="lecun_normal", input_dim=300)], seed=1)
    model.build()
    assert np.asarray(model.get_weights()[0]).std() == pytest.approx(math.sqrt(1 / 300), rel=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VarianceScaling(0.0), "scale is a number above 0, got 0.0"),
        (lambda: VarianceScaling(mode="fan"), "mode is one of fan_in, fan_out, fan_avg, got 'fan'"),
        (lambda: VarianceScaling(distribution="gauss"), "distribution is one of truncated_normal"),
        (lambda: RandomUniform(1.0, 0.0), "minval is at most maxval"),
        (lambda: RandomNormal(stddev=-1.0), "RandomNormal: stddev is not negative"),
        (lambda: drawn("orthogonal", (7,)), r"two axes or more, this one has shape \(7,\)"),
        (lambda: drawn("identity", (2, 3, 4)), r"Identity is for matrices, this weight has shape \(2, 3, 4\)"),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
