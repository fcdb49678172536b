"""Normalising layers: Keras's numbers step by step, moving statistics, adapted statistics, and where such nets go."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nbdl_standard.layers import batch_normalization

import nbdl
from nbdl import Layer, Sequential, load_model
from nbdl.engine.store import Weight
from nbdl.errors import ConfigError, DataError
from nbdl.layers import (
    BatchNormalization,
    Dense,
    Flatten,
    LayerNormalization,
    Normalization,
    Rescaling,
    RMSNormalization,
    UnitNormalization,
)
from nbdl.testing.probe import Probe
from nbdl.testing.units import layer_backward, layer_forward, with_values
from nbdl.units.builder import Builder

RNG = np.random.default_rng(5)
X = RNG.normal(2.0, 3.0, size=(40, 6)).astype(np.float32)
Y = np.tanh(X[:, :1] - X[:, 1:2]).astype(np.float32)
COMPILER = shutil.which("gcc") or shutil.which("cc")


# -- Keras's numbers ----------------------------------------------------------------------------------------


def filled(shape: tuple[int, ...], start: float) -> np.ndarray:
    """Values that are not random, so that Keras can be given the same."""
    size = int(np.prod(shape))
    return (0.6 * np.sin(1.7 * np.arange(size) + start)).reshape(shape).astype(np.float32)


MODELS: dict[str, Callable[[], list[Layer]]] = {
    "batch": lambda: [
        Dense(3, input_dim=2),
        BatchNormalization(momentum=0.9, epsilon=0.01),
        Dense(1),
    ],
    "batch, frozen": lambda: [Dense(3, input_dim=2), BatchNormalization(trainable=False), Dense(1)],
    "batch, two axes": lambda: [BatchNormalization(momentum=0.8, input_shape=(2, 2)), Flatten(), Dense(1)],
    "batch, bare": lambda: [Dense(3, input_dim=2), BatchNormalization(center=False, scale=False), Dense(1)],
    "layer": lambda: [Dense(3, input_dim=2), LayerNormalization(), Dense(1)],
    "rms": lambda: [Dense(3, input_dim=2), RMSNormalization(), Dense(1)],
    "unit": lambda: [Dense(3, input_dim=2), UnitNormalization(), Dense(1)],
}
# Keras 3.15 on JAX: predictions, all weights after three steps of SGD on 3, 3 and 1 rows, predictions after them.
NUMBERS: dict[str, tuple[list[float], ...]] = {
    "batch": (
        [-0.2088648, -0.1598698, -0.2700574, -0.1059941, -0.3130388, -0.07676113, -0.326582],
        [-0.03567982, 0.5976354, -0.1557552, -0.5580622, 0.2903479, 0.4784667, 0.5048826, 0.2564279, -0.5709612,
         0.5518095, -0.2809007, -0.4642534, 0.1049674, -0.6564443, 0.06572478, -0.1827963, -0.1204132, 0.2095717,
         0.3307489, 0.9781978, 1.114659, -0.1971342, 0.6318204, 0.0243796, 0.2892053],
        [-0.315289, -0.3128164, -0.3847796, -0.2481044, -0.4404158, -0.2052383, -0.4676653],
    ),
    "batch, frozen": (
        [-0.2100507, -0.161956, -0.2716725, -0.10762, -0.315115, -0.07795584, -0.3290308],
        [0.00621761, 0.6058312, -0.1515724, -0.5608413, 0.2865368, 0.4776384, 0.5019556, 0.2573651, -0.5693115,
         0.5455785, -0.3179017, -0.4636587, 0.084672, -0.5999539, 0.06992953, -0.4540815, -0.3304113, 0.5392249,
         0.4246454, 1.24291, 1.512759, -0.213662, 0.6133985, -0.01064337, 0.3758991],
        [-0.2703839, -0.2687835, -0.3466241, -0.1977122, -0.4078071, -0.1504803, -0.4379516],
    ),
    "batch, two axes": (
        [-1.115048, -0.9047254, -0.6172894, -0.327819, -0.1119254, -0.0260011, -0.09248999],
        [-0.2279764, 0.4725884, 0.5052963, 0.2325874, 0.3154318, -0.1510333, 0.7986197, 0.628927, -0.4007926,
         -0.1545615, 0.6186386, 0.08031368, -0.4404564],
        [-0.3450605, -0.1660843, -0.03170165, 0.02298588, -0.01630631, -0.139315, -0.3139096],
    ),
    "batch, bare": (
        [-0.683844, -0.9775515, -1.018063, -0.6460228, -1.324887, -0.3842778, -1.524172],
        [-0.396944, 0.5876085, -0.09303001, -0.5647404, 0.3110142, 0.5031961, 0.5048826, 0.2564279, -0.5709612,
         0.5410892, -0.2958124, -0.4687465, 1.054986, 0.3963949, 1.039678, -0.302815, -0.3050379, 0.1941587,
         -0.3789167],
        [-0.5986786, -0.640829, -0.7384181, -0.5075698, -0.8563482, -0.4127999, -0.9216648],
    ),
    "layer": (
        [0.1212445, -0.5041472, 0.09073937, -0.591218, 0.001242697, -0.6738269, -0.1187474],
        [0.03447881, 0.5248438, -0.1176484, -0.5619515, 0.2966913, 0.4853315, 0.5318097, 0.2694156, -0.6108761,
         0.5186555, -0.2496971, -0.373821, 0.09575012, -0.5732784, 0.03239856, -0.4220879, -0.2368728, 0.4467894,
         -0.6276682],
        [-0.1661864, -0.6522784, -0.2193428, -0.6951035, -0.3127697, -0.7247651, -0.4125996],
    ),
    "rms": (
        [-0.1319972, -0.4526307, -0.1182705, -0.5192806, -0.141641, -0.5843325, -0.1964248],
        [-0.01290503, 0.5512559, -0.15075, -0.5527562, 0.2928617, 0.4832453, 0.5250871, 0.2791508, -0.5894641,
         0.5415011, -0.2451187, -0.4560789, 0.09660881, -0.5614429, 0.06515566, -0.4235765],
        [-0.190843, -0.3811212, -0.1738357, -0.422657, -0.1832478, -0.4581038, -0.2166464],
    ),
    "unit": (
        [-0.2376314, 0.8605143, 0.009629004, 0.8666193, 0.2728474, 0.841038, 0.5024754],
        [-0.02864364, 0.6656654, -0.142891, -0.5237923, 0.273187, 0.453395, 0.4855598, 0.3010396, -0.5631344,
         0.3474844, -0.3247307, -0.2638048, -0.2180913],
        [-0.5398494, 0.2884021, -0.4103109, 0.3199355, -0.2555179, 0.3245442, -0.09291545],
    ),
}  # fmt: skip


def stepped(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `NUMBERS` holds, by nbdl."""
    model = Sequential(MODELS[name]())
    model.set_weights(
        [filled(w.tensor.shape, n) + ("variance" in w.name) for n, w in enumerate(model.weights)]  # variances above 0
    )
    shape = model.input_shape
    assert shape is not None
    x, y = 2 * filled((7, *shape), 0.3), filled((7, 1), 0.7)
    model.compile(nbdl.optimizers.SGD(0.1), "mse")
    before = model.predict(x)
    for start, end in ((0, 3), (3, 6), (6, 7)):
        model.fit(x[start:end], y[start:end], batch_size=3, shuffle=False, verbose=0)
    weights = np.concatenate([weight.ravel() for weight in model.get_weights()])
    return before.ravel(), weights, model.predict(x).ravel()


def off(name: str) -> float:
    """How far nbdl is from Keras's numbers."""
    return max(float(np.abs(a - b).max()) for a, b in zip(stepped(name), NUMBERS[name], strict=True))


@pytest.mark.parametrize("name", NUMBERS)
def test_three_steps_are_kerass(name: str) -> None:
    assert off(name) < 5e-6


def test_an_unbiased_variance_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unbiased(total: float, rows: float, others: float) -> float:
        return total / max(rows * others - 1.0, 1.0)

    monkeypatch.setattr(batch_normalization, "mean_of", unbiased)
    assert off("batch") > 1e-3


def test_forgetting_that_statistics_follow_x_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(dy: float, x: float, m: float, inverse: float, gamma: float, mean_dy: float, slope: float) -> float:
        return inverse * dy * gamma + 0.0 * (x + m + mean_dy + slope)

    monkeypatch.setattr(batch_normalization, "input_gradient", without)
    assert off("batch") > 1e-3


# -- batches ------------------------------------------------------------------------------------------------


def net(*layers: Layer, optimizer: Any = "adam") -> Sequential:
    model = Sequential([Dense(8, input_dim=6), *layers, Dense(1)], seed=2)
    model.compile(optimizer, "mse")
    return model


def test_a_large_mean_does_not_swamp_the_variance() -> None:
    """Σx²/n - μ² would leave nothing of it in float32."""
    x = (4096.0 + RNG.normal(size=(256, 2))).astype(np.float32)
    model = Sequential([BatchNormalization(momentum=0.0, input_dim=2), Dense(1)], seed=1)
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((256, 1)), batch_size=256, verbose=0)
    mean, variance = model.layers[0].get_weights()[2:]
    assert np.allclose(mean, x.mean(axis=0, dtype=np.float64), rtol=1e-6)
    assert np.allclose(variance, x.var(axis=0, dtype=np.float64), rtol=1e-4)


def test_a_batch_of_one_row_is_its_own_mean() -> None:
    layer = BatchNormalization(momentum=0.5)
    model = net(layer)
    model.fit(X[:1], Y[:1], batch_size=1, verbose=0)
    assert np.array_equal(layer.get_weights()[3], np.full(8, 0.5, np.float32))  # the variance is 0
    assert np.isfinite(model.predict(X)).all()


def test_a_frozen_layer_moves_nothing_and_uses_what_it_has() -> None:
    layer = BatchNormalization()
    model = net(layer)
    model.fit(X, Y, batch_size=8, verbose=0)
    kept = layer.get_weights()
    layer.trainable = False
    model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(kept, layer.get_weights(), strict=True))
    whole = model.evaluate(X, Y)
    one = model.fit(X, Y, batch_size=40, verbose=0)  # in training mode the loss would be that of the batch's statistics
    assert np.isclose(one.history["loss"][0], whole, rtol=1e-6)
    layer.trainable = True
    model.fit(X, Y, batch_size=8, verbose=0)
    assert not any(np.array_equal(a, b) for a, b in zip(kept, layer.get_weights(), strict=True))


@pytest.mark.parametrize("how", ["compiled", "python", "cuda"])
def test_rows_of_zeros_stay_zeros(how: str) -> None:
    x = X[:3].copy()
    x[1] = 0.0
    for layer in (UnitNormalization(), RMSNormalization(), LayerNormalization()):
        weights: list[Weight] = []
        layer.build(Builder(layer, weights), (6,))
        probe = with_values(Probe("zeros", layer_backward(layer, weights), [x, np.ones_like(x)], weights))
        assert np.isfinite(probe.run(how).output).all()
        probe = with_values(Probe("zeros", layer_forward(layer), [x], weights))
        assert not probe.run(how).output[1].any()


def test_a_layer_used_twice_moves_its_statistics_twice() -> None:
    layer, x = BatchNormalization(momentum=0.5, center=False, scale=False, input_dim=6), X[:20]
    model = Sequential([layer, Rescaling(3.0, 1.0), layer, Dense(1)], seed=1)
    model.compile("sgd", "mse")
    model.fit(x, Y[:20], batch_size=20, verbose=0)
    first = x.mean(axis=0, dtype=np.float64)
    assert np.allclose(layer.get_weights()[0], 0.5 * (0.5 * first) + 0.5 * 1.0, atol=1e-5)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_step_that_diverges_leaves_the_statistics_alone(device: str) -> None:
    model = net(BatchNormalization())
    model.device = device
    model.set_weights([model.get_weights()[0] * 1e38, *model.get_weights()[1:]])  # infinities, and their difference
    before = model.get_weights()
    with pytest.raises(nbdl.errors.NbdlError, match="weights are those from before"):
        model.fit(X[:8], Y[:8], batch_size=8, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


# -- wherever nets go ---------------------------------------------------------------------------------------

LAYERS: dict[str, Callable[[], list[Layer]]] = {
    "batch": lambda: [BatchNormalization(momentum=0.7), LayerNormalization()],
    "rows": lambda: [RMSNormalization(), UnitNormalization(), Rescaling(0.5, 0.1)],
    "data": lambda: [Normalization(mean=0.5, variance=2.0)],
}


@pytest.mark.parametrize("which", LAYERS)
def test_stopping_loading_and_going_on_gives_the_same_bits(which: str, tmp_path: Path) -> None:
    whole, half = net(*LAYERS[which]()), net(*LAYERS[which]())
    whole.fit(X, Y, batch_size=8, epochs=4, verbose=0)
    half.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    half.save(tmp_path / "half.nbdl")
    half = load_model(tmp_path / "half.nbdl")
    half.fit(X, Y, batch_size=8, epochs=4, initial_epoch=2, verbose=0)
    for one, other in zip(whole.get_weights(), half.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(whole.predict(X), half.predict(X))


@pytest.mark.parametrize("which", LAYERS)
def test_compiled_code_and_c_predict_the_same(which: str, tmp_path: Path) -> None:
    model = net(*LAYERS[which]())
    model.fit(X, Y, batch_size=8, verbose=0)
    wanted = model.predict(X)
    compiled = model.as_njit(derivatives=True)
    assert np.allclose(compiled(X), wanted, rtol=1e-6, atol=1e-6)
    x, dy, step = X[0].astype(np.float64), np.ones(1), 1e-2
    slopes = [
        (model.predict((x + d)[None]) - model.predict((x - d)[None]))[0, 0] / (2 * step) for d in step * np.eye(6)
    ]
    assert np.allclose(compiled.vjp(X[0], dy), slopes, atol=2e-3)
    if COMPILER is not None:
        source, program = tmp_path / "net.c", tmp_path / "net"
        model.export(source)
        subprocess.run([COMPILER, "-O2", "-DNBDL_TEST", str(source), "-o", str(program), "-lm"], check=True)
        subprocess.run([str(program)], check=True, capture_output=True)


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
def test_training_is_the_same_on_a_gpu(shape: tuple[int, ...]) -> None:
    def trained(device: str) -> list[np.ndarray]:
        layers = [BatchNormalization(momentum=0.7, input_shape=shape), Flatten(), LayerNormalization(), Dense(1)]
        model = Sequential(layers, seed=1)
        model.compile("sgd", "mse", device=device)
        model.fit(X[:11].reshape(11, *shape), Y[:11], batch_size=4, epochs=2, verbose=0)
        return model.get_weights()

    for one, other in zip(trained("cpu"), trained("cuda"), strict=True):
        assert np.allclose(one, other, rtol=1e-5, atol=1e-6)


# -- statistics of the data ---------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_adapting_is_seen_at_once(device: str) -> None:
    layer = Normalization(input_dim=6)
    model = Sequential([layer])
    model.device = device
    assert np.array_equal(model.predict(X), X)
    compiled = model.as_njit()
    layer.adapt(X)
    exact = X.astype(np.float64)
    wanted = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    assert np.allclose(model.predict(X), wanted, atol=1e-5)
    assert np.allclose(compiled(X), wanted, atol=1e-5)
    layer.adapt(np.concatenate([X, 2 * X]))
    assert not np.allclose(model.predict(X), wanted, atol=1e-2)


def test_adapted_statistics_ride_in_the_saved_model(tmp_path: Path) -> None:
    layer = Normalization()
    layer.adapt(X)  # before there is a model; it now knows its input's shape
    model = Sequential([layer, Dense(2)], seed=1)
    wanted = model.predict(X)
    assert abs(layer.get_weights()[0] - X.mean(axis=0)).max() < 1e-5
    model.save(tmp_path / "model.nbdl")
    assert np.array_equal(load_model(tmp_path / "model.nbdl").predict(X), wanted)


@pytest.mark.filterwarnings("ignore:adapt. mean")  # which is right, and does not matter here
@pytest.mark.parametrize("parts", [1, 3, 40])
def test_batches_of_any_size_give_the_statistics_of_all(parts: int) -> None:
    data = X + np.array([0, 10, 100, 1e4, 1e6, -1e6])
    layer = Normalization(input_dim=6)
    model = Sequential([layer])
    model.build()
    layer.adapt(part for part in np.array_split(data, parts))
    mean, variance = layer.get_weights()
    assert np.array_equal(mean, data.mean(axis=0).astype(np.float32))
    assert np.allclose(variance, data.var(axis=0), rtol=1e-6)
    layer.adapt(np.array_split(data, parts))
    assert np.allclose(layer.get_weights()[1], variance, rtol=1e-6)


def test_many_rows_are_gone_through_in_parts() -> None:
    data = RNG.normal(50.0, 1.0, size=(10_001, 2))
    layer = Normalization(axis=None)
    layer.adapt(data)
    mean, variance = [weight.value for weight in Sequential([layer]).weights]
    assert np.allclose(mean, data.mean(), rtol=1e-7)
    assert np.allclose(variance, data.var(), rtol=1e-6)


def test_axes_of_statistics() -> None:
    data = RNG.normal(1.0, 2.0, size=(30, 2, 3)).astype(np.float32)
    for axis, others in ((-1, (0, 1)), (2, (0, 1)), (None, (0, 1, 2)), ([1, 2], (0,)), ((-2, -1), (0,))):
        layer = Normalization(axis=axis)
        layer.adapt(data)
        wanted = (data - data.mean(axis=others, keepdims=True)) / data.std(axis=others, keepdims=True)
        assert np.allclose(Sequential([layer]).predict(data), wanted, atol=1e-5), axis


def test_a_constant_feature_is_zero_and_its_deviation_kerass_epsilon() -> None:
    layer = Normalization()
    layer.adapt(np.full((9, 1), 0.1, np.float32))
    model = Sequential([layer])
    assert model.predict(np.full((1, 1), 0.1, np.float32))[0, 0] == 0.0
    assert np.isclose(model.predict(np.full((1, 1), 0.2, np.float32))[0, 0], 0.1 / 1e-7, rtol=1e-5)


def test_inverted_is_the_way_back() -> None:
    there, back = Normalization(), Normalization(invert=True)
    there.adapt(X)
    back.adapt(X)
    assert np.allclose(Sequential([there, back]).predict(X), X, atol=1e-5)


# -- refusals -----------------------------------------------------------------------------------------------


def build(layer: Layer, *shape: int) -> None:
    Sequential([layer]).build(shape)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: build(BatchNormalization(axis=1), 3, 3), "Permute"),
        (lambda: build(BatchNormalization(axis=2), 3), "where the rows are axis 0"),
        (lambda: build(BatchNormalization(axis=0), 3), "where the rows are axis 0"),
        (lambda: build(LayerNormalization(axis=[-1, -1]), 3), "names axis 1 twice"),
        (lambda: build(LayerNormalization(axis=[1, -1]), 3), "names axis 1 twice"),
        (lambda: build(UnitNormalization(axis={"a": 1}), 3), "an integer or a list of integers, got {'a': 1}"),
        (lambda: build(BatchNormalization(axis="1"), 3), "axis is an integer, got '1'"),
        (lambda: build(LayerNormalization(axis=[1.0]), 3), r"an integer or a list of integers, got \[1.0\]"),
        (lambda: BatchNormalization(momentum=1.5), "0 <= momentum <= 1"),
        (lambda: BatchNormalization(epsilon=-1.0), "epsilon must not be negative"),
        (lambda: build(LayerNormalization(), 2, 3), r"Flatten\(\) before it, or give axis=\[1, 2\]"),
        (lambda: build(RMSNormalization(), 2, 3), r"Flatten\(\)"),
        (lambda: build(UnitNormalization(axis=1), 2, 3), r"Flatten\(\)"),
        (lambda: Rescaling([1.0, 2.0]), "Normalization"),  # type: ignore[arg-type]
        (lambda: Normalization(mean=1.0), "both mean and variance"),
        (lambda: Normalization(mean=1.0, variance=[1.0]), "mean has shape"),
        (lambda: build(Normalization(mean=[1.0, 2.0], variance=[1.0, 1.0]), 3), "need"),
        (lambda: build(Normalization(axis=1), 3, 3), "last axis"),
        (lambda: Normalization(mean=0.0, variance=1.0).adapt(X), "leave them out"),
    ],
)
def test_what_is_wrong_is_said(wrong: Callable[[], Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        wrong()


@pytest.mark.parametrize(
    ("data", "words"),
    [(X[:0], "no rows"), ([], "no rows"), (X * np.nan, "NaN or infinity"), (X[:, :3], "takes rows of shape")],
)
def test_data_that_cannot_be_adapted_to(data: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Normalization(input_dim=6).adapt(data)


def test_older_spellings() -> None:
    layer = BatchNormalization(beta_init="ones", gamma_init="zeros")  # type: ignore[call-arg]
    model = Sequential([layer])
    model.build((6,))
    assert [weight[0] for weight in layer.get_weights()] == [0.0, 1.0, 0.0, 1.0]


def test_what_keras_has_beyond_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="renorm"):
        BatchNormalization(renorm=True)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="rms_scaling"):
        LayerNormalization(rms_scaling=True)  # type: ignore[call-arg]
