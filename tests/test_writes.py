"""A body writes to its outputs alone: what writes to an input is refused where it is recorded, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbdl.errors import KernelError
from nbdl.kernels import gemm
from nbdl.program.recorder import Recorder

HERE = Path(__file__)


def element(x: Any, y: Any) -> None:
    x[0, 0] = 0.0  # here


def augmented(x: Any, y: Any) -> None:
    x[0, 0] += 1.0  # here


def whole(x: Any, y: Any) -> None:
    x += 1.0  # here


def part(x: Any, y: Any) -> None:
    x[:, 1:] = 0.0  # here


def everything(x: Any, y: Any) -> None:
    x[...] = 0.0  # here


def by_a_row(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        row = x[i]
        row[0] = 0.0  # here


def by_a_row_of_a_row(x: Any, y: Any) -> None:
    rows = x[1:]
    row = rows[0]
    row[1:][0] = 0.0  # here


def a_row_augmented(x: Any, y: Any) -> None:
    row = x[0]
    row += 1.0  # here


def by_one_way(x: Any, y: Any) -> None:
    row = y[0]
    if x[0, 0] > 0.0:
        row = x[0]
    row[0] = 1.0  # here


def by_an_expression(x: Any, y: Any) -> None:
    row = x[0] if x[0, 0] > 0.0 else y[0]
    row[0] = 1.0  # here


def in_the_next_round(x: Any, y: Any) -> None:
    a, b = x, y
    for _ in range(3):
        b[0, 0] = a[0, 0]  # here
        a, b = b, a


def in_a_tuple(x: Any, y: Any) -> None:
    y[0, 0], x[0, 0] = 1.0, 2.0  # here


def as_a_target_of_a_loop(x: Any, y: Any) -> None:
    for x[0, 0] in range(3):  # here
        y[0, 0] = 1.0


def by_the_rows_of_a_loop(x: Any, y: Any) -> None:
    for row in x:
        row[0] = 1.0  # here


def by_enumerate(x: Any, y: Any) -> None:
    for i, row in enumerate(x):
        row[i] = 1.0  # here


def by_zip(x: Any, y: Any) -> None:
    for there, row in zip(y, x, strict=False):
        there[0] = 1.0
        row[0] = 1.0  # here


def by_an_annotation(x: Any, y: Any) -> None:
    row: Any = x[0]
    row[0] = 1.0  # here


def helper(a: Any, b: Any) -> None:
    b[0] = 1.0
    a[0] = 1.0  # the helper


def by_a_helper(x: Any, y: Any) -> None:
    helper(x[0], y[0])


def by_a_helper_with_names(x: Any, y: Any) -> None:
    helper(b=y[0], a=x[0])


def inner(a: Any, b: Any) -> None:
    helper(a[0], b)


def by_a_helper_of_a_helper(x: Any, y: Any) -> None:
    inner(x, y[0])


def second_row(a: Any) -> Any:
    return a[1]


def by_what_a_helper_returns(x: Any, y: Any) -> None:
    row = second_row(x)
    row[0] = 1.0  # here


def by_copyto(x: Any, y: Any) -> None:
    np.copyto(x, y)  # here


def by_out(x: Any, y: Any) -> None:
    np.exp(y, out=x)  # here


def by_the_third_argument(x: Any, y: Any) -> None:
    np.add(y, y, x)  # here


def by_fill(x: Any, y: Any) -> None:
    x.fill(0.0)  # here


def by_sort(x: Any, y: Any) -> None:
    x[0].sort()  # here


def by_shuffle(x: Any, y: Any) -> None:
    np.random.shuffle(x)  # here


def by_gemm(x: Any, y: Any) -> None:
    gemm(y, y, x)  # here


def by_gemm_into_a_part(x: Any, y: Any) -> None:
    gemm(y, y, out=x[:, :2])  # here


def by_the_transposed(x: Any, y: Any) -> None:
    x.T[0, 0] = 1.0  # here


def by_a_reshaped(x: Any, y: Any) -> None:
    flat = x.reshape(-1)
    flat[0] = 1.0  # here


def by_ravel(x: Any, y: Any) -> None:
    np.ravel(x)[0] = 1.0  # here


MEDDLING = [
    element, augmented, whole, part, everything, by_a_row, by_a_row_of_a_row, a_row_augmented, by_one_way,
    by_an_expression, in_the_next_round, in_a_tuple, as_a_target_of_a_loop, by_the_rows_of_a_loop, by_enumerate, by_zip,
    by_an_annotation, by_what_a_helper_returns, by_copyto, by_out, by_the_third_argument, by_fill, by_sort, by_shuffle,
    by_gemm, by_gemm_into_a_part, by_the_transposed, by_a_reshaped, by_ravel,
]  # fmt: skip


def recorded(body: Any, cuda: Any = None, **options: Any) -> None:
    r = Recorder()
    with r.recording("mine", "forward"):
        r.kernel(body, r.input((4,), "x"), shapes=[(4,)], cuda=cuda, **options)


def marked(body: Any, mark: str = "# here") -> int:
    """The number of the marked line at or below a function's first."""
    first = body.__code__.co_firstlineno
    lines = HERE.read_text().splitlines()
    return next(number for number in range(first, len(lines)) if lines[number - 1].endswith(mark))


@pytest.mark.parametrize("body", MEDDLING, ids=lambda body: body.__name__)
def test_a_body_that_writes_to_an_input_is_refused_with_its_line(body: Any) -> None:
    with pytest.raises(KernelError, match=r"(?s)mine: kernel .* does not compile.*writes to an input \(`") as caught:
        recorded(body)
    assert (caught.value.file, caught.value.line) == (str(HERE), marked(body))


@pytest.mark.parametrize("body", [by_a_helper, by_a_helper_with_names, by_a_helper_of_a_helper])
def test_a_helper_that_writes_is_named_with_its_line(body: Any) -> None:
    with pytest.raises(KernelError, match=r"helper writes to an input \(`a\[0\]`") as caught:
        recorded(body)
    assert (caught.value.line, caught.value.function) == (marked(helper, "# the helper"), "helper")


def meddling_cuda(row: int, thread: int, threads: int, x: Any, y: Any) -> None:
    x[row * 4 + thread] = 0.0  # here


def scaled(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = 2.0 * x[i, j]


def test_a_cuda_body_that_writes_to_an_input_is_refused_on_any_machine() -> None:
    with pytest.raises(KernelError, match="meddling_cuda writes to an input") as caught:
        recorded(scaled, meddling_cuda)
    assert caught.value.line == marked(meddling_cuda)


def over_rows(x: Any, y: Any, first: int) -> None:
    x[0, 0] = y[0, 0]  # here


def test_a_body_over_the_whole_batch_is_looked_at_too() -> None:
    with pytest.raises(KernelError, match="over_rows writes to an input") as caught:
        recorded(over_rows, rows=False)
    assert caught.value.line == marked(over_rows)


def writes_outputs(x: Any, k: Any, y: Any, z: Any) -> None:
    """What may be done: copies, names used again, outputs under other names, elements as variables."""
    for i in range(x.shape[0]):
        row, value = x[i], x[i, 0]
        value += row[1]
        row = y[i]
        row[0] = value
        row[1:] = x[i, 1:]
        own = x[i].copy()
        own[0] = 1.0
        own += 1.0
        twice = x[i] * 2.0
        twice[0] = own[0]
        there, here = z, x
        there[i, 0] = here[i, 0]
        element = x[i][1]
        element *= 2.0
        a, b = x[i, 0], x[i, 1]
        a, b = b, a
        a += b
        helper(own, row)
        z[i, 1] = element + a + k[0, 0]
    for value in range(3):
        z[0, 0] += value
    for value in x[0]:
        value += 1.0
    for i, pair in enumerate(zip(x[0], y[0], strict=False)):
        left, right = pair
        left += right + i
    row = x[0]
    row = row + 1.0
    row += 1.0
    row[0] = 0.0
    np.copyto(z, y)
    np.add(x[0], x[0], y[0])
    np.exp(x, out=y)
    gemm(x, x, z)


def cuda_body(row: int, thread: int, threads: int, x: Any, y: Any) -> None:
    j = thread
    while j < 4:
        value = x[row * 4 + j]
        value += 1.0
        y[row * 4 + j] = value
        j += threads


def test_what_writes_to_outputs_alone_passes() -> None:
    r = Recorder()
    r.kernel(writes_outputs, r.input((4,), "x"), 1.0, shapes=[(4,), (4,)])
    r.kernel(scaled, r.input((4,), "x"), shapes=[(4,)], cuda=cuda_body)
