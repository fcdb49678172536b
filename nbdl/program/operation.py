"""Operation and Program: what a recorder makes. There are four operations:

    map      a scalar function, element by element, over tensors, per-feature vectors, per-row columns, scalars
    sum      an ordered reduction (sum, max, argmax) of a scalar function over rows or features
    gemm     a matrix product, with an optional bias
    kernel   a hand-written body over whole rows, of a batch or of a result of fixed shape; `uniform` (random numbers)
             and `gather` (a batch) are such

A tensor is rows × features, where the number of rows is known only when the program runs, or has a fixed shape.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nbdl.program.language.source import label
from nbdl.program.tensor import Tensor

Function = Callable[..., Any]


@dataclass(eq=False, slots=True)
class Operation:
    """One line of a program.

    Attributes:
        kind: "map", "sum", "gemm", "kernel", "uniform", "gather" or "check".
        domain: (rows or None for run-time rows, columns) of the loop over its operands.
        attributes: by kind: `over`, `reduction`, `transpose_a`, `transpose_b`, `site`, `body`.
        layer: whose recording it is; named in listings and when NaN is found.
    """

    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    domain: tuple[int | None, int]
    function: Function | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    layer: str = ""
    phase: str = "forward"

    @property
    def title(self) -> str:
        """The operation in one word or two."""
        return f"{self.kind} {label(self.function)}".removesuffix(" same") if self.function else self.kind

    def flops(self, rows: int) -> int:
        """Floating-point operations of a product; one per element for anything else."""
        if self.kind == "gemm":
            m, n, k = self.product(rows)
            return 2 * m * n * k
        return self.elements(rows)

    def elements(self, rows: int) -> int:
        """Size of the loop; a kernel that fills a result of fixed shape also goes through its operands' rows."""
        height, width = self.domain
        if self.kind == "kernel" and height is not None:
            return height * width + rows * max((tensor.features for tensor in self.inputs if tensor.batched), default=0)
        return (rows if height is None else height) * width

    def product(self, rows: int) -> tuple[int, int, int]:
        """m, n, k of a product."""
        a, b = self.inputs[:2]
        size_a = (rows, a.features) if a.batched else (a.shape[0], a.features // a.shape[0])
        size_b = (rows, b.features) if b.batched else (b.shape[0], b.features // b.shape[0])
        m, k = size_a[::-1] if self.attributes["transpose_a"] else size_a
        n = size_b[0] if self.attributes["transpose_b"] else size_b[1]
        return m, n, k

    def bytes(self, rows: int) -> int:
        """Bytes of all operands."""
        return sum(
            4 * tensor.features * (rows if tensor.batched else 1)
            for tensor in {id(tensor): tensor for tensor in (*self.inputs, *self.outputs)}.values()
            if tensor.space != "index"
        )


@dataclass(eq=False)
class Program:
    """A finished recording.

    Attributes:
        inputs: the tensors of a batch: x, and for training and evaluation y and the row weights.
        output: the predictions.
        log: name and width of each per-step result, in order.
        scalars: names of the per-step scalars, in order; the first is the number of rows.
        constants: values of the run-time constants, those of a table side by side.
    """

    operations: list[Operation]
    inputs: list[Tensor]
    output: Tensor | None
    log: list[tuple[str, int]]
    scalars: list[str]
    constants: list[float]
    training: bool

    @property
    def log_width(self) -> int:
        """Floats in one row of the log."""
        return sum(width for _, width in self.log)

    @functools.cached_property
    def row_floats(self) -> int:
        """Floats that one row takes in all results."""
        return sum(tensor.features for o in self.operations for tensor in o.outputs if tensor.batched)

    @functools.cached_property
    def draws(self) -> str | None:
        """The first layer that draws random numbers, if any does."""
        return next((operation.layer for operation in self.operations if operation.kind == "uniform"), None)
