"""Layers that move numbers, the tables that they move them by, and hand-written bodies as C."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_export_c import FLAGS, library, pointer, self_test

import nbdl
from nbdl.engine.cpu.texts import kernel_text
from nbdl.errors import ConfigError
from nbdl.layers import Dense, Embedding, Flatten, Permute, RepeatVector, Reshape
from nbdl.program.bodies import take
from nbdl.program.functions import add, times
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.testing.agreement import same_bits
from nbdl.testing.probe import Probe, forced

EXACT = 1 << 24
EVERYWHERE = ("compiled", "plain", "checked", "python", "float64", "cuda", "checked cuda")

# -- Keras's numbers --------------------------------------------------------------------------------------

Z = np.arange(24.0).reshape(1, 2, 3, 4)


def predicted(layer: nbdl.Layer, x: Any) -> Any:
    x = np.asarray(x)
    layer.set_input_shape(x.shape[1:])
    return nbdl.Sequential([layer]).predict(x)


@pytest.mark.parametrize(
    ("dims", "shape", "numbers"),
    [
        ((3, 1, 2), (4, 2, 3), [0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23]),
        ((2, 3, 1), (3, 4, 2), [0, 12, 1, 13, 2, 14, 3, 15, 4, 16, 5, 17, 6, 18, 7, 19, 8, 20, 9, 21, 10, 22, 11, 23]),
    ],
)
def test_permute_is_kerass(dims: tuple[int, ...], shape: tuple[int, ...], numbers: list[int]) -> None:
    found = predicted(Permute(dims), Z)
    assert found.shape == (1, *shape)
    assert found.reshape(-1).tolist() == numbers


def test_repeat_vector_is_kerass() -> None:
    found = predicted(RepeatVector(3), [[1.0, 2.0], [3.0, 4.0]])
    assert found.tolist() == [[[1, 2], [1, 2], [1, 2]], [[3, 4], [3, 4], [3, 4]]]


@pytest.mark.parametrize(
    ("target", "shape"), [((-1, 3, 2), (4, 3, 2)), ((24,), (24,)), (-1, (24,)), ([2, -1], (2, 12))]
)
def test_reshape_is_kerass(target: Any, shape: tuple[int, ...]) -> None:
    found = predicted(Reshape(target), Z)
    np.testing.assert_array_equal(found, Z.reshape(1, *shape))


def test_reshape_copies_nothing() -> None:
    model = nbdl.Sequential([Reshape((2, 3), input_dim=6), Reshape((6,)), Dense(2)])
    assert [operation.kind for operation in model.program("predict").operations] == ["gather", "gemm"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reshape((-1, -1)), "one -1 at most"),
        (lambda: Reshape((-2, 3)), "positive integers"),
        (lambda: Reshape((2.5,)), "a list of integers, got"),
        (lambda: Reshape((0, 3)), "positive integers"),
        (lambda: predicted(Reshape((5,)), Z), "24 elements"),
        (lambda: predicted(Reshape((-1, 5)), Z), "24 elements"),
        (lambda: Permute((0, 1)), "1, 2, ..."),
        (lambda: Permute((1, 1)), "1, 2, ..."),
        (lambda: predicted(Permute((2, 1)), Z), "rows of 2 axes"),
        (lambda: RepeatVector(0), "positive integer"),
        (lambda: RepeatVector(2.5), "integer, got 2.5"),
        (lambda: predicted(RepeatVector(2), Z), "takes vectors"),
    ],
)
def test_what_keras_refuses_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_cuda_trains_as_the_cpu(optimizer: str) -> None:
    rng = np.random.default_rng(5)
    x, y = rng.integers(0, 9, (7, 6)), rng.normal(size=(7, 2, 3)).astype(np.float32)
    found = []
    for device in ("cpu", "cuda"):
        layers = [
            Embedding(9, 2, input_length=6),
            Permute((2, 1)),
            Reshape((4, -1)),
            Flatten(),
            Dense(3),
            RepeatVector(2),
        ]
        model = nbdl.Sequential(layers, seed=3)
        model.compile(optimizer, "mse", device=device)
        model.fit(x, y, batch_size=3, epochs=3, verbose=0)
        found.append(model.get_weights())
    for cpu, cuda in zip(*found, strict=True):
        np.testing.assert_allclose(cuda, cpu, rtol=1e-5, atol=1e-6)


# -- tables -----------------------------------------------------------------------------------------------


def rows(count: int, features: int) -> Any:
    return np.random.default_rng(2).normal(size=(count, features)).astype(np.float32)


def test_a_table_is_an_operand_everywhere() -> None:
    numbers = [0.5, -2.0, EXACT, EXACT - 1, -0.0]

    def record(r: Recorder, tensors: Sequence[Tensor]) -> Tensor:
        return r.map(times, r.map(times, tensors[0], r.table(numbers)), r.table([-4.0]))

    x = np.ones((3, 5), np.float32)
    x[1] = [2.0, 4.0, 1.0, 1.0, -1.0]
    probe = Probe("table", record, [x])
    for how in EVERYWHERE:
        np.testing.assert_array_equal(probe.run(how).output, x * np.float32(numbers) * np.float32(-4.0), err_msg=how)


def test_column_numbers_are_exact() -> None:
    def record(r: Recorder, tensors: Sequence[Tensor]) -> Tensor:
        return r.take(tensors[0], range(299, -1, -1), (300,))

    probe = Probe("take", record, [rows(40, 300)])
    for how in EVERYWHERE:
        np.testing.assert_array_equal(probe.run(how).output, probe.sources[0][:, ::-1], err_msg=how)
    for schedule in ("tiles", "blocks"):
        with forced(schedule, parallel=True):
            executor = probe.executor("compiled")
            for threads in (1, 2):
                np.testing.assert_array_equal(
                    probe.run(threads=threads, executor=executor).output, probe.sources[0][:, ::-1]
                )


def test_tables_and_numbers_are_stored_once() -> None:
    r = Recorder()
    x = r.input((3,), "x")
    assert r.table([1, 2, 3]) is r.table((1.0, 2.0, 3.0))
    y = r.map(times, r.map(add, x, 2.0), r.table([1, 2, 3]))
    program = r.finish(r.map(times, y, 2.0))
    assert program.constants == [1.0, 2.0, 3.0, 2.0]


def test_zeros_keep_their_sign() -> None:
    def record(r: Recorder, tensors: Sequence[Tensor]) -> Tensor:
        return r.map(times, r.map(times, tensors[0], r.table([0.0, 1.0])), r.table([-0.0, 1.0]))

    found = Probe("signs", record, [np.ones((1, 2), np.float32)]).run("compiled").output
    assert math.copysign(1.0, found[0, 0]) == -1.0


def test_another_size_is_no_other_kernel() -> None:
    texts = set()
    for width in (2, 30):
        r = Recorder()
        r.finish(r.take(r.input((width,), "x"), range(width), (width,)))
        texts |= {kernel_text(operation) for operation in r._operations if operation.kind == "kernel"}
    assert len(texts) == 1


# -- bodies that fill a result of fixed shape -------------------------------------------------------------


def sums(x: Any, columns: Any, total: Any, largest: Any, first: int) -> None:
    """Row c of the results is over column columns[first + c] of all rows."""
    for c in range(total.shape[0]):
        column = int(columns[first + c, 0])
        total[c, 0], largest[c, 0], largest[c, 1] = 0.0, x[0, column], column
        for i in range(x.shape[0]):
            total[c, 0] += x[i, column]
            largest[c, 0] = max(largest[c, 0], x[i, column])


def test_a_body_may_fill_results_of_fixed_shape() -> None:
    order = np.random.default_rng(4).permutation(90).tolist()

    def record(r: Recorder, tensors: Sequence[Tensor]) -> None:
        total, largest = r.kernel(sums, tensors[0], r.table(order), shapes=[(90,), (90, 2)], rows=False)
        for number, tensor in enumerate((total, largest)):
            r.map(times, tensor, 2.0, into=[r.log(str(number), tensor.features)])

    x = rows(50, 90)
    probe = Probe("sums", record, [x])
    wanted = np.zeros(90, np.float32)
    for row in x:
        wanted += row[order]
    for how in ("plain", "checked", "python"):
        found = probe.run(how)
        np.testing.assert_array_equal(found.log[0, :90], 2 * wanted)
        np.testing.assert_array_equal(found.log[0, 90::2], 2 * x.max(axis=0)[order])
        np.testing.assert_array_equal(found.log[0, 91::2], 2 * np.array(order))
    for schedule in ("tiles", "blocks"):
        with forced(schedule, parallel=True):
            executor = probe.executor("compiled")
            for threads in (1, 2):
                same_bits(probe.run(threads=threads, executor=executor), probe.run("plain"), schedule)


def test_results_of_fixed_shape_have_as_many_rows() -> None:
    r = Recorder()
    with pytest.raises(ConfigError, match="as many rows"):
        r.kernel(sums, r.input((3,), "x"), shapes=[(3,), (4, 2)], rows=False)


# -- bodies as C ------------------------------------------------------------------------------------------


def many_statements(x: Any, table: Any, unread: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        total, before, count = 0.0, 0.5, 0
        for j in range(1, x.shape[1] - 1):
            before, total = total, before + x[i, j + 1] * math.exp(-table[j, 0])
            if total > 2.0 and j != 3:
                count += 1
                y[i, j] = -total
            elif total != total:
                y[i, j] = math.nan
            else:
                y[i, j] = before if j < int(table[2, 0]) else abs(total)
        k = len(table) - 1
        while k > 3 and total < 100.0:
            k -= 1
            total *= 1.5
        y[i, 0] = total
        y[i, x.shape[1] - 1] = 1.0 if count == 2 else total / 3.0


class Many(nbdl.Layer):
    """A body with all that C can say."""

    body: Any = staticmethod(many_statements)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        table = r.table([0.5, 1.0, 3.0, 0.25, -1.0, 2.0])
        return r.kernel(type(self).body, x, table, 7.0, shapes=[x.shape]), None


def test_a_body_in_c_is_the_body_in_python(tmp_path: Path) -> None:
    model = nbdl.Sequential([Dense(6, input_dim=6, kernel_initializer="identity"), Many(), Many()])
    model.export(tmp_path / "net.c")
    assert "passed" in self_test(tmp_path / "net.c").stdout
    loaded = library(tmp_path / "net.c", *FLAGS["strict"])
    x = 2.0 * rows(60, 6)
    x[3, 2] = np.nan
    found = np.zeros_like(x)
    for row, out in zip(x, found, strict=True):
        loaded.net(pointer(row), pointer(out))
    np.testing.assert_allclose(found, model(x), rtol=1e-5)


def test_layers_that_move_numbers_in_c(tmp_path: Path) -> None:
    layers = [Embedding(9, 4, input_length=6), Permute((2, 1)), Reshape((3, -1)), Flatten(), RepeatVector(3)]
    nbdl.Sequential(layers, seed=1).export(tmp_path / "net.c")
    done = self_test(tmp_path / "net.c")
    assert "difference 0 ulp" in done.stdout, done.stdout + done.stderr


def whole_rows(x: Any, table: Any, unread: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        y[i] = x[i]


def from_the_end(x: Any, table: Any, unread: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        y[i, 0] = x[i, -1]


def backwards(x: Any, table: Any, unread: Any, y: Any) -> None:
    for j in range(x.shape[1] - 1, -1, -1):
        y[0, j] = x[0, j]


def after_the_loop(x: Any, table: Any, unread: Any, y: Any) -> None:
    for j in range(x.shape[1]):
        y[0, j] = x[0, j]
    y[0, j] = 1.0


def moved_counter(x: Any, table: Any, unread: Any, y: Any) -> None:
    for j in range(x.shape[1]):
        j = j + 1
        y[0, j] = 1.0


def both_kinds(x: Any, table: Any, unread: Any, y: Any) -> None:
    total = 0
    for j in range(x.shape[1]):
        total = total + x[0, j]
        y[0, j] = total


def divided(x: Any, table: Any, unread: Any, y: Any) -> None:
    for j in range(x.shape[1]):
        y[0, j // 2] = x[0, j]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (whole_rows, "has `x[i]`"),
        (from_the_end, "has `x[i, -1]`"),
        (backwards, "has `for j in range(x.shape[1] - 1, -1, -1)`"),
        (after_the_loop, "has `y[0, j]`"),
        (moved_counter, "has `for j in range(x.shape[1])`"),
        (both_kinds, "mixes an integer and a float"),
        (divided, "has `y[0, j // 2]`"),
    ],
)
def test_what_c_would_say_otherwise_is_refused(
    body: Any, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nbdl.engine.c.rehearse", lambda *arguments: None)  # it would refuse most of them first
    layer = type("Other", (Many,), {"body": staticmethod(body)})(input_dim=3, name="odd_one")
    with pytest.raises(ConfigError) as refused:
        nbdl.Sequential([layer]).export(tmp_path / "net.c")
    assert f"{reason}" in str(refused.value)
    assert "layer 'odd_one'" in str(refused.value)
    assert body.__name__ in str(refused.value)


def test_a_defect_in_a_table_is_caught(tmp_path: Path) -> None:
    nbdl.Sequential([Permute((2, 1), input_shape=(2, 3))]).export(tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    changed = text.replace("{\n    0.0f, 3.0f, 1.0f", "{\n    0.0f, 1.0f, 3.0f")
    assert changed != text
    (tmp_path / "net.c").write_text(changed)
    assert "FAILED" in self_test(tmp_path / "net.c").stdout


def test_take_is_what_it_says() -> None:
    y = np.zeros((2, 3))
    take(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1], [0], [1]]), None, None, y)
    assert y.tolist() == [[2, 1, 2], [4, 3, 4]]
