"""Tensor: an operand of a program, and how operands of different shapes go together in one loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nbdl.errors import ConfigError

Shape = tuple[int, ...]


@dataclass(eq=False, slots=True)
class Tensor:
    """One operand.

    Attributes:
        shape: without the rows.
        batched: whether there is a leading dimension of run-time length, the rows.
        space: where it lives: "work", "weight", "slot", "gradient", "constant", "scalar", "log", "batch",
            "output", or "index" (the number of the column, which lives nowhere).
        offset: its place in that space in floats, once known; for "batch" the number of the input.
        root: the tensor whose memory a reshaped one shares.
    """

    shape: Shape
    batched: bool
    space: str = "work"
    name: str = ""
    offset: int = -1
    root: Tensor | None = None

    @property
    def features(self) -> int:
        """Elements of one row, or of the whole if there are no rows."""
        return math.prod(self.shape)

    def _recorded(self, *_: Any) -> Any:
        raise ConfigError(
            f"{self.describe()} is no array: operations are recorded, elements by r.map(function, x, ...), products by "
            "r.gemm(x, w), sums by r.sum(function, x)"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _recorded
    __matmul__ = __rmatmul__ = __pow__ = __neg__ = __getitem__ = __array__ = __float__ = _recorded

    @property
    def storage(self) -> Tensor:
        """The tensor that owns the memory."""
        return self if self.root is None else self.root.storage

    def describe(self) -> str:
        """As listings show it: "rows×500", "784×500 dense_1/kernel", "0.5"."""
        sizes = (["rows"] if self.batched else []) + [str(size) for size in self.shape]
        shape = "×".join(sizes)
        if self.space in ("weight", "slot", "constant", "scalar", "log"):
            return f"{self.name}" if shape == "1" else f"{self.name}[{shape}]"
        return f"{self.name}[{shape}]" if self.name else shape


def pattern(tensor: Tensor, domain: tuple[int | None, int]) -> str:
    """How an operand lies in the loop: "full", "feature" (one row for all), "row" (one column for all), "scalar".

    Of tensors without rows the shape tells a column, n×1, from a vector of n.
    """
    height, width = domain
    if tensor.space == "index":
        return "index"
    if tensor.batched:
        return "full" if tensor.features == width else "row"
    if tensor.features == 1 and (height != 1 or width != 1):
        return "scalar"
    if height is None or tensor.features == height * width:
        return "feature" if height is None else "full"
    return "row" if sides(tensor) == (height, 1) else "feature"


def sides(tensor: Tensor) -> tuple[int, int]:
    """Rows and columns of a tensor without rows: all axes but the last are rows, and a vector is a row."""
    return math.prod(tensor.shape[:-1]), tensor.shape[-1]


def broadcast(operands: Sequence[Tensor], where: str) -> tuple[tuple[int | None, int], Shape]:
    """The loop's domain and the result's shape.

    With rows: rows × the widest. Without: as flat as possible, but (all axes but the last, last) where a vector or a
    column meets a matrix. Shapes alone decide, so a square matrix is like any other.
    """
    widest = max(operands, key=lambda tensor: tensor.features)
    if any(tensor.batched for tensor in operands):
        width = widest.features
        for tensor in operands:
            if tensor.features not in (1, width):
                raise ConfigError(f"{where}: {tensor.describe()} does not broadcast to {width} features")
        shaped = next((t for t in operands if t.batched and t.features == width), widest)
        return (None, width), shaped.shape
    wide = [tensor for tensor in operands if tensor.features > 1]
    deepest = max(wide or [widest], key=lambda tensor: (tensor.features, len(tensor.shape)))
    if all(_lies_as(tensor, deepest) for tensor in wide):
        return (1, deepest.features), deepest.shape
    found = [sides(deepest if _lies_as(tensor, deepest) else tensor) for tensor in wide]
    height, width = (max(numbers) for numbers in zip(*found, strict=True))
    if any(one not in ((height, width), (height, 1), (1, width)) for one in found):
        rows, columns = sides(deepest)
        fitting = ((rows, columns), (rows, 1), (1, columns))
        wrong = [t for t, one in zip(wide, found, strict=True) if t is not deepest and one not in fitting]
        raise ConfigError(f"{where}: {_apart((wrong or wide)[0], deepest)}")
    whole = next((t for t, one in zip(wide, found, strict=True) if one == (height, width)), None)
    column = next(t for t, one in zip(wide, found, strict=True) if one[0] == height)
    shape = (*column.shape[:-1], width) if whole is None else whole.shape if len(whole.shape) > 1 else deepest.shape
    return (height, width), shape


def _lies_as(tensor: Tensor, other: Tensor) -> bool:
    """Whether tensors without rows hold as many elements in the same order: in one shape, or one as a flat vector.

    A vector is not laid along a column of n×1: with that it makes a matrix, as in NumPy.
    """
    if tensor.features != other.features:
        return False
    return sides(tensor) == sides(other) or (len(tensor.shape) == 1 and other.shape[-1] != 1)


def _apart(tensor: Tensor, other: Tensor) -> str:
    """Why two shapes do not go together, and what to do."""
    rows, columns = sides(other)
    told = f"{tensor.describe()} does not broadcast to {other.describe()}"
    if len(tensor.shape) == 1 and tensor.features == rows:
        return f"{told}; one number for each of its rows is a column: r.reshape(..., ({rows}, 1))"
    if tensor.features == other.features:
        return f"{told}; r.reshape(...) brings both to one shape"
    return f"{told}; over {rows}×{columns} go a vector of {columns} along each row and a column of {rows}×1"
