"""The recorder's operations on odd shapes, in every partition, against NumPy; and the scalar language."""

from __future__ import annotations

import importlib
import math
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbdl import Layer, Sequential
from nbdl.engine.cpu.texts import map_text
from nbdl.engine.random import uniform
from nbdl.engine.store import Weight
from nbdl.errors import ConfigError, KernelError, NbdlError
from nbdl.program.functions import add, same, times
from nbdl.program.language.plain import reference_function
from nbdl.program.language.source import ScalarError, definition
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.testing.numbers import DOUBLE, llvm_of
from nbdl.testing.probe import SEED, Array, Probe, assert_close, forced, logged
from nbdl.testing.units import fixed, generator, reals, with_values

SHAPES = [(1, 1), (1, 7), (5, 1), (17, 33), (33, 16)]
MANY = (1500, 37)  # enough rows for blocks, enough columns for tiles
FEW = settings(max_examples=12, deadline=None, derandomize=True)
shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))

Record = Callable[[Recorder, Sequence[Tensor]], Any]


def probe(record: Record, *sources: Array, weights: Sequence[Weight] = ()) -> Probe:
    given = [np.ascontiguousarray(source, np.float32) for source in sources]
    return with_values(Probe("operation", record, given, list(weights)))


def everywhere(made: Probe, output: Any = None, log: Any = None, rtol: float = 1e-5, atol: float = 2e-6) -> None:
    """Compiled in one piece, in tiles and in blocks, and in plain Python: all are what NumPy says."""
    runs = {how: made.run(how) for how in ("compiled", "plain")}
    if sum(source.size for source in made.sources) < 2000:
        runs["python"] = made.run("python")
        if all(np.isfinite(source).all() for source in made.sources):  # else it stops there
            runs["checked"] = made.run("checked")
    for schedule in ("tiles", "blocks"):
        with forced(schedule):
            runs[schedule] = made.run("compiled")
        with forced(schedule, parallel=True):
            runs[f"{schedule} on 2 threads"] = made.run("compiled", threads=2)
            made.gathered = True
            runs[f"{schedule} on 2 threads, gathered"] = made.run("compiled", threads=2)
            made.gathered = False
    for how, found in runs.items():
        for wanted, values in ((output, found.output), (log, found.log)):
            if wanted is not None:
                assert_close(values, np.asarray(wanted, np.float64).reshape(values.shape), how, rtol, atol)


def data(*shapes: tuple[int, ...]) -> list[Array]:
    rng = generator()
    return [reals(rng, *shape) for shape in shapes]


# -- map --------------------------------------------------------------------------------------------------


def affine(x: float, scale: float, row: float, shift: float) -> float:
    return x * scale + row - shift


@pytest.mark.parametrize("shape", [*SHAPES, MANY])
def test_map_broadcasts(shape: tuple[int, int]) -> None:
    rows, features = shape
    x, row, scale = data((rows, features), (rows, 1), (features,))
    weight = fixed("scale", scale)
    made = probe(lambda r, t: r.map(affine, t[0], weight.tensor, t[1], 0.25), x, row, weights=[weight])
    everywhere(made, x * scale + row - 0.25)


def halves(x: float) -> tuple[float, float]:
    return x * 0.5, x * 2.0


def test_map_of_several_results() -> None:
    (w,) = data((64,))
    first, second = fixed("a", w), fixed("b", np.zeros_like(w))

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        with r.recording("both", "update"):
            r.map(halves, first.tensor, into=[first.tensor, second.tensor])

    made = probe(record, weights=[first, second])
    for how in ("compiled", "plain", "python"):
        after = made.run(how).weights
        np.testing.assert_array_equal(after[:64], w * 0.5)
        np.testing.assert_array_equal(after[64:128], w * 2.0)


def test_map_of_fixed_shapes() -> None:
    matrix, vector = data((4, 3), (3,))
    a, b = fixed("a", matrix), fixed("b", vector)
    made = probe(lambda r, t: logged(r, "sum", r.map(add, a.tensor, b.tensor)), weights=[a, b])
    everywhere(made, log=matrix + vector)


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    x, y = data((4, 3), (4, 2))
    with pytest.raises(ConfigError, match="does not broadcast"):
        probe(lambda r, t: r.map(add, t[0], t[1]), x, y)


@FEW
@given(shapes)
def test_map_and_sums_of_any_shape(shape: tuple[int, int]) -> None:
    x, y = data(shape, shape)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        product = r.map(times, t[0], t[1])
        logged(r, "rows", r.sum(same, product))
        return r.map(add, product, r.sum(times, t[0], t[1], over="features"))

    made = probe(record, x, y)
    product = x.astype(np.float64) * y
    everywhere(made, product + product.sum(axis=1, keepdims=True), product.sum(axis=0), atol=1e-5)


def nine(x: float) -> tuple[float, ...]:
    return x, x, x, x, x, x, x, x, x


def test_more_results_or_inputs_than_there_is_room_for_are_refused() -> None:
    r = Recorder()
    inputs = [r.input((3,), f"input {number}") for number in range(32)]
    with pytest.raises(ConfigError, match=r"'one too many' would be input 33; a batch has at most 32"):
        r.input((3,), "one too many")
    with pytest.raises(ConfigError, match="nine has 9 results; there can be 1 to 8"):
        r.map(nine, inputs[0], into=[Tensor((3,), True) for _ in range(9)])


# -- sum --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [*SHAPES, MANY])
@pytest.mark.parametrize("reduction", ["sum", "max"])
def test_reductions(shape: tuple[int, int], reduction: str) -> None:
    (x,) = data(shape)
    numpy = np.sum if reduction == "sum" else np.max

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        logged(r, "rows", r.sum(same, t[0], reduction=reduction))
        return r.sum(same, t[0], over="features", reduction=reduction)

    exact = x.astype(np.float64)
    everywhere(probe(record, x), numpy(exact, axis=1), numpy(exact, axis=0), atol=1e-5)


@pytest.mark.parametrize("shape", [(5, 4), MANY])
def test_maximum_keeps_nan(shape: tuple[int, int]) -> None:
    (x,) = data(shape)
    for at in ((0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, 1)):
        holed = x.copy()
        holed[at] = np.nan

        def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
            logged(r, "rows", r.sum(same, t[0], reduction="max"))
            return r.sum(same, t[0], over="features", reduction="max")

        everywhere(probe(record, holed), holed.max(axis=1), holed.max(axis=0))


def test_argmax_takes_the_first_of_equals() -> None:
    x = np.array([[1, 3, 3], [2, 2, 2], [-np.inf] * 3, [0, -1, 5]], np.float32)
    everywhere(probe(lambda r, t: r.sum(same, t[0], over="features", reduction="argmax"), x), [1, 0, 0, 2])


def test_argmax_over_rows_is_refused() -> None:
    with pytest.raises(ConfigError, match="argmax"):
        probe(lambda r, t: r.sum(same, t[0], reduction="argmax"), *data((4, 3)))


def test_sums_of_a_weight() -> None:
    (w,) = data((7, 5))
    for over, axis in (("rows", 0), ("features", 1)):
        weight = fixed("w", w)

        def record(r: Recorder, t: Any, weight: Weight = weight, over: str = over) -> None:
            logged(r, "sum", r.sum(same, weight.tensor, over=over))

        everywhere(probe(record, weights=[weight]), log=w.sum(axis=axis))


@pytest.mark.parametrize("shape", [(1,), (6,), (1, 1), (1, 6), (6, 1), (4, 3), (2, 3, 4)])
def test_total(shape: tuple[int, ...]) -> None:
    (w,) = data(shape)
    weight = fixed("w", w)
    made = probe(lambda r, t: logged(r, "total", r.total(same, weight.tensor)), weights=[weight])
    everywhere(made, log=w.sum())


def test_mean_and_add_to() -> None:
    x, w = data((9, 6), (6,))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        copied = r.map(same, weight.tensor)
        logged(r, "sum", r.add_to(copied, times, weight.tensor, 3.0))
        return r.mean(same, t[0])

    everywhere(probe(record, x, weights=[weight]), x.mean(axis=1), w * 4)


# -- products ---------------------------------------------------------------------------------------------

SIZES = [(1, 1, 1), (1, 5, 3), (7, 1, 9), (3, 4, 1), (17, 33, 18), (33, 300, 35), (130, 64, 129), (2, 600, 3)]


@pytest.mark.parametrize(("rows", "inner", "columns"), SIZES)
def test_products(rows: int, inner: int, columns: int) -> None:
    x, w, bias = data((rows, inner), (inner, columns), (columns,))
    wanted = x.astype(np.float64) @ w + bias
    weights = [fixed("w", w), fixed("b", bias)]
    everywhere(probe(lambda r, t: r.gemm(t[0], weights[0].tensor, bias=weights[1].tensor), x, weights=weights), wanted)
    weights2 = [fixed("w", np.ascontiguousarray(w.T))]
    made = probe(lambda r, t: r.gemm(t[0], weights2[0].tensor, transpose_b=True), x, weights=weights2)
    everywhere(made, wanted - bias, atol=5e-6)


@pytest.mark.parametrize(("rows", "inner", "columns"), [*SIZES, (1500, 33, 20)])
def test_products_over_rows(rows: int, inner: int, columns: int) -> None:
    x, dy = data((rows, inner), (rows, columns))
    wanted = x.astype(np.float64).T @ dy
    everywhere(probe(lambda r, t: logged(r, "g", r.gemm(t[0], t[1], transpose_a=True)), x, dy), log=wanted, atol=1e-5)


@FEW
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70))
def test_products_of_any_shape(rows: int, inner: int, columns: int) -> None:
    x, w, dy = data((rows, inner), (inner, columns), (rows, columns))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        logged(r, "g", r.gemm(t[0], t[1], transpose_a=True))
        return r.gemm(t[1], weight.tensor, transpose_b=True)

    wide = [a.astype(np.float64) for a in (x, w, dy)]
    everywhere(probe(record, x, dy, weights=[weight]), wide[2] @ wide[1].T, wide[0].T @ wide[2], atol=1e-5)


def test_products_of_weights() -> None:
    a, b = data((6, 4), (4, 5))
    for flags, left, right in (((False, False), a, b), ((True, False), a.T, b), ((False, True), a, b.T)):
        weights = [fixed("a", np.ascontiguousarray(left)), fixed("b", np.ascontiguousarray(right))]

        def record(r: Recorder, t: Any, weights: list[Weight] = weights, flags: tuple[bool, bool] = flags) -> None:
            first, second = (weight.tensor for weight in weights)
            logged(r, "p", r.gemm(first, second, transpose_a=flags[0], transpose_b=flags[1]))

        everywhere(probe(record, weights=weights), log=a.astype(np.float64) @ b)


def test_products_that_do_not_fit_are_refused() -> None:
    x, w = data((4, 3), (2, 5))
    weight = fixed("w", w)
    with pytest.raises(ConfigError, match="inner sizes"):
        probe(lambda r, t: r.gemm(t[0], weight.tensor), x, weights=[weight])


def test_a_product_with_rows_on_both_sides_is_refused() -> None:
    x, y = data((4, 3), (4, 3))
    with pytest.raises(NbdlError):
        probe(lambda r, t: r.gemm(t[0], t[1], transpose_b=True), x, y).run("compiled")


def test_a_bias_of_another_size_is_refused() -> None:
    x, w, bias = data((4, 3), (3, 5), (4,))
    weights = [fixed("w", w), fixed("b", bias)]
    with pytest.raises(NbdlError):
        probe(lambda r, t: r.gemm(t[0], weights[0].tensor, bias=weights[1].tensor), x, weights=weights).run("compiled")


# -- kernel, uniform, one_hot, reshape --------------------------------------------------------------------


def running_sum(x: Array, shift: Array, y: Array, last: Array) -> None:
    for i in range(x.shape[0]):
        total = 0.0
        for j in range(x.shape[1]):
            total += x[i, j] + shift[0, j]
            y[i, j] = total
        last[i, 0] = total


@pytest.mark.parametrize("shape", [*SHAPES, MANY])
def test_kernel_bodies(shape: tuple[int, int]) -> None:
    x, shift = data(shape, (1, shape[1]))
    weight = fixed("shift", shift)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        y, last = r.kernel(running_sum, t[0], weight.tensor, shapes=[(shape[1],), (1,)])
        return r.map(add, y, last)

    sums = np.cumsum(x.astype(np.float64) + shift, axis=1)
    everywhere(probe(record, x, weights=[weight]), sums + sums[:, -1:], atol=1e-5)


@pytest.mark.parametrize("shape", [*SHAPES, MANY, (100, 5)])
def test_uniform(shape: tuple[int, int]) -> None:
    (x,) = data(shape)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        r.uniform(t[0])
        return r.map(add, r.uniform(t[0]), t[0])

    everywhere(probe(record, x), uniform(*shape, SEED, 1, 1).astype(np.float64) + x)


def test_one_hot_and_reshape() -> None:
    labels, x = np.array([[0], [3], [1], [2], [3]], np.float32), data((5, 2, 6))[0]

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        hot = r.one_hot(t[0], 4)
        column = r.sum(times, hot, r.one_hot(t[0], 4), over="features")  # 1
        flat = r.reshape(t[1], (12,))
        return r.reshape(r.map(times, flat, column), (3, 4))

    everywhere(probe(record, labels, x), x)
    everywhere(probe(lambda r, t: r.one_hot(t[0], 4), labels), np.eye(4)[labels[:, 0].astype(int)])
    with pytest.raises(ConfigError, match="elements"):
        probe(lambda r, t: r.reshape(t[0], (5,)), x)


def double(x: float) -> float:
    return 2.0 * x


def test_repeated_operations_may_be_reshaped() -> None:
    (x,) = data((5, 2, 3))

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        first, second = r.map(double, t[0]), r.map(double, t[0])
        return r.map(add, r.reshape(first, (6,)), r.map(same, r.reshape(second, (6,))))

    everywhere(probe(record, x), 4 * x)


def test_in_place_sums_see_what_was_written() -> None:
    (x,) = data((6, 3))

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        copied = r.map(double, t[0])
        before = r.sum(same, copied, over="features")
        r.add_to(copied, double, t[0])
        return r.map(add, before, r.sum(same, copied, over="features"))

    everywhere(probe(record, x), 6 * x.sum(axis=1))


def test_writing_in_place_waits_for_readers() -> None:
    x, w = data((1500, 64), (64, 96))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        copied = r.map(double, t[0])
        product = r.sum(same, r.gemm(copied, weight.tensor), over="features")
        r.add_to(copied, double, t[0])
        return r.map(add, product, r.sum(same, copied, over="features"))

    wide = x.astype(np.float64)
    everywhere(probe(record, x, weights=[weight]), 2 * (wide @ w).sum(axis=1) + 4 * wide.sum(axis=1), atol=1e-5)


def test_memory_is_used_again() -> None:
    x, w = data((40, 33), (33, 33))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        kept, moving = r.map(double, t[0]), t[0]
        for number in range(6):
            moving = r.map(math_tanh, r.gemm(moving, weight.tensor))
            if number == 2:
                kept = r.map(add, kept, moving)
        return r.map(add, kept, moving)

    made = probe(record, x, weights=[weight])
    assert made.executor("compiled").memory.size < made.executor("plain").memory.size / 2
    plain = made.run("plain").output
    everywhere(made, plain, rtol=1e-4, atol=1e-4)


def swapped_add(a: float, b: float) -> float:
    return b + a


RESIDUALS = [(17, 32), (40, 64), (300, 64), (512, 256)]  # the last is cut into tiles as it is


@pytest.mark.parametrize("shape", RESIDUALS)
@pytest.mark.parametrize("first", [True, False])
def test_a_map_does_not_write_over_what_other_tiles_read(shape: tuple[int, int], first: bool) -> None:
    x, w = data(shape, (shape[1], shape[1]))
    weight = fixed("w", w / shape[1])

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        moving = t[0]
        for _ in range(3):
            kept = r.map(double, moving)
            product = r.gemm(kept, weight.tensor)
            moving = r.map(add, kept, product) if first else r.map(swapped_add, product, kept)
        return moving

    made = probe(record, x, weights=[weight])
    wanted = x.astype(np.float64)
    for _ in range(3):
        wanted = 2 * wanted + 2 * wanted @ (w.astype(np.float64) / shape[1])
    everywhere(made, wanted, rtol=1e-4, atol=1e-5)
    plain = made.run("plain").output
    for threads in (1, 2):
        np.testing.assert_array_equal(made.run("compiled", threads=threads).output, plain)


@pytest.mark.parametrize("shape", RESIDUALS)
@pytest.mark.parametrize("gathered", [False, True])
def test_writing_into_what_a_chain_reads_whole_waits(shape: tuple[int, int], gathered: bool) -> None:
    x, w = data(shape, (shape[1], shape[1]))
    weight = fixed("w", w / shape[1])

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        kept = r.map(double, t[0])
        product = r.gemm(kept, weight.tensor)
        return r.map(add, kept, product, into=[kept])

    made = probe(record, x, weights=[weight])
    wide = 2 * x.astype(np.float64)
    everywhere(made, wide + wide @ (w.astype(np.float64) / shape[1]), rtol=1e-4, atol=1e-5)


def test_writing_into_a_weight_waits_for_those_who_read_its_old_values() -> None:
    x, w = data((512, 256), (256, 256))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        product = r.gemm(t[0], weight.tensor)
        r.map(double, weight.tensor, into=[weight.tensor])
        return product

    made = probe(record, x, weights=[weight])
    everywhere(made, x.astype(np.float64) @ w, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(made.run("compiled").weights[: w.size], 2 * w.reshape(-1))
    assert len(made.executor("compiled").partition.stages) == 2


def test_a_square_matrix_is_not_mistaken_for_its_own_rows() -> None:
    (w,) = data((512, 32))
    (u,) = data((32, 32))
    weight, square = fixed("w", w), fixed("u", u)

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        sums = r.sum(same, square.tensor, over="features")
        flat = r.reshape(sums, (32,))
        logged(r, "along rows", r.map(add, square.tensor, flat))  # whole in each tile of rows
        logged(r, "along columns", r.map(add, square.tensor, sums))
        logged(r, "w", r.map(same, weight.tensor))

    made = probe(record, weights=[weight, square])
    totals = u.sum(axis=1)
    everywhere(made, log=np.concatenate([(u + totals).ravel(), (u + totals[:, None]).ravel(), w.ravel()]))


def math_tanh(x: float) -> float:
    return math.tanh(x)


# -- gradients --------------------------------------------------------------------------------------------


class Twice(Layer):
    """y = w·x, and again w·x added: a value and a weight used twice."""

    def build(self, b: Any, shape: Any) -> Any:
        self.w = b.weight("w", shape, "ones")
        return shape

    def forward(self, r: Recorder, x: Tensor) -> Any:
        return r.map(add, r.map(times, x, self.w), r.map(times, x, self.w)), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        r.gradient(self.w, r.sum(times, dy, x))
        r.gradient(self.w, r.sum(times, dy, x))
        return r.map(double_product, dy, self.w)


def double_product(dy: float, w: float) -> float:
    return 2.0 * dy * w


class Shift(Layer):
    """y = x + w."""

    def build(self, b: Any, shape: Any) -> Any:
        self.w = b.weight("w", shape, "zeros")
        return shape

    def forward(self, r: Recorder, x: Tensor) -> Any:
        return r.map(add, x, self.w), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        r.gradient(self.w, r.sum(same, dy))
        return dy


class Residual(Layer):
    """y = 2x + 2x·w, and the same backwards: both read whole rows of what they would write over in place."""

    def build(self, b: Any, shape: Any) -> Any:
        self.w = b.weight("w", (shape[0], shape[0]), "glorot_uniform")
        return shape

    def forward(self, r: Recorder, x: Tensor) -> Any:
        kept = r.map(double, x)
        return r.map(add, kept, r.gemm(kept, self.w)), kept

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        r.gradient(self.w, r.gemm(saved, dy, transpose_a=True))
        twice = r.map(double, dy)
        return r.map(add, twice, r.gemm(twice, self.w, transpose_b=True))


@pytest.mark.parametrize("threads", [1, 2])
def test_residual_layers_train_as_numpy_says(threads: int) -> None:
    from nbdl.testing.own import Descent, Squares

    size, rows = 128, 256
    x, y = data((rows, size), (rows, size))
    model = Sequential([Residual(), Residual()], seed=1)
    model.compile(optimizer=Descent(1e-4), loss=Squares())
    u, v = (weight.astype(np.float64) for weight in (model.predict(x[:1]), model)[1].get_weights())
    hidden = 2 * x + 2 * x @ u
    p = 2 * hidden + 2 * hidden @ v
    np.testing.assert_allclose(model.predict(x, threads=threads), p, rtol=1e-3, atol=1e-4)
    dp = 2 * (p - y) / rows
    dv, dh = 2 * hidden.T @ dp, 2 * dp + 2 * dp @ v.T
    du = 2 * x.T.astype(np.float64) @ dh
    model.fit(x, y, epochs=1, batch_size=rows, shuffle=False, verbose=0, threads=threads)
    for found, start, gradient in zip(model.get_weights(), (u, v), (du, dv), strict=True):
        np.testing.assert_allclose(found, start - 1e-4 * gradient, rtol=1e-3, atol=1e-5)


def test_gradients_of_what_is_used_twice_add_up() -> None:
    from nbdl.testing.own import Descent, Squares

    x = reals(generator(), 30, 4)
    twice = Twice()
    model = Sequential([twice, twice, Shift()], seed=1)
    model.compile(optimizer=Descent(0.01), loss=Squares())
    y = reals(generator(), 30, 1).repeat(4, axis=1)
    model.fit(x, y, epochs=1, batch_size=30, shuffle=False, verbose=0)
    # p = 4·w²·x + b: derivative of the mean square, by hand
    p = 4.0 * x
    dp = 2 * (p - y) / 30
    w, b = 1 - 0.01 * (dp * 8 * x).sum(axis=0), -0.01 * dp.sum(axis=0)
    np.testing.assert_allclose(model.get_weights()[0], w, rtol=1e-4)
    np.testing.assert_allclose(model.get_weights()[1], b, rtol=1e-4)


def test_a_gradient_of_another_size_is_refused() -> None:
    class Wrong(Shift):
        def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
            r.gradient(self.w, dy)
            return dy

    from nbdl.testing.own import Descent, Squares

    model = Sequential([Wrong()], seed=1)
    model.compile(optimizer=Descent(), loss=Squares())
    with pytest.raises(NbdlError):
        model.fit(np.ones((4, 3)), np.ones((4, 3)), verbose=0)


# -- scalar functions -------------------------------------------------------------------------------------

SCALE = 0.75
TABLE = [1.0, 2.0]
WHOLE = 3
NUMPY = np.float64(1.25)


def compiled(function: Callable[..., Any], x: Any, *parameters: float) -> Array:
    """Run compiled and in plain Python, assert that they agree and that nothing is float64; return the values."""
    x = np.asarray(x, np.float32).reshape(-1, 1)
    made = probe(lambda r, t: r.map(function, t[0], *parameters), x)
    found, python = made.run("compiled").output, made.run("python").output
    assert_close(found, python, "compiled", 1e-5, 1e-6)
    text, _ = map_text(function, ["full", *["scalar"] * len(parameters)], 1)
    assert not DOUBLE.search(llvm_of(text)), "computes in float64"
    return found[:, 0]


X = np.array([-2.5, -1.0, -0.0, 0.3, 1.0, 7.0], np.float32)


def powers(x: float) -> float:
    return x**2 + 0.5 * x**3 - 2.0**x + abs(x) ** 0.5 + (abs(x) + 1.0) ** -2


def three(x: float) -> float:
    return max(x, 0.1, -x * 0.5) + min(x, 2.0, 0.25)


def constants(x: float) -> float:
    return x * SCALE + math.pi - WHOLE / 4 + NUMPY + math.e


def branches(x: float) -> float:
    y: float = 0.0
    if x > 1.0:
        y = 1.0
    elif -1.0 < x <= 1.0 and x != 0.0:
        y += x
    else:
        y, z = -x, 2.0
        y *= z
    return y


def defaults(x: float, a: float = 0.5, b: float = 2) -> float:
    return helper(x, b=a) + b


def helper(x: float, b: float = 3.0) -> float:
    return x * b


def whole(x: float) -> float:
    return x - int(x) + math.floor(x) + 7 // 2


def truths(x: float) -> float:
    return (x > 0.0) * x + (x > 1.0) + (not x > 2.0)


def shadows(x: float) -> float:
    exp = math.exp(-abs(x))
    tanh = math.tanh(exp)
    return exp / (1.0 + exp) + tanh


def shadowed_constants(x: float, K0: float = 2.0, K1: float = 5.0) -> float:
    return K0 * x + 3.0 * K1 + 1.0


def start(x: float) -> float:
    return x + 1.0


def word(x: float) -> float:
    return start(x) + 1.0


def y0(x: float) -> float:
    return word(x) * 2.0


def assigned_power(x: float) -> float:
    x **= 3
    x += 1
    return x


def odd_functions(x: float) -> float:
    return math.atan2(x, 2.0) + math.hypot(x, 1.0) + math.copysign(1.0, x) + (1.0 if math.isnan(x) else 0.0)


def remainder(x: float) -> float:
    return x % 2.0 + x // 2.0


LANGUAGE = {
    powers: lambda x: x**2 + 0.5 * x**3 - 2**x + abs(x) ** 0.5 + (abs(x) + 1) ** -2,
    three: lambda x: max(x, 0.1, -x * 0.5) + min(x, 2, 0.25),
    constants: lambda x: x * 0.75 + math.pi - 0.75 + 1.25 + math.e,
    branches: lambda x: 1.0 if x > 1 else (x if -1 < x <= 1 and x != 0 else -2 * x),
    defaults: lambda x: x * 0.5 + 2,
    whole: lambda x: x - math.trunc(x) + math.floor(x) + 3,
    truths: lambda x: (x > 0) * x + (x > 1) + (x <= 2),
    shadows: lambda x: 1 / (1 + math.exp(abs(x))) + math.tanh(math.exp(-abs(x))),
    shadowed_constants: lambda x: 2 * x + 16,
    start: lambda x: x + 1,
    word: lambda x: x + 2,
    y0: lambda x: 2 * x + 4,
    assigned_power: lambda x: x**3 + 1,
    odd_functions: lambda x: math.atan2(x, 2) + math.hypot(x, 1) + math.copysign(1, x),
    remainder: lambda x: x % 2 + x // 2,
}


@pytest.mark.parametrize("function", list(LANGUAGE), ids=lambda function: function.__name__)
def test_the_language(function: Callable[..., Any]) -> None:
    wanted = np.array([LANGUAGE[function](float(x)) for x in X])
    np.testing.assert_allclose(compiled(function, X), wanted, rtol=2e-5, atol=1e-5)


def test_closures_and_lambdas() -> None:
    def scaled(by: float) -> Callable[..., Any]:
        def inner(x: float) -> float:
            return helper(x, 1.0) * by

        return inner

    np.testing.assert_allclose(compiled(scaled(2.0), X), 2 * X)
    np.testing.assert_allclose(compiled(scaled(3.0), X), 3 * X)
    np.testing.assert_allclose(compiled(lambda x: x + SCALE, X), X + 0.75)


SLOPE = 100.0


def test_defaults_are_the_values_that_the_function_was_made_with() -> None:
    def leaky(SLOPE: float, shift: Any = NUMPY) -> Callable[..., Any]:
        def inner(x: float, a: float = SLOPE * 2, b: float = shift) -> float:
            return x * a + b

        return inner

    np.testing.assert_allclose(compiled(leaky(0.5), X), X + 1.25)
    np.testing.assert_allclose(compiled(leaky(1.0, 3), X), 2 * X + 3)
    changed = leaky(1.0)
    changed.__defaults__ = (4.0, 1.0)  # type: ignore[attr-defined]
    np.testing.assert_allclose(compiled(changed, X), 4 * X + 1)


def positional(x: float, /, a: float = 2.0) -> float:
    return x * a


def test_positional_only_arguments() -> None:
    np.testing.assert_allclose(compiled(positional, X), 2 * X)


def test_lambdas_of_constants_on_one_line() -> None:
    """Their places in the line are not in their code: they are told apart by the code itself."""
    one, other = (lambda x, y: 1.0), (lambda x, y: 3.0)
    assert [definition(each).body[0].value.value for each in (one, other)] == [1.0, 3.0]  # type: ignore[attr-defined]


def test_two_lambdas_on_one_line() -> None:
    first, second = (lambda x: x + 1.0, lambda x: x * 2.0)
    np.testing.assert_allclose(compiled(first, X), X + 1)
    np.testing.assert_allclose(compiled(second, X), X * 2)


def test_parameters_stay_run_time_scalars() -> None:
    first, second = (map_text(defaults, ["full", "scalar", "scalar"], 1)[0] for _ in range(2))
    assert first == second
    np.testing.assert_allclose(compiled(defaults, X, 3.0, 4.0), 3 * X + 4)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "far_helpers.py").write_text(
        "import math\nfrom math import exp\nFACTOR = 1.5\n\ndef deep(x):\n    return exp(x) * FACTOR\n\n"
        "def far(x, scale=2.0):\n    return deep(x) * scale + math.log1p(abs(x))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("far_helpers")
    sys.modules.pop("far_helpers", None)


def test_helpers_of_other_modules(elsewhere: Any) -> None:
    far = elsewhere.far

    def by_name(x: float) -> float:
        return far(x) + 1.0

    def by_module(x: float) -> float:
        return elsewhere.far(x, 2.0) + 1.0

    wanted = np.exp(X.astype(np.float64)) * 3 + np.log1p(np.abs(X)) + 1
    np.testing.assert_allclose(compiled(by_name, X), wanted, rtol=2e-5)
    np.testing.assert_allclose(compiled(by_module, X), wanted, rtol=2e-5)


def test_the_reference_never_raises_in_helpers_of_other_modules(elsewhere: Any) -> None:
    def by_module(x: float) -> float:
        return elsewhere.deep(x)

    assert reference_function(by_module)(np.float64(1000.0)) == math.inf


def edges(x: float) -> float:
    return math.log(x)


def edges_2(x: float) -> float:
    return math.log2(x) + math.log10(x)


def edges_sinh(x: float) -> float:
    return math.sinh(x)


def edges_root(x: float) -> float:
    return math.sqrt(x) + 1.0 / x


@pytest.mark.parametrize("function", [edges, edges_2, edges_sinh, edges_root])
def test_special_values_are_those_of_compiled_code(function: Callable[..., Any]) -> None:
    compiled(function, [0.0, -1.0, 1000.0, -1000.0, math.inf, math.nan])


def loops(x: float) -> float:
    for _ in range(3):
        x = x * x
    return x


def waits(x: float) -> float:
    while x > 1.0:
        x = x * 0.5
    return x


def unknown(x: float) -> float:
    return x + not_there  # type: ignore[name-defined] # noqa: F821


def reads_a_list(x: float) -> float:
    return x * TABLE[0]


def asserts(x: float) -> float:
    assert x > 0.0
    return x


def text(x: float) -> float:
    return x + len("abc")


def keyword_only(x: float, *, a: float = 2.0) -> float:
    return x * a


def any_number(x: float, *more: float) -> float:
    return x


def listed(x: float, a: Any = TABLE) -> float:
    return x


VALUES = np.array([1.0, 2.0])


def element(x: float) -> float:
    return x * VALUES[1]


def cube_root(x: float) -> float:
    return math.cbrt(x)


def recursive(x: float) -> float:
    return x if x < 1.0 else recursive(x - 1.0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (loops, "loops.*`for` statement"),
        (waits, "waits.*`while` statement"),
        (unknown, "not_there"),
        (reads_a_list, "TABLE"),
        (asserts, "asserts.*`assert` statement"),
        (recursive, "recursive.*calls itself"),
        (element, r"element.*uses VALUES = array\(\[1., 2.\]\), an array; .*r.table"),
        (cube_root, "cube_root.*calls math.cbrt, which compiled code does not have"),
        (keyword_only, "keyword_only.*has keyword-only arguments"),
        (any_number, r"any_number.*`\*`"),
        (listed, r"uses a = \[1.0, 2.0\]"),
        (print, "not a Python function"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_refusals_say_what_and_where(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(ScalarError, match=message):
        map_text(function, ["full"], 1)


def test_a_function_without_source_is_read_from_its_code_unless_it_has_a_loop() -> None:
    scope: dict[str, Any] = {}
    exec("def f(x):\n    return x * 3.0\ndef g(x):\n    while x > 1.0: x -= 1.0\n    return x\n", scope)
    text, _ = map_text(scope["f"], ["full"], 1)
    assert "return x * " in text
    with pytest.raises(ScalarError, match="source cannot be read"):
        map_text(scope["g"], ["full"], 1)


def norms(x: Array, y: Array) -> None:
    y[0, 0] = np.linalg.norm(x)


def test_a_body_that_needs_what_numpy_itself_does_not_hold_is_refused() -> None:
    (x,) = data((5, 3))
    made = probe(lambda r, t: r.kernel(norms, t[0], shapes=[(1,)]), x)
    with pytest.raises(KernelError, match=r"norms.*uses np.linalg.norm, but only what numpy itself holds"):
        made.run("compiled")


# -- files that change while a process lives --------------------------------------------------------------

EDITED = """from __future__ import annotations
import functools, math

SHARE = 2.0


def marked(function):
    return function


def f(x: float, a: float = SHARE) -> float:
    '''What it does.'''
    # and why
    return math.exp(x) * a + 1.0


@marked
@functools.cache
def decorated(x: float) -> float: return x * 2.0


def factory(by):
    def inner(x: float, a: float = by) -> float:
        return x * by + a
    return inner, lambda x: x * by


g, h = lambda x: x + 1.0, lambda x: x - 1.0
"""


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "edited_formulas.py").write_text(EDITED)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("edited_formulas")
    sys.modules.pop("edited_formulas", None)


def functions_of(module: Any) -> list[Any]:
    return [module.f, module.decorated.__wrapped__, *module.factory(3.0), module.g, module.h]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        ("What it does.", "What else it does."),
        ("and why", "and why not"),
        ("SHARE = 2.0", "SHARE = 3.0"),
        ("a: float = SHARE) -> float", "a: int = 7.0) -> None"),
        ("@marked", "@functools.wraps(marked)"),
    ],
)
def test_an_edit_beside_a_function_does_not_concern_it(edited: Any, before: str, after: str) -> None:
    Path(edited.__file__).write_text(EDITED.replace(before, after))
    for function in functions_of(edited):
        map_text(function, ["full"], 1)


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("* a + 1.0", "* a + 2.0", [0]),
        ("* a + 1.0", "* a + 1", [0]),
        ("math.exp(x) * a", "math.expm1(x) * a", [0]),
        ("x * 2.0", "2.0 * x", [1]),
        ("x * by + a", "x * by - a", [2]),
        ("lambda x: x * by", "lambda x: x / by", [3]),
        ("SHARE = 2.0", "SHARE = 2.0\n", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_function_whose_text_changed_since_it_was_imported_is_refused(
    edited: Any, before: str, after: str, changed: list[int]
) -> None:
    Path(edited.__file__).write_text(EDITED.replace(before, after))
    for number, function in enumerate(functions_of(edited)):
        if number in changed:
            with pytest.raises(ScalarError, match="its file changed since it was imported; import it again"):
                map_text(function, ["full"], 1)
        else:
            map_text(function, ["full"], 1)


def inverse_root(x: float) -> float:
    return 1.0 / math.sqrt(x)


def halved_root(x: float) -> float:
    return 0.5 / math.sqrt(x)


@pytest.mark.parametrize(("function", "over"), [(inverse_root, 1.0), (halved_root, 0.5)])
def test_inverse_roots_are_right_at_the_ends(function: Callable[..., Any], over: float) -> None:
    """An estimate of 1/sqrt(x) with a Newton step, which LLVM likes to make of it, is NaN there."""
    x = np.resize(np.array([0.0, np.inf, 4.0, 1e-30], np.float32), (3, 64))
    probe = Probe("roots", lambda r, t: r.map(function, t[0]), [x])
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(probe.run().output, over / np.sqrt(x), rtol=1e-6)


other: Any = types.ModuleType("other")
other.doubled = double


def doubled(x: float) -> float:
    return float(other.doubled(x)) + 1.0


def test_an_attribute_is_not_the_global_of_its_name() -> None:
    assert reference_function(doubled)(3.0) == 7.0


@pytest.mark.parametrize("width", [1, 3, 10, 17, 64, 333])
def test_maxima_are_numpys(width: int) -> None:
    """They are maxima of integers: signs, zeros, denormals and infinities must come through, and NaN must win."""
    rng = np.random.default_rng(0)
    ends = np.array([0, -0.0, 1, -1, 5, -7, 1e-40, -1e-40, 3e38, -3e38, np.inf, -np.inf], np.float32)
    x = np.concatenate([rng.choice(ends, (200, width)), rng.normal(size=(200, width)).astype(np.float32)])
    x[0], x[1] = -np.inf, -0.0

    def run(reduction: str, x: Array) -> Array:
        record = lambda r, t: r.sum(same, t[0], over="features", reduction=reduction)  # noqa: E731
        return Probe("maxima", record, [x]).run().output[:, 0]

    np.testing.assert_array_equal(run("max", x), x.max(axis=1))
    np.testing.assert_array_equal(run("argmax", x), x.argmax(axis=1))
    x[5, width // 2], x[6, 0] = np.nan, -np.float32(np.nan)
    np.testing.assert_array_equal(np.isnan(run("max", x)), np.isnan(x).any(axis=1))
