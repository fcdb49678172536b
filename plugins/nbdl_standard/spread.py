"""A number for each row of a weight, where operations know a number for each column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.engine.program import Tensor

if TYPE_CHECKING:
    from nbdl.engine.program import Recorder


def one(column: float) -> float:
    return 1.0 + 0.0 * column


def numbers(size: int) -> Tensor:
    """The column's number, 0 to size - 1, as an operand of a loop over so many columns."""
    return Tensor((size,), False, "index", "column")


def spread(r: Recorder, values: Tensor, width: int) -> Tensor:
    """A matrix of so many columns, each of which holds the values: their product with a row of ones, which is exact."""
    ones = r.reshape(r.map(one, numbers(width)), (1, width))
    return r.gemm(r.reshape(values, (values.features, 1)), ones)
