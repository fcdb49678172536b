"""The CUDA engine's operations in Numba's simulator, against NumPy; its launches, against what must hold of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from random import Random
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import (
    check_all,
    check_guards,
    check_memory,
    check_order,
    random_probe,
    running,
    running_cuda,
)

from nbdl.engine.cuda import availability

if not availability.simulated():
    pytest.skip("kernels run in the simulator: set NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from nbdl import Sequential
from nbdl.engine.cuda import column_text as columns
from nbdl.engine.cuda import feed, lowering, open_runtime
from nbdl.engine.cuda import product_text as product
from nbdl.engine.cuda import row_text as rows
from nbdl.engine.cuda.executor import CudaExecutor, row_indices
from nbdl.engine.cuda.fusion import MOST_OPERATIONS, Fusion, Group, accepts
from nbdl.engine.cuda.lowering import Lowering
from nbdl.engine.cuda.text import GPU, SIMULATOR, Launch, Sizes
from nbdl.engine.random import uniform
from nbdl.engine.store import Weight
from nbdl.errors import ConfigError
from nbdl.layers import Dense
from nbdl.model.owner import job_of
from nbdl.network.executors import program_of
from nbdl.program.functions import add, same, times
from nbdl.program.operation import Operation
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.testing.agreement import close, same_bits
from nbdl.testing.probe import SEED, Array, Outcome, Probe, Record, assert_close, logged
from nbdl.testing.units import fixed, generator, reals, with_values

WIDE = SIMULATOR.widest_row  # columns up to which a thread has one element
FEW = settings(max_examples=8, deadline=None, derandomize=True)


def probe(record: Record, *sources: Array, weights: Sequence[Weight] = (), **options: Any) -> Probe:
    given = [np.ascontiguousarray(source, np.float32) for source in sources]
    return with_values(Probe("operation", record, given, list(weights), **options))


def data(*shapes: tuple[int, ...]) -> list[Array]:
    rng = generator()
    return [reals(rng, *shape) for shape in shapes]


def executor(made: Probe, rows: int = 0, **options: Any) -> CudaExecutor:
    """The probe's executor, with options that tests alone set."""
    kinds = ["float32" if made.gathered else None] * len(made.sources)
    slots = np.zeros(max(1, made.slots), np.float32)
    return CudaExecutor(made.program, made.store, rows or made.rows, kinds, slots, open_runtime(), **options)


def is_right(made: Probe, output: Any = None, log: Any = None, rtol: float = 1e-5, atol: float = 2e-6,
             run: Any = None) -> Outcome:  # fmt: skip
    """What NumPy says, and with each operation in a launch of its own the same bits."""
    found = made.run("cuda", executor=run or executor(made))
    for wanted, values in ((output, found.output), (log, found.log)):
        if wanted is not None:
            assert_close(values, np.asarray(wanted, np.float64).reshape(values.shape), "CUDA", rtol, atol)
    if run is None:
        same_bits(made.run("cuda", executor=executor(made, fuse=False)), found, "a launch for each operation")
    return found


def kinds(made: Probe, **options: Any) -> list[tuple[str, int]]:
    """The groups that a program is launched in: kind and number of operations."""
    return [(group.kind, len(group.operations)) for group in executor(made, **options).lowering.fusion.groups]


# -- map --------------------------------------------------------------------------------------------------


def seven(x: float, feature: float, row: float, scalar: float, constant: float, column: float, draw: float) -> float:
    return x * feature + row - scalar + constant * column + draw


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 2 * WIDE + 3)])
@pytest.mark.parametrize("gathered", [False, True])
def test_a_map_reads_operands_of_all_kinds(shape: tuple[int, int], gathered: bool) -> None:
    x, row, feature = data(shape, (shape[0], 1), (shape[1],))
    weight = fixed("feature", feature)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        column = Tensor((shape[1],), False, "index", "column")
        return r.map(seven, t[0], weight.tensor, t[1], r.rows, 0.25, column, r.uniform(t[0]))

    made = probe(record, x, row, weights=[weight], gathered=gathered)
    drawn = uniform(*shape, SEED, 0, 1)
    is_right(made, x * feature + row - shape[0] + 0.25 * np.arange(shape[1]) + drawn)
    assert kinds(made) == [("rows", 1)], "batches and random numbers are not stored"


def halves(x: float) -> tuple[float, float]:
    return x * 0.5, x * 2.0


def test_a_map_has_several_results_also_in_place() -> None:
    (w,) = data((37,))
    first, second = fixed("a", w), fixed("b", np.zeros_like(w))

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        with r.recording("both", "update"):
            r.map(halves, first.tensor, into=[first.tensor, second.tensor])
            r.map(add, first.tensor, second.tensor, into=[second.tensor])

    after = is_right(probe(record, weights=[first, second])).weights
    np.testing.assert_array_equal(after[:37], w * 0.5)
    np.testing.assert_allclose(after[48 : 48 + 37], w * 2.5, rtol=1e-6)


def test_maps_of_fixed_shapes_where_a_vector_meets_a_matrix() -> None:
    matrix, vector = data((4, 3), (3,))
    a, b = fixed("a", matrix), fixed("b", vector)

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        total = r.map(add, a.tensor, r.map(times, b.tensor, b.tensor))
        logged(r, "again", r.map(add, r.reshape(total, (2, 6)), 1.0))
        logged(r, "rows", r.sum(same, total))

    made = probe(record, weights=[a, b])
    total = matrix + vector * vector
    is_right(made, log=np.concatenate([(total + 1.0).ravel(), total.sum(axis=0)]))


def test_reshaped_tensors_share_their_memory() -> None:
    (w,) = data((6, 2))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        doubled = r.map(add, weight.tensor, weight.tensor)
        logged(r, "product", r.gemm(r.reshape(doubled, (3, 4)), r.reshape(doubled, (4, 3))))
        logged(r, "columns", r.sum(same, r.reshape(doubled, (3, 4))))
        logged(r, "lines", r.sum(same, r.reshape(doubled, (4, 3)), over="features"))

    two = 2 * w
    three, four = two.reshape(3, 4), two.reshape(4, 3)
    log = [(three @ four).ravel(), three.sum(axis=0), four.sum(axis=1)]
    is_right(probe(record, weights=[weight]), log=np.concatenate(log))


# -- sum --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (3, WIDE), (2, 2 * WIDE + 5), (1, 40), (37, 2)])
@pytest.mark.parametrize("reduction", ["sum", "max"])
def test_reductions(shape: tuple[int, int], reduction: str) -> None:
    (x,) = data(shape)
    numpy = np.sum if reduction == "sum" else np.max

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        logged(r, "rows", r.sum(same, t[0], reduction=reduction))
        return r.sum(same, t[0], over="features", reduction=reduction)

    exact = x.astype(np.float64)
    is_right(probe(record, x), numpy(exact, axis=1), numpy(exact, axis=0))


@pytest.mark.parametrize("width", [5, 2 * WIDE + 3])
def test_softmax_goes_along_a_row_several_times(width: int) -> None:
    """What a later pass needs is read back from memory where rows are wider than a block."""
    (x,) = data((3, width))

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        shifted = r.map(minus, t[0], r.sum(same, t[0], over="features", reduction="max"))
        squares = r.map(times, shifted, shifted)
        return r.map(add, squares, r.map(times, r.sum(same, squares, over="features"), 0.5))

    made = probe(record, x)
    squares = (x - x.max(axis=1, keepdims=True)).astype(np.float64) ** 2
    is_right(made, squares + 0.5 * squares.sum(axis=1, keepdims=True))
    assert kinds(made) == [("rows", 6)], "one launch"


def minus(x: float, y: float) -> float:
    return x - y


NAN, INF = float("nan"), float("inf")
ROWS_TO_SEARCH: list[Any] = [
    ([1.0, 3.0, 3.0], 1), ([2.0] * 3, 0), ([-INF] * 3, 0), ([0.0, -1.0, 5.0], 2), ([-INF, -INF, -9.0], 2),
    ([1.0, INF, INF], 1), ([-3.0], 0), ([-INF], 0), ([0.0] * 9 + [7.0] * 9, 9), ([-INF] * 19, 0),
]  # fmt: skip


@pytest.mark.parametrize("width", [1, 3, 18])
def test_argmax_takes_the_first_of_equals(width: int) -> None:
    x = np.array([row for row, _ in ROWS_TO_SEARCH if len(row) == width], np.float32)
    wanted = [place for row, place in ROWS_TO_SEARCH if len(row) == width]
    is_right(probe(lambda r, t: r.sum(same, t[0], over="features", reduction="argmax"), x), wanted)


def test_argmax_of_nan_is_the_cpus() -> None:
    x = np.array([[NAN, 1, 2], [2, NAN, 1], [NAN] * 3, [-INF, NAN, -INF]], np.float32)
    made = probe(lambda r, t: r.sum(same, t[0], over="features", reduction="argmax"), x)
    same_bits(made.run("cuda"), made.run("compiled"), "argmax of NaN")


@pytest.mark.parametrize("shape", [(5, 4), (3, 2 * WIDE + 3), (40, 2)])
def test_a_maximum_keeps_nan(shape: tuple[int, int]) -> None:
    (x,) = data(shape)
    x[shape[0] - 1, shape[1] - 1] = x[0, 1] = np.nan

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        logged(r, "rows", r.sum(same, t[0], reduction="max"))
        return r.sum(same, t[0], over="features", reduction="max")

    is_right(probe(record, x), x.max(axis=1), x.max(axis=0))


@pytest.mark.parametrize("shape", [(7, 5), (1, 50), (45, 3), (3,), (60,)])
def test_sums_of_weights(shape: tuple[int, ...]) -> None:
    """Also those whose rows, or whose only row, are summed in parts."""
    (w,) = data(shape)
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        logged(r, "total", r.total(times, weight.tensor, 2.0))
        logged(r, "rows", r.sum(same, weight.tensor))

    exact = w.astype(np.float64)
    down = exact.sum(axis=0) if w.ndim > 1 else exact
    is_right(probe(record, weights=[weight]), log=[2 * exact.sum(), *np.ravel(down)])


def test_many_rows_are_summed_in_parts_in_an_order_of_their_own() -> None:
    """Also those of a batch that is shorter than the one planned for."""
    (x,) = data((90, 2))

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        logged(r, "total", r.sum(times, t[0], t[0]))

    made = probe(record, x)
    assert [kind for kind, _ in kinds(made)] == ["columns", "columns"] or kinds(made)[:2] == [("columns", 1)] * 2
    found = made.run("cuda", parts=[80, 10], executor=executor(made, 80))
    assert_close(found.log, np.stack([(part.astype(np.float64) ** 2).sum(axis=0) for part in (x[:80], x[80:])]),
                 "parts", 1e-5)  # fmt: skip


def test_reductions_over_the_same_rows_share_a_launch_also_across_others() -> None:
    x, y = data((6, 3), (6, 5))

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        first = r.sum(same, t[0])
        halved = r.map(times, t[1], 0.5)
        scaled = r.map(times, halved, r.sum(same, halved, over="features"))
        logged(r, "second", r.sum(times, scaled, t[1]))
        logged(r, "first", first)
        return scaled

    made = probe(record, x, y)
    half = 0.5 * y.astype(np.float64)
    scaled = half * half.sum(axis=1, keepdims=True)
    is_right(made, scaled, np.concatenate([(scaled * y).sum(axis=0), x.astype(np.float64).sum(axis=0)]))
    assert ("columns", 2) in kinds(made)


# -- gemm -------------------------------------------------------------------------------------------------

LARGE_TILE, SMALL_TILE, NARROW_TILE = SIMULATOR.tiles


@pytest.mark.parametrize("gathered", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 5), (9, 7, 1), (11, 5, 13)])
def test_products(shape: tuple[int, int, int], transposed: bool, gathered: bool) -> None:
    rows, inner, columns = shape
    x, w, b = data((rows, inner), (columns, inner) if transposed else (inner, columns), (columns,))
    matrix, bias = fixed("w", w), fixed("b", b)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        first = r.gemm(t[0], matrix.tensor, bias.tensor, transpose_b=transposed)
        doubled = r.map(times, first, 2.0)
        return r.map(add, r.map(times, doubled, doubled), r.gemm(t[0], matrix.tensor, transpose_b=transposed))

    made = probe(record, x, weights=[matrix, bias], gathered=gathered)
    plain = x.astype(np.float64) @ (w.T if transposed else w)
    is_right(made, (2 * (plain + b)) ** 2 + plain, rtol=2e-5, atol=4e-6)


def test_products_in_all_tiles() -> None:
    """One tile that is not filled, and several."""
    for height, width, tile in ((7, 7, SMALL_TILE), (31, 30, LARGE_TILE), (35, 3, NARROW_TILE)):
        x, w = data((height, 6), (6, width))
        matrix = fixed("w", w)
        made = probe(lambda r, t, matrix=matrix: r.gemm(t[0], matrix.tensor), x, weights=[matrix])
        assert product.choose(height, width, 6, SIMULATOR)[0] is tile
        assert_close(made.run("cuda").output, x.astype(np.float64) @ w, f"{tile}", 1e-5, 2e-6)


@pytest.mark.parametrize("with_bias", [False, True])
def test_a_long_inner_size_is_split_and_added_in_order(with_bias: bool) -> None:
    inner = 3 * SIMULATOR.split_inner + 5
    x, w, b = data((3, inner), (inner, 2), (2,))
    matrix, bias = fixed("w", w), fixed("b", b)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        split = r.gemm(t[0], matrix.tensor, bias.tensor if with_bias else None)
        return r.map(add, split, r.sum(same, split, over="features"))

    made = probe(record, x, weights=[matrix, bias])
    parts = product.choose(3, 2, inner, SIMULATOR)[1]
    assert parts > 2
    wanted = x.astype(np.float64) @ w + with_bias * b
    is_right(made, wanted + wanted.sum(axis=1, keepdims=True))
    found = made.run("cuda", parts=[2, 1], executor=executor(made, 3)).output
    assert_close(found, wanted + wanted.sum(axis=1, keepdims=True), "fewer rows than planned for", 1e-5, 2e-6)
    assert kinds(made)[0] == ("product", 1)


@pytest.mark.parametrize("rows", [1, 5, 4 * SIMULATOR.split_inner + 3])
@pytest.mark.parametrize("gathered", [False, True])
def test_products_over_the_rows(rows: int, gathered: bool) -> None:
    """The gradient of a weight: both operands may be batches, and maps follow."""
    x, y, g = data((rows, 3), (rows, 2), (3, 2))
    other = fixed("g", g)

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        logged(r, "gradient", r.map(add, r.gemm(t[0], t[1], transpose_a=True), other.tensor))

    made = probe(record, x, y, weights=[other], gathered=gathered)
    is_right(made, log=x.T.astype(np.float64) @ y + g)


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_products_of_weights(transpose_a: bool, transpose_b: bool) -> None:
    a, b = data((3, 9) if transpose_a else (9, 3), (10, 3) if transpose_b else (3, 10))
    first, second = fixed("a", a), fixed("b", b)

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        logged(r, "product", r.gemm(first.tensor, second.tensor, None, transpose_a, transpose_b))

    wanted = (a.T if transpose_a else a).astype(np.float64) @ (b.T if transpose_b else b)
    is_right(probe(record, weights=[first, second]), log=wanted)


def test_what_others_read_of_a_products_maps_is_kept() -> None:
    """Intermediate results stay in registers unless another launch reads them."""
    x, w = data((5, 4), (4, 3))
    matrix = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        z = r.gemm(t[0], matrix.tensor)
        y = r.map(times, z, z)
        u = r.map(add, y, 1.0)
        logged(r, "z", r.sum(same, z))
        logged(r, "y", r.sum(same, y))
        return u

    made = probe(record, x, weights=[matrix])
    z = x.astype(np.float64) @ w
    is_right(made, z * z + 1, np.concatenate([z.sum(axis=0), (z * z).sum(axis=0)]))
    assert kinds(made)[:2] == [("product", 3), ("columns", 2)]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Sizes:
    """Products of ten multiplications and more go to the simulator's cuBLAS."""
    monkeypatch.setattr(open_runtime(), "library", "13.0")
    return dataclasses.replace(SIMULATOR, library=10)


@pytest.mark.parametrize("gathered", [False, True])
def test_large_products_go_to_the_library(library: Sizes, gathered: bool) -> None:
    """A batch is then gathered into memory; the bias is added afterwards."""
    x, w, b = data((5, 4), (4, 3), (3,))
    matrix, bias = fixed("w", w), fixed("b", b)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        z = r.gemm(t[0], matrix.tensor, bias.tensor)
        back = r.gemm(z, matrix.tensor, transpose_b=True)
        logged(r, "gradient", r.gemm(t[0], z, transpose_a=True))
        drawn = r.gemm(r.uniform(t[0]), matrix.tensor)
        logged(r, "drawn", r.sum(same, drawn))
        return r.map(add, back, 1.0)

    made = probe(record, x, weights=[matrix, bias], gathered=gathered)
    run = executor(made, sizes=library)
    assert [group.kind for group in run.lowering.fusion.groups].count("library") == 4
    z = x.astype(np.float64) @ w + b
    drawn = (uniform(5, 4, SEED, 0, 1).astype(np.float64) @ w).sum(axis=0)
    is_right(made, z @ w.T + 1, np.concatenate([(x.T @ z).ravel(), drawn]), run=run)


def test_tf32_takes_a_library() -> None:
    (x,) = data((2, 2))
    with pytest.raises(ConfigError, match=r"tf32.*cublas"):
        executor(probe(lambda r, t: r.map(add, t[0], 1.0), x), precision="tf32")


# -- kernel, uniform, one_hot ---------------------------------------------------------------------------------


def test_random_numbers_are_the_cpus_bit_for_bit() -> None:
    (x,) = data((3, 11))

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        first, second = r.uniform(t[0]), r.uniform(t[0])
        logged(r, "second", r.sum(same, second, reduction="max"))
        return first

    seed = (1 << 63) + 12345
    for step in (1, 2**31 + 5):
        made = probe(record, x)
        found = made.run("cuda", seed=seed, first_step=step)
        np.testing.assert_array_equal(found.output, uniform(3, 11, seed, 0, step))
        np.testing.assert_array_equal(found.log[0], uniform(3, 11, seed, 1, step).max(axis=0))


def test_hand_written_bodies_run_a_block_a_row() -> None:
    x, w = data((3, 5), (5,))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        y, last = r.kernel(running, r.map(add, t[0], weight.tensor), shapes=[(5,), (1,)], cuda=running_cuda)
        r.kernel(running, t[0], shapes=[(5,), (1,)], cuda=running_cuda)
        return r.map(add, y, last)

    sums = np.cumsum(0.125 * (x.astype(np.float64) + w), axis=1)
    is_right(probe(record, x, weights=[weight]), sums + sums[:, -1:])


def test_a_body_for_the_cpu_alone_is_refused_by_name() -> None:
    (x,) = data((3, 5))

    def record(r: Recorder, t: Sequence[Tensor]) -> Any:
        with r.recording("my layer", "forward"):
            return r.kernel(running, t[0], shapes=[(5,), (1,)])[0]

    with pytest.raises(ConfigError, match=r"'my layer' \(of 'random_programs'\).*running.*no CUDA body.*device='cpu'"):
        executor(probe(record, x))


def test_one_hot_of_gathered_labels() -> None:
    labels = np.array([[2], [0], [1], [4], [-1]], np.float32)
    made = probe(lambda r, t: r.one_hot(t[0], 5), labels, gathered=True)
    is_right(made, [[label == column for column in range(5)] for label in labels[:, 0]])


# -- memory, order, tables ------------------------------------------------------------------------------------


def test_predictions_of_batches_lie_where_their_rows_do() -> None:
    (x,) = data((11, 3))
    made = probe(lambda r, t: r.map(add, t[0], 1.0), x)
    found = made.run("cuda", parts=[2] * 5 + [1])
    np.testing.assert_array_equal(found.output, x + 1)


def test_predictions_that_are_read_or_written_as_a_matrix_of_their_own(library: Sizes) -> None:
    """Their place in memory is another one each step."""
    x, w = data((5, 5), (5, 5))
    matrix = fixed("w", w)

    def read(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        y = r.map(times, t[0], 2.0)
        logged(r, "sums", r.sum(same, y))
        logged(r, "product", r.gemm(y, r.reshape(y, (5,)), transpose_a=True))
        return y

    def changed(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        return r.add_to(r.map(times, t[0], 1.0), same, t[0])

    def by_hand(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        return r.kernel(running, t[0], shapes=[(5,), (1,)], cuda=running_cuda)[0]

    def by_library(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        return r.gemm(t[0], matrix.tensor)

    exact = x.astype(np.float64)
    wanted = {read: 2 * exact, changed: 2 * exact, by_hand: np.cumsum(0.125 * exact, axis=1), by_library: exact @ w}
    for record, output in wanted.items():
        made = probe(record, x, weights=[matrix] if record is by_library else [])
        found = made.run("cuda", parts=[2, 2, 1], executor=executor(made, 2, sizes=library))
        assert_close(found.output, output, record.__name__, 1e-5, 2e-6)
        if record is read:
            parts = [2 * exact[start : start + 2] for start in (0, 2, 4)]
            sums = np.stack([np.concatenate([part.sum(axis=0), (part.T @ part).ravel()]) for part in parts])
            assert_close(found.log, sums, "what reads them", 1e-5, 2e-6)


def test_a_column_of_predictions() -> None:
    (x,) = data((5, 3))
    made = probe(lambda r, t: r.sum(same, t[0], over="features"), x)
    assert_close(made.run("cuda", parts=[2, 2, 1]).output, x.sum(axis=1, keepdims=True), "column", 1e-6)


def test_writing_in_place_waits_for_readers() -> None:
    x, w = data((5, 3), (3, 3))
    matrix = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        y = r.map(times, t[0], 2.0)
        before = r.gemm(y, matrix.tensor)
        sums = r.sum(same, y)
        r.add_to(y, same, 1.0)
        after = r.gemm(y, matrix.tensor)
        return r.map(add, r.map(add, before, r.map(times, after, 0.5)), sums)

    y = 2.0 * x.astype(np.float64)
    is_right(probe(record, x, weights=[matrix]), y @ w + 0.5 * (y + 1) @ w + y.sum(axis=0))


def test_a_square_matrix_is_not_mistaken_for_its_own_rows() -> None:
    (w,) = data((4, 4))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        sums = r.sum(same, weight.tensor, over="features")
        logged(r, "along columns", r.map(add, weight.tensor, sums))
        logged(r, "along rows", r.map(add, weight.tensor, r.reshape(sums, (4,))))

    made = probe(record, weights=[weight])
    check_all(executor(made).lowering)
    totals = w.astype(np.float64).sum(axis=1)
    is_right(made, log=np.concatenate([(w + totals[:, None]).ravel(), (w + totals).ravel()]))


def test_weights_change_after_their_last_reader_and_states_of_old_values_keep_them() -> None:
    """The whole weights are updated under another name than the one they are read by."""
    (w,) = data((4, 10))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        old = r.sum(same, weight.tensor)
        r.gradient(weight.tensor, r.map(times, weight.tensor, 0.5))
        gradient = r.gradients[weight.tensor]
        gradient.space, gradient.offset = "gradient", 0
        whole, g = (
            Tensor((40,), False, "weight", "all", weight.tensor.offset),
            Tensor((40,), False, "gradient", "all", 0),
        )
        with r.recording("optimizer", "update"):
            r.map(minus, whole, g, into=[whole])
        with r.recording("norms", "constrain"):
            logged(r, "new", r.sum(same, weight.tensor))
            logged(r, "old", old)

    made = probe(record, weights=[weight])
    exact = w.astype(np.float64).sum(axis=0)
    is_right(made, log=np.concatenate([0.5 * exact, exact]))
    check_order(executor(made).lowering.fusion)


def test_a_reduction_is_not_put_off_beyond_the_update_that_reads_it() -> None:
    """The update names all gradients as one; a later reduction over the same rows would take the first along."""
    (w,) = data((10,))
    weight = fixed("w", w)

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        r.gradient(weight.tensor, r.sum(same, weight.tensor))
        gradient = r.gradients[weight.tensor]
        gradient.space, gradient.offset = "gradient", 0
        whole, g = (
            Tensor((10,), False, "weight", "all", weight.tensor.offset),
            Tensor((10,), False, "gradient", "all", 0),
        )
        with r.recording("optimizer", "update"):
            r.map(minus, whole, g, into=[whole])
        with r.recording("norms", "constrain"):
            logged(r, "new", r.sum(same, weight.tensor))

    made = probe(record, weights=[weight])
    np.testing.assert_array_equal(is_right(made).weights[:10], np.zeros(10))


def test_indices_are_those_that_the_steps_point_to() -> None:
    order = np.array([5, 3, 4, 1, 0, 2, 6], np.int64)
    other = np.array([1, 0], np.int64)
    steps = np.zeros((5, 4), np.int64)
    steps[:, 0], steps[:, 1] = [0, 3, 6, 0, 2], [3, 3, 1, 2, 2]
    steps[:3, 3] = order.ctypes.data + 8 * steps[:3, 0]
    steps[3, 3] = other.ctypes.data
    assert row_indices(steps, 3).tolist() == [[5, 3, 4], [1, 0, 2], [6, 0, 0], [1, 0, 0], [2, 3, 0]]


# -- any program ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(0, 120, 10))
def test_launches_of_any_program(seed: int) -> None:
    """Each operation once, in an order that nobody notices, on memory that nobody else needs."""
    for number in range(seed, seed + 10):
        random = Random(number)
        made = random_probe(random, size=random.choice([3, 10, 40]))
        for sizes in (SIMULATOR, GPU, dataclasses.replace(SIMULATOR, library=40)):
            for fuse in (True, False):
                given = made.program, made.rows, ["float32"] * 3, made.store.trainable_size, sizes
                check_all(Lowering(*given, library=sizes.library == 40, fuse=fuse))


@FEW
@given(st.integers(0, 1 << 20))
def test_any_program(seed: int) -> None:
    """Fused and not, the same bits; and what float64 gives, within roundings; in batches, step after step."""
    random = Random(seed)
    made = random_probe(random, size=4, rows=random.choice([2, 3]))
    made.gathered, made.steps = random.random() < 0.5, 2
    parts = [1] * made.rows if random.random() < 0.3 else [made.rows]
    fused = made.run("cuda", parts=parts)
    same_bits(made.run("cuda", parts=parts, executor=executor(made, max(parts), fuse=False)), fused, "not fused")
    close(fused, made.run("float64", parts=parts), "float64", 2e-4, 2e-5)


def test_what_a_row_has_one_of_is_not_written_where_its_other_threads_read() -> None:
    column, other, result = (Tensor((1,), True, name=name) for name in "abc")
    wide = Operation("map", (column,), (Tensor((5,), True),), (None, 5), same)
    read = Operation("map", (column,), (result,), (None, 1), same)
    written = Operation("map", (other,), (column,), (None, 1), same)
    assert accepts(Group("rows", None, 5, 0, [wide]), read, "rows", True)
    assert not accepts(Group("rows", None, 5, 0, [wide, read]), written, "rows", True)
    assert not accepts(Group("rows", None, 1, 0, [read, written]), wide, "rows", True)


def test_launches_stay_small_in_deep_nets() -> None:
    model = Sequential([Dense(3, input_dim=3) for _ in range(40)])
    model.compile(loss="mse", optimizer="sgd")
    lowering = Lowering(program_of(job_of(model), "train"), 5, ["float32"] * 3, model.store.trainable_size, GPU)
    assert max(len(launch.operations) for launch in lowering.launches) <= MOST_OPERATIONS


# -- planted defects: each is seen by the tests above -----------------------------------------------------------


def seen(test: Any, *arguments: Any) -> None:
    with pytest.raises((AssertionError, ValueError, IndexError, KeyError)):
        test(*arguments)


def with_text(launch: Launch, text: str) -> Launch:
    assert launch.kernel is not None
    launch.kernel = dataclasses.replace(launch.kernel, text=text)
    return launch


def replaced_in(module: Any, name: str, old: str, new: str) -> Any:
    """A kernel's maker whose text has something else in one place."""
    ordinary = getattr(module, name)

    def maker(*arguments: Any, **named: Any) -> Any:
        made = ordinary(*arguments, **named)
        return with_text(made, made.kernel.text.replace(old, new))

    return mock.patch.object(lowering, name, maker)


def test_parts_of_a_product_at_a_wrong_place_are_seen() -> None:
    with replaced_in(
        product, "product_launch", "int32(cuda.blockIdx.z) *", "int32(cuda.gridDim.z - cuda.blockIdx.z) *"
    ):
        seen(test_a_long_inner_size_is_split_and_added_in_order, False)
    with replaced_in(product, "product_launch", "int32(rounds * (part + 1))", "int32(rounds * part + 1)"):
        seen(test_a_long_inner_size_is_split_and_added_in_order, False)


def test_a_lost_bias_is_seen() -> None:
    with mock.patch.object(product._ProductText, "_add_bias", return_value=[]):
        seen(test_products, (3, 1, 5), False, False)
    ordinary_value = rows._RowsText._value

    def value(self: Any, operation: Any, j: str = "j") -> str:
        return "total" if operation.kind == "combine" else ordinary_value(self, operation, j)

    with mock.patch.object(rows._RowsText, "_value", value):
        seen(test_a_long_inner_size_is_split_and_added_in_order, True)
        test_a_long_inner_size_is_split_and_added_in_order(False)


def test_a_value_that_is_not_stored_is_seen() -> None:
    ordinary = Fusion.stored

    def stored(self: Fusion, group: Any) -> set[int]:
        return ordinary(self, group) - {id(group.operations[0].outputs[0].storage)} if group.kind == "product" else (
            ordinary(self, group))  # fmt: skip

    with mock.patch.object(Fusion, "stored", stored):
        seen(test_what_others_read_of_a_products_maps_is_kept)
    with mock.patch.object(rows, "crossing", return_value=set()):
        seen(test_softmax_goes_along_a_row_several_times, 2 * WIDE + 3)


def test_a_missing_guard_is_seen() -> None:
    with mock.patch("nbdl.engine.cuda.fusion.Group.guarded", False), pytest.raises((AssertionError, ValueError)):
        check_guards(random_lowering())


def test_memory_that_is_given_to_two_is_seen() -> None:
    with (
        mock.patch.object(
            Lowering, "_fit", lambda self, free, size: free[0][0] if free else self.arena_plan.take(size)
        ),
        pytest.raises(AssertionError, match="overlap"),
    ):
        [check_memory(random_lowering(seed)) for seed in range(20)]


def test_operations_in_a_wrong_order_are_seen() -> None:
    with mock.patch("nbdl.engine.cuda.fusion.ORDERED_PHASES", ()), pytest.raises(AssertionError, match="order"):
        [check_order(random_lowering(seed).fusion) for seed in range(20)]
    with mock.patch("nbdl.engine.cuda.fusion._keeps_apart", return_value=True):
        seen(test_a_square_matrix_is_not_mistaken_for_its_own_rows)


def random_lowering(seed: int = 0) -> Lowering:
    made = random_probe(Random(seed), size=30)
    return Lowering(made.program, made.rows, ["float32"] * 3, made.store.trainable_size, SIMULATOR)


def test_a_log_at_a_wrong_position_is_seen() -> None:
    ordinary = CudaExecutor.pointer

    def pointer(self: CudaExecutor, tensor: Tensor, position: int) -> Any:
        return ordinary(self, tensor, 0 if tensor.space == "log" else position)

    with mock.patch.object(CudaExecutor, "pointer", pointer):
        seen(logs_of_each_step)
    logs_of_each_step()


def logs_of_each_step() -> None:
    (x,) = data((7, 2))

    def record(r: Recorder, t: Sequence[Tensor]) -> None:
        logged(r, "sum", r.sum(same, t[0]))

    found = probe(record, x).run("cuda", parts=[1] * 7)
    np.testing.assert_array_equal(found.log, x)


def test_a_ring_with_its_halves_swapped_is_seen() -> None:
    with mock.patch.object(feed, "RESIDENT_SHARE", -1.0):
        logs_of_each_step()
        ordinary = feed.Streamed.positions
        with mock.patch.object(feed.Streamed, "positions", lambda s, turn, indices: ordinary(s, turn + 1, indices)):
            seen(logs_of_each_step)
        with mock.patch.object(open_runtime(), "wait", return_value=None):
            seen(logs_of_each_step)


REMOVED: list[Any] = [
    (product, "product_launch", test_products, ((11, 5, 13), False, False)),
    (rows, "rows_launch", test_softmax_goes_along_a_row_several_times, (5,)),
    (columns, "columns_launch", test_reductions, ((37, 2), "sum")),
]


@pytest.mark.parametrize(
    ("module", "name", "test", "arguments"), REMOVED, ids=lambda value: getattr(value, "__name__", "")
)
@pytest.mark.parametrize("number", [0, 1])
def test_a_removed_barrier_is_seen(number: int, module: Any, name: str, test: Any, arguments: Any) -> None:
    """Threads that are interrupted often meet as they should not, nearly always at the first try."""
    ordinary = getattr(module, name)

    def maker(*given: Any, **named: Any) -> Any:
        made = ordinary(*given, **named)
        before, *after = made.kernel.text.split("cuda.syncthreads()")
        after[number] = "\x00" + after[number]
        return with_text(made, "cuda.syncthreads()".join([before, *after]).replace("cuda.syncthreads()\x00", "pass"))

    with mock.patch.object(lowering, name, maker):
        for _ in range(10):
            try:
                test(*arguments)
            except (AssertionError, IndexError):
                return
    pytest.fail("ten runs without the barrier were right")
