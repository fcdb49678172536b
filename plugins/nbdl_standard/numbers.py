"""The numbers of columns, as an operand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbdl.program import Tensor


def numbers(size: int) -> Tensor:
    """The column's number, 0 to size - 1, as an operand of a loop over so many columns."""
    from nbdl.program import Tensor

    return Tensor((size,), False, "index", "column")
