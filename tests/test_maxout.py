"""MaxoutDense: its special cases, ties, layouts, and where such nets go."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Sequential, load_model
from nbdl.errors import ConfigError
from nbdl.layers import Activation, Dense, MaxoutDense

RNG = np.random.default_rng(8)
X = RNG.normal(size=(30, 5)).astype(np.float32)
Y = np.abs(X[:, :1]) - np.maximum(X[:, 1:2], 0)
COMPILER = shutil.which("gcc") or shutil.which("cc")


def net(*layers: Any, optimizer: Any = "sgd") -> Sequential:
    model = Sequential([*layers, Dense(1)], seed=3)
    model.build(X.shape[1:])
    model.compile(optimizer, "mse")
    return model


def held_at_zero(model: Sequential) -> None:
    """Make piece 1 zero."""
    kernel, bias, *others = model.get_weights()
    model.set_weights([0 * kernel, 0 * bias, *others])


def test_relu_is_a_special_case_and_trains_alike() -> None:
    maxout = net(MaxoutDense(6, nb_feature=2))
    held_at_zero(maxout)
    relu = net(Dense(6), Activation("relu"))
    relu.set_weights(maxout.get_weights()[2:])
    for start in range(0, 30, 10):
        assert np.array_equal(maxout.predict(X), relu.predict(X))
        for model in (maxout, relu):
            model.fit(X[start : start + 10], Y[start : start + 10], batch_size=10, verbose=0)
        held_at_zero(maxout)  # the piece would learn, too
    for one, other in zip(maxout.get_weights()[2:], relu.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(relu.predict(X), net(Dense(6), Activation("relu")).predict(X))


def test_the_absolute_value_is_a_special_case() -> None:
    model = Sequential([MaxoutDense(6, nb_feature=2, use_bias=False, input_dim=5)], seed=1)
    kernel = model.get_weights()[0]
    model.set_weights([kernel, -kernel])
    linear = Sequential([Dense(6, use_bias=False, input_dim=5)])
    linear.set_weights([kernel])
    assert np.array_equal(model.predict(X), np.abs(linear.predict(X)))


def test_one_piece_is_dense_with_the_same_first_values() -> None:
    maxout, dense = (Sequential([layer], seed=4) for layer in (MaxoutDense(3, 1, input_dim=5), Dense(3, input_dim=5)))
    assert np.array_equal(maxout.predict(X), dense.predict(X))


def test_pieces_differ_and_have_the_fans_of_one() -> None:
    pieces = Sequential([MaxoutDense(300, 4, input_dim=200)], seed=1).get_weights()[::2]
    limit = np.sqrt(6 / 500)
    for piece in pieces:
        assert 0.98 * limit < np.abs(piece).max() <= limit
    for one, other in itertools.combinations(pieces, 2):
        assert not np.array_equal(one, other)


def test_the_first_largest_piece_gets_the_gradient() -> None:
    model = net(MaxoutDense(2, nb_feature=3, use_bias=False))
    kernel = model.get_weights()[0]
    model.set_weights([kernel, kernel, kernel, *model.get_weights()[3:]])
    model.fit(X, Y, batch_size=30, verbose=0)
    first, second, third = model.get_weights()[:3]
    assert not np.array_equal(first, kernel)
    assert np.array_equal(second, kernel)
    assert np.array_equal(third, kernel)


def test_keras_1_weights_and_spellings() -> None:
    w, b = RNG.normal(size=(4, 5, 2)), RNG.normal(size=(4, 2))
    layer = MaxoutDense(output_dim=2, init="zeros", W_regularizer="l2", input_dim=5)  # type: ignore[call-arg]
    model = Sequential([layer])
    assert layer.units == 2
    assert not np.any(model.predict(X))
    model.set_weights([array for piece in zip(w, b, strict=True) for array in piece])
    wanted = np.max(np.einsum("ri,kio->kro", X, w) + b[:, None], axis=0)
    assert np.allclose(model.predict(X), wanted, atol=1e-5)


def test_it_learns_what_relu_cannot_with_so_few_units() -> None:
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    model = Sequential([MaxoutDense(1, nb_feature=6, input_dim=1)], seed=1)
    model.compile(nbdl.optimizers.Adam(0.05), "mse")
    loss = model.fit(x, x * x, batch_size=64, epochs=500, verbose=0).history["loss"][-1]
    assert loss < 1e-3  # a parabola by six lines


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_it_goes_wherever_nets_go(pieces: int, tmp_path: Path) -> None:
    def made() -> Sequential:
        return net(MaxoutDense(4, pieces, kernel_regularizer="l2"), optimizer="adam")

    whole, half = made(), made()
    whole.fit(X, Y, batch_size=8, epochs=4, verbose=0)
    half.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    half.save(tmp_path / "half.nbdl")
    half = load_model(tmp_path / "half.nbdl")
    half.fit(X, Y, batch_size=8, epochs=4, initial_epoch=2, verbose=0)
    for one, other in zip(whole.get_weights(), half.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert np.allclose(whole.as_njit()(X), whole.predict(X), atol=1e-6)
    if COMPILER is not None:
        source, program = tmp_path / "net.c", tmp_path / "net"
        whole.export(source)
        subprocess.run([COMPILER, "-O2", "-DNBDL_TEST", str(source), "-o", str(program), "-lm"], check=True)
        subprocess.run([str(program)], check=True, capture_output=True)


@pytest.mark.parametrize("arguments", [{"units": 0}, {"units": 2, "nb_feature": 0}, {"units": 2, "nb_feature": 1.5}])
def test_sizes_are_positive_integers(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="integer"):
        MaxoutDense(**arguments)


def test_more_axes_must_be_flattened() -> None:
    with pytest.raises(ConfigError, match="Flatten"):
        Sequential([MaxoutDense(2, input_shape=(2, 3))]).build()
