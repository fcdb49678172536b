"""Noise layers: distributions, streams, and what they leave alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nbdl_standard.layers.alpha_dropout import SATURATION
from nbdl_standard.layers.gaussian_noise import normal

import nbdl
from nbdl import Layer, Sequential
from nbdl.errors import ConfigError
from nbdl.layers import AlphaDropout, Dense, Dropout, GaussianDropout, GaussianNoise
from nbdl.testing.probe import Probe, forced
from nbdl.testing.units import layer_backward, layer_forward

NOISE: list[Callable[[], Layer]] = [lambda: GaussianNoise(0.4), lambda: GaussianDropout(0.3), lambda: AlphaDropout(0.2)]
LAST = 1.0 - 2.0**-24  # the largest number below 1 that is drawn


def drawn(layer: Layer, x: np.ndarray, seed: int = 1, step: int = 1, how: str = "compiled") -> np.ndarray:
    """y in training."""
    return Probe("noise", layer_forward(layer), [x]).run(how, seed=seed, first_step=step).output


def moments(values: np.ndarray) -> tuple[float, ...]:
    """Mean, variance, skewness and kurtosis."""
    values = values.astype(np.float64).ravel()
    mean, deviation = values.mean(), values.std()
    standard = (values - mean) / deviation
    return mean, deviation**2, (standard**3).mean(), (standard**4).mean()


def gaussian(values: np.ndarray, mean: float, variance: float) -> bool:
    """Whether a sample's moments are within five standard errors of a normal distribution's."""
    wanted, count = (mean, variance, 0.0, 3.0), values.size
    errors = (math.sqrt(variance / count), variance * math.sqrt(2 / count), math.sqrt(6 / count), math.sqrt(24 / count))
    return all(abs(found - one) < 5 * error for found, one, error in zip(moments(values), wanted, errors, strict=True))


# -- distributions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [2, 100])
def test_noise_is_normal(features: int) -> None:
    x = np.full((400_000 // features, features), 3.0, np.float32)
    assert gaussian(drawn(GaussianNoise(0.5), x) - 3.0, 0.0, 0.25)
    assert gaussian(drawn(GaussianDropout(0.2), x), 3.0, 9.0 * 0.2 / 0.8)


def test_numbers_that_are_not_normal_would_be_noticed() -> None:
    uniform = np.random.default_rng(1).uniform(-1.0, 1.0, 400_000) * math.sqrt(3.0)
    assert not gaussian(uniform, 0.0, 1.0)
    assert not gaussian(0.99 * np.random.default_rng(1).normal(size=400_000), 0.0, 1.0)


def test_tails_are_there_and_neighbours_are_apart() -> None:
    values = drawn(GaussianNoise(1.0), np.zeros((10_000, 100), np.float32)).astype(np.float64)
    beyond = (np.abs(values) > 3.0).mean()
    assert abs(beyond - 0.0026998) < 5 * math.sqrt(0.0027 / values.size)
    for one, other in ((values[:, :-1], values[:, 1:]), (values[:-1], values[1:]), (values[:, :50], values[:, 50:])):
        assert abs((one * other).mean()) < 5 / math.sqrt(one.size)


def test_no_draw_gives_infinity() -> None:
    for u in (0.0, 2.0**-24, 0.5, LAST):
        for v in (0.0, 0.25, 0.5, LAST):
            assert math.isfinite(normal(u, v))
    assert normal(0.0, 0.3) == 0.0
    assert abs(normal(LAST, 0.0) - math.sqrt(48 * math.log(2))) < 1e-6


def test_compiled_normal_numbers_are_exact_to_float32() -> None:
    u, v = np.meshgrid(np.append(np.linspace(0.0, LAST, 301), 2.0**-24), np.linspace(0.0, LAST, 301))
    pairs = [np.float32(one).reshape(-1, 1) for one in (u, v)]
    found = Probe("normal", lambda r, t: r.map(normal, *t), pairs).run("compiled").output
    wanted = np.sqrt(-2.0 * np.log1p(-pairs[0].astype(np.float64))) * np.cos(2 * np.pi * pairs[1].astype(np.float64))
    assert np.abs(found - wanted).max() < 3e-6


# -- what is drawn ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", NOISE)
def test_the_same_seed_and_step_draw_the_same_and_others_differ(make: Callable[[], Layer]) -> None:
    x = np.random.default_rng(3).normal(size=(300, 40)).astype(np.float32)
    first = drawn(make(), x)
    assert np.array_equal(drawn(make(), x), first)
    with forced("tiles"):
        assert np.array_equal(drawn(make(), x), first)
    for other in (drawn(make(), x, seed=2), drawn(make(), x, step=2)):
        assert not np.isclose(other, first, atol=1e-3).all(axis=1).any()


@pytest.mark.parametrize("make", NOISE)
def test_a_gpu_draws_the_same(make: Callable[[], Layer]) -> None:
    x = np.random.default_rng(3).normal(size=(5, 7)).astype(np.float32)
    assert np.allclose(drawn(make(), x, how="cuda"), drawn(make(), x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", NOISE)
def test_the_gradient_is_that_of_what_was_drawn(make: Callable[[], Layer]) -> None:
    """These layers are straight lines of each x: y(x + 1) - y(x)."""
    x = np.random.default_rng(4).normal(size=(50, 6)).astype(np.float32)
    ones, layer = np.ones_like(x), make()
    dx = Probe("backward", layer_backward(layer, []), [x, ones]).run(seed=1).output
    assert np.allclose(dx, drawn(layer, x + 1) - drawn(layer, x), atol=1e-5)


@pytest.mark.parametrize("make", NOISE)
def test_after_training_nothing_is_drawn(make: Callable[[], Layer]) -> None:
    x = np.random.default_rng(5).normal(size=(20, 3)).astype(np.float32)
    model = Sequential([make(), make()], seed=1)
    assert np.array_equal(model.predict(x), x)
    assert np.array_equal(model.as_njit()(x), x)


def test_each_layer_and_each_step_draws_anew() -> None:
    model = Sequential([Dense(3, input_dim=2), GaussianNoise(0.3), GaussianDropout(0.3), GaussianNoise(0.1)], seed=7)
    model.compile(nbdl.optimizers.SGD(0.0), "mse")  # weights stay
    x = np.ones((8, 2), np.float32)
    losses = model.fit(x, np.zeros((8, 3)), batch_size=8, epochs=5, verbose=0).history["loss"]
    assert len(set(losses)) == 5
    again = Sequential.from_config(model.get_config())
    again.compile(nbdl.optimizers.SGD(0.0), "mse")
    assert again.fit(x, np.zeros((8, 3)), batch_size=8, epochs=5, verbose=0).history["loss"] == losses


# -- alpha dropout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.2, 0.5])
def test_alpha_dropout_keeps_mean_0_and_variance_1(rate: float) -> None:
    x = np.random.default_rng(6).normal(size=(4000, 100)).astype(np.float32)
    mean, variance, *_ = moments(drawn(AlphaDropout(rate), x))
    assert abs(mean) < 0.01
    assert abs(variance - 1.0) < 0.02


def test_dropout_does_not() -> None:
    x = np.random.default_rng(6).normal(size=(4000, 100)).astype(np.float32)
    assert abs(moments(drawn(Dropout(0.2), x))[1] - 1.0) > 0.2


def test_alpha_dropout_drops_to_the_saturation_value() -> None:
    """Keras's formula: a·(x·m + α'·(1 - m)) + b."""
    x, rate = np.random.default_rng(7).normal(size=(200, 50)).astype(np.float32), 0.3
    a = ((1 - rate) * (1 + rate * SATURATION**2)) ** -0.5
    b = -a * SATURATION * rate
    y = drawn(AlphaDropout(rate), x)
    dropped = np.isclose(y, a * SATURATION + b, atol=1e-6)
    assert abs(dropped.mean() - rate) < 0.03
    assert np.allclose(y[~dropped], (a * x + b)[~dropped], atol=1e-6)


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: GaussianNoise(-0.1), "0 or more"),
        (lambda: GaussianNoise(math.nan), "0 or more"),
        (lambda: GaussianDropout(1.0), "0 <= rate < 1"),
        (lambda: AlphaDropout(-0.5), "0 <= rate < 1"),
    ],
)
def test_rates_out_of_range_are_refused(wrong: Callable[[], Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        wrong()


def test_a_seed_of_their_own_is_not_used() -> None:
    with pytest.warns(UserWarning, match=r"seed=1 is not used.*Sequential\(seed=\.\.\.\)"):
        GaussianNoise(0.1, seed=1)  # type: ignore[call-arg]


def test_older_spellings() -> None:
    assert GaussianNoise(sigma=0.2).stddev == 0.2  # type: ignore[call-arg]
    assert GaussianDropout(p=0.2).rate == 0.2  # type: ignore[call-arg]
