"""What `nbdl.kernels` does to views of arrays in compiled bodies."""

from __future__ import annotations

from typing import Any

from nbdl.engine.cpu.intrinsics import data_of
from nbdl.engine.cpu.matmul import multiply

FLOAT = 4  # bytes


def product(
    a: Any, b: Any, out: Any, transpose_a: bool = False, transpose_b: bool = False, accumulate: bool = False
) -> None:
    """out = op(a)·op(b), or added to it; rows of b and out are contiguous, a may lie anyhow."""
    m, n = out.shape
    a_row, a_step = a.strides[0] // FLOAT, a.strides[1] // FLOAT
    ldb, ldc = b.strides[0] // FLOAT, out.strides[0] // FLOAT
    k, start = a.shape[1], 0
    if transpose_a:
        k, a_row, a_step = a.shape[0], a_step, a_row
    if accumulate:
        start = data_of(out)
    multiply(m, n, k, data_of(a), a_row, a_step, data_of(b), ldb, int(transpose_b), data_of(out), ldc, start, ldc)


setattr(product, "policy", "called")  # noqa: B010
