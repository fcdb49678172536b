"""Embedding: Keras's numbers, a gradient in one order whoever computes it, and integers that are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

import nbdl
from nbdl.errors import ConfigError, DataError
from nbdl.layers import Dense, Embedding, Flatten, Input, Permute, Reshape
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.testing.agreement import same_bits
from nbdl.testing.probe import Probe, forced, logged
from nbdl.testing.units import fixed, with_values

# Initial weights, data and results of Keras 3.15 (JAX): five steps on all rows at once.
E = [[1.0, 0.25, 0.375], [0.875, 0.125, 0.625], [0.75, -0.625, -1.0],
     [-0.375, -0.5, 0.75], [0.875, -1.0, 0.0], [0.625, -0.75, 0.625]]  # fmt: skip
W = [[-0.75, -0.125], [0.625, -0.375], [-0.375, -0.5], [0.5, -0.5], [1.0, -0.125], [0.0, 0.0],
     [0.125, 0.125], [0.0, 1.0], [0.625, 0.625], [0.375, 0.25], [-0.375, 1.0], [-0.125, -0.625]]  # fmt: skip
X = [[2, 2, 0, 2], [0, 0, 2, 0], [0, 2, 4, 2], [4, 4, 4, 3], [2, 2, 1, 2]]
Y = [[-0.25, -0.5], [1.0, -1.0], [-0.875, -0.625], [1.0, 0.375], [0.75, -0.625]]
KERAS = {
    "sgd": (
        [2.3364258, 1.5264962, 0.9015272, 0.5631577, 0.3790389],
        [[1.048358, 0.159976, 0.116948], [0.850468, -0.021142, 0.555129], [0.674186, -0.732874, -0.678449],
         [-0.211503, -0.282637, 0.579517], [0.778869, -0.389961, 0.117491], [0.625, -0.75, 0.625]],
        [0.4066983, -0.2858663],
    ),
    "adam": (
        [2.3364258, 1.6578709, 1.168885, 0.8272282, 0.5922219],
        [[1.095532, 0.012524, 0.145528], [0.625362, -0.121229, 0.385757], [0.636328, -0.727527, -0.765965],
         [-0.148715, -0.264694, 0.519954], [0.688108, -0.768167, 0.239999], [0.625, -0.75, 0.625]],
        [0.4562765, -0.2790352],
    ),
}  # fmt: skip
OPTIMIZERS = {"sgd": lambda: nbdl.optimizers.SGD(0.1, momentum=0.5), "adam": lambda: nbdl.optimizers.Adam(0.05)}


def net(optimizer: str = "sgd", **options: Any) -> nbdl.Sequential:
    model = nbdl.Sequential([Embedding(6, 3, input_length=4), Flatten(), Dense(2)])
    model.set_weights([np.array(E), np.array(W), np.array([0.25, -0.5])])
    model.compile(OPTIMIZERS[optimizer](), "mse", **options)
    return model


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("optimizer", KERAS)
def test_it_trains_as_in_keras(optimizer: str, device: str) -> None:
    model = net(optimizer, device=device)
    history = model.fit(np.array(X), np.array(Y), batch_size=5, epochs=5, shuffle=False, verbose=0)
    losses, embeddings, bias = KERAS[optimizer]
    exact = 4e-5 if optimizer == "adam" else 2e-6  # Keras computes 1 - beta_2^t in float32, nbdl in float64
    np.testing.assert_allclose(history.history["loss"], losses, rtol=exact)
    np.testing.assert_allclose(model.get_weights()[0], embeddings, rtol=exact, atol=exact)
    np.testing.assert_allclose(model.get_weights()[2], bias, rtol=exact)


# -- the gradient -----------------------------------------------------------------------------------------


def gradient_probe(rows: int, length: int, vocabulary: int, width: int, x: Any = None) -> Probe:
    """The gradient of the embeddings, into the log."""
    rng = np.random.default_rng(3)
    layer = Embedding(vocabulary, width)
    weights = [fixed("embeddings", rng.normal(size=(vocabulary, width)).astype(np.float32))]
    layer.embeddings = weights[0].tensor

    def record(r: Recorder, tensors: Sequence[Tensor]) -> None:
        y, places = layer.forward(r, tensors[0])
        layer.backward(r, tensors[0], y, tensors[1], places)
        logged(r, "gradient", r.gradients[layer.embeddings])

    integers = rng.integers(0, vocabulary, (rows, length)) if x is None else np.asarray(x)
    sources = [integers.astype(np.float32), rng.normal(size=(rows, length, width)).astype(np.float32)]
    return with_values(Probe("gradient", record, sources, weights, unit=layer))


def in_order(probe: Probe, vocabulary: int) -> Any:
    """The same in NumPy, one after another in float32."""
    x, dy = probe.sources
    wanted = np.zeros((vocabulary, dy.shape[-1]), np.float32)
    for number, row in zip(x.reshape(-1), dy.reshape(-1, dy.shape[-1]), strict=True):
        if 0 <= number < vocabulary:
            wanted[int(number)] += row
    return wanted.reshape(1, -1)


def test_the_gradient_is_added_up_in_the_order_of_the_batch() -> None:
    """The same bits from one tile or many, on one thread or two, from blocks, Python and CUDA."""
    probe = gradient_probe(rows=60, length=5, vocabulary=50, width=7)
    wanted = in_order(probe, 50)
    for how in ("compiled", "plain", "checked", "python", "cuda", "checked cuda"):
        np.testing.assert_array_equal(probe.run(how).log, wanted, err_msg=how)
    for schedule in ("tiles", "blocks"):
        with forced(schedule, parallel=True):
            executor = probe.executor("compiled")
            assert len(executor.tasks) > 4
            for threads in (1, 2):
                np.testing.assert_array_equal(probe.run(threads=threads, executor=executor).log, wanted)


def shuffled_rows(places: Any, dy: Any, sizes: Any, gradient: Any, first: int) -> None:
    """A defect: the tile's own row is the beginning of its sums."""
    for at in range(gradient.shape[0]):
        for j in range(gradient.shape[1]):
            gradient[at, j] = 0.0
    for n in range(places.shape[0]):
        i = (n + first) % places.shape[0]
        for k in range(places.shape[1]):
            at = int(places[i, k])
            if first <= at < first + gradient.shape[0]:
                for j in range(gradient.shape[1]):
                    gradient[at - first, j] += dy[i, k * gradient.shape[1] + j]


def without_first(places: Any, dy: Any, sizes: Any, gradient: Any, first: int) -> None:
    """A defect: every tile takes itself for the first."""
    for at in range(gradient.shape[0]):
        for j in range(gradient.shape[1]):
            gradient[at, j] = 0.0
    for i in range(places.shape[0]):
        for k in range(places.shape[1]):
            at = int(places[i, k])
            if at < gradient.shape[0]:
                for j in range(gradient.shape[1]):
                    gradient[at, j] += dy[i, k * gradient.shape[1] + j]


@pytest.mark.parametrize("defect", [shuffled_rows, without_first])
def test_an_order_that_depends_on_the_tile_is_found(defect: Any) -> None:
    probe = gradient_probe(rows=60, length=5, vocabulary=50, width=7)
    operation = next(o for o in probe.program.operations if o.function is not None and o.domain[0] == 50)
    operation.function = defect
    whole = probe.run("plain")
    with forced("tiles"), pytest.raises(AssertionError, match="differ"):
        same_bits(probe.run(), whole, "in tiles")


def test_places_that_there_are_not_touch_no_memory() -> None:
    x = [[0, 3, 4], [-1, 1e9, -1e9], [np.inf, np.nan, 2.4], [3.6, -0.6, 3.4]]
    probe = gradient_probe(rows=4, length=3, vocabulary=4, width=2, x=x)
    nearest = np.array([[0, 3, -1], [-1, -1, -1], [-1, -1, 2], [-1, -1, 3]], np.float32)
    wanted = in_order(gradient_probe(rows=4, length=3, vocabulary=4, width=2, x=nearest), 4)
    for how in ("compiled", "checked", "python", "cuda"):
        np.testing.assert_array_equal(probe.run(how).log, wanted, err_msg=how)


# -- what is given ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0, 1, 2, 6], "x goes from 0 to 6; the first layer takes integers from 0 to 5"),
        ([0, -1, 2, 3], "x goes from -1 to 3"),
        ([0, 1.5, 2, 3], "x holds 1.5 in row 1, column 1; the first layer takes integers"),
    ],
)
def test_what_are_no_places_is_refused(row: list[float], message: str) -> None:
    model, x = net(), np.array([[0, 1, 2, 3], row])
    for use in (model.predict, lambda x: model.evaluate(x, Y[:2]), lambda x: model.fit(x, Y[:2], verbose=0)):
        with pytest.raises(DataError, match=message):
            use(x)


def test_layers_that_move_numbers_may_come_before() -> None:
    model = nbdl.Sequential([Input((2, 2)), Permute((2, 1)), Reshape((4,)), Embedding(6, 3)])
    with pytest.raises(DataError, match="from 0 to 5"):
        model.predict(np.full((1, 2, 2), 6))


def test_bytes_are_no_pixels(recwarn: pytest.WarningsRecorder) -> None:
    nbdl.Sequential([Embedding(256, 2, input_length=20)]).predict(np.full((3, 20), 255, np.uint8))
    assert not recwarn.list


def test_without_checks_a_wrong_place_gives_nan() -> None:
    model = net()
    function = model.as_njit()

    @njit
    def called(function: Any, x: Any) -> Any:
        return function(x)

    for answer in (model(np.array([6, 1, 2, 3])), function([0, 1, -1, 3]), called(function, np.full(4, np.nan))):
        assert np.isnan(answer).all()
    np.testing.assert_array_equal(function([0, 1, 2, 3]), model.predict([[0, 1, 2, 3]])[0])


def test_derivatives_by_integers_are_zero() -> None:
    assert not net().as_njit(derivatives=True).vjp([0, 1, 2, 3], [1.0, 1.0]).any()


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "7"])
def test_sizes_are_positive_integers(size: Any) -> None:
    with pytest.raises(ConfigError, match=r"input_dim (must be a positive|is an) integer"):
        Embedding(size, 3)
    with pytest.raises(ConfigError, match=r"output_dim (must be a positive|is an) integer"):
        Embedding(3, size)


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="mask_zero"):
        Embedding(3, 2, mask_zero=True)
    with pytest.raises(ConfigError, match="at most 16777216"):
        Embedding((1 << 24) + 1, 2)
    with pytest.raises(ConfigError, match="input_shape=\\(3,\\) contradicts"):
        Embedding(10, 4, input_length=2, input_shape=(3,))
    assert Embedding(10, 4, input_length=2, input_shape=(2,)).input_shape == (2,)


def test_it_comes_back_from_a_file(tmp_path: Path) -> None:
    """Its input_dim is not the size of a row, which other layers forget in favour of input_shape."""
    model = net()
    model.save(tmp_path / "model.nbdl")
    again = nbdl.load_model(tmp_path / "model.nbdl")
    assert again.layers[0].get_config()["input_dim"] == 6
    assert again.input_shape == (4,)
    np.testing.assert_array_equal(again.predict(np.array(X)), model.predict(np.array(X)))


def test_the_first_values_are_kerass() -> None:
    first = nbdl.Sequential([Embedding(100, 30, input_length=1)], seed=1).get_weights()[0]
    assert -0.05 <= first.min() < -0.0499
    assert 0.0499 < first.max() <= 0.05


def test_rows_of_any_shape_gain_an_axis() -> None:
    model = nbdl.Sequential([Embedding(6, 3, input_shape=(2, 2))])
    assert model.output_shape == (2, 2, 3)
    x = np.arange(4).reshape(1, 2, 2)
    np.testing.assert_array_equal(model.predict(x), model.get_weights()[0][x])


def test_what_is_not_checked_is_documented_and_refused_by_predict() -> None:
    model = nbdl.Sequential([nbdl.layers.Embedding(4, 2, input_length=1)], seed=1)
    table = model.get_weights()[0]
    for given, expected in ((9.0, np.full(2, np.nan)), (-1.0, np.full(2, np.nan)), (2.5, table[2]), (2.75, table[3])):
        row = np.array([[given]], np.float32)
        np.testing.assert_array_equal(model(row)[0, 0], expected.astype(np.float32))
        np.testing.assert_array_equal(model.as_njit()(row[0]).reshape(-1), expected.astype(np.float32))
        with pytest.raises(nbdl.errors.DataError):
            model.predict(row)
