"""A stand-in for libcublas that takes its calls literally: column by column, on host memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from fake_cuda.core import stream_at
from fake_cuda.machine import Misuse, current

NOT_INITIALIZED, INVALID_VALUE, EXECUTION_FAILED = 1, 7, 13
COMPUTE = {68: np.float32, 77: np.float32}  # CUBLAS_COMPUTE_32F and CUBLAS_COMPUTE_32F_FAST_TF32


class Library:
    """libcublas.so, called as ctypes calls it."""

    def __init__(self, works: bool = True) -> None:
        self.works = works
        self.stream: Any = None
        self.workspace = False
        self.computes: list[int] = []
        self.warm: set[tuple[int, ...]] = set()

    def cublasGetProperty(self, kind: int, value: Any) -> int:
        value._obj.value = (13, 2, 0)[kind]
        return 0

    def cublasCreate_v2(self, handle: Any) -> int:
        if current().capturing:
            raise Misuse("cuBLAS is created within a capture")
        handle._obj.value = 77
        return 0 if self.works else NOT_INITIALIZED

    def cublasSetMathMode(self, handle: Any, mode: int) -> int:
        return 0

    def cublasSetStream_v2(self, handle: Any, stream: Any) -> int:
        self.stream, self.workspace = stream_at(stream.value), False
        return 0

    def cublasSetWorkspace_v2(self, handle: Any, address: Any, size: Any) -> int:
        current().at(address.value, size.value, True)
        self.workspace = True
        return 0

    def cublasGemmEx(
        self, handle: Any, opa: int, opb: int, m: int, n: int, k: int,
        alpha: Any, a: Any, typea: int, lda: int, b: Any, typeb: int, ldb: int,
        beta: Any, c: Any, typec: int, ldc: int, compute: int, algorithm: int,
    ) -> int:  # fmt: skip
        if not self.workspace:
            raise Misuse("cuBLAS would allocate a workspace of its own")
        if (
            (typea, typeb, typec) != (0, 0, 0)
            or compute not in COMPUTE
            or (alpha._obj.value, beta._obj.value) != (1, 0)
        ):
            return INVALID_VALUE
        rows_a, columns_a = (k, m) if opa else (m, k)
        rows_b, columns_b = (n, k) if opb else (k, n)
        if lda < rows_a or ldb < rows_b or ldc < m:
            return INVALID_VALUE
        if current().dead:
            return EXECUTION_FAILED
        kind = opa, opb, m, n, k, lda, ldb, ldc, compute
        if self.stream.queue.captured is None:
            self.warm.add(kind)
        elif kind not in self.warm:
            raise Misuse("cuBLAS chooses and loads a kernel within a capture")
        self.computes.append(compute)

        def run() -> None:
            left, right = by_columns(a.value, rows_a, columns_a, lda), by_columns(b.value, rows_b, columns_b, ldb)
            by_columns(c.value, m, n, ldc)[:] = (left.T if opa else left) @ (right.T if opb else right)

        self.stream.queue.put(run)
        return 0


def by_columns(address: int, rows: int, columns: int, stride: int) -> Any:
    """A matrix that lies column by column."""
    flat = current().at(address, 4 * ((columns - 1) * stride + rows), True).view(np.float32)
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (4, 4 * stride))
