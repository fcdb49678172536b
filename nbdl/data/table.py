"""A table: named columns of numbers or of text, and the file line of each row for error messages."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nbdl.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column: TypeAlias = NDArray[np.float64] | list[str]

FLOAT32_MAX = 3.4028234663852886e38


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, in file order.

    Args:
        source: What error messages call the table: a path, or "standard input".
        columns: Name to column: float64 numbers where every cell is a number, else a list of str.
        lines: The file line (from 1) on which each row starts.

    Raises:
        DataError: Columns and lines differ in length.
    """

    source: str
    columns: Mapping[str, Column]
    lines: Sequence[int]

    def __post_init__(self) -> None:
        for name, column in self.columns.items():
            if len(column) != len(self.lines):
                raise DataError(
                    f"{self.source}: column {name!r} has {len(column)} rows, the table has {len(self.lines)}."
                )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lines)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in file order."""
        return tuple(self.columns)

    def column(self, name: str) -> Column:
        """Return one column as it was read.

        Raises:
            DataError: There is no such column; the message lists the columns.
        """
        if name not in self.columns:
            raise DataError(
                f"{self.source}: no column {name!r}.{did_you_mean(name, self.names)} Columns: {listed(self.names)}."
            )
        return self.columns[name]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return one column whose every cell is a finite number that fits float32.

        Raises:
            DataError: A cell is empty, text, not finite or too large; the message names line and column.
        """
        import numpy as np

        column = self.column(name)
        if isinstance(column, list):
            row = next(row for row, cell in enumerate(column) if to_number(cell) is None)
            raise DataError(f"{self.place(row, name)}: {not_a_number(column[row])}")
        bad = np.flatnonzero(~(np.abs(column) <= FLOAT32_MAX))
        if bad.size:
            row = int(bad[0])
            raise DataError(f"{self.place(row, name)}: {not_finite(float(column[row]))}")
        return column

    def place(self, row: int, name: str) -> str:
        """Return where a cell is, as error messages say it; `row` counts from 0."""
        return f"{self.source}, line {self.lines[row]}, column {name!r}"


def to_number(cell: str) -> float | None:
    """Return a cell as a number, or None where it is not one.

    The grammar is Python's without its programming habits: ASCII only and no `1_000`, which in data is far
    more often a name than a number. "nan" and "inf" are numbers here; they are refused where they are used.
    """
    if "_" in cell or not cell.isascii():
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def not_a_number(cell: str) -> str:
    """Say why a cell is no number and what to do."""
    if not cell.strip():
        return "the cell is empty. Fill it in, or leave out the line or the column."
    point = cell.replace(",", ".", 1)
    if point != cell and to_number(point) is not None:
        return f"{cell!r} is not a number: write decimals with a point, as in {point.strip()}."
    return (
        f"{reprlib.repr(cell)} is not a number. Leave out the column or the line, "
        "or turn its text into numbers (one 0/1 column for each value)."
    )


def not_finite(value: float) -> str:
    """Say why a number cannot be used and what to do."""
    if abs(value) > FLOAT32_MAX and value not in (float("inf"), float("-inf")):
        return f"{value} does not fit float32 (largest: 3.4e38). Scale the column down."
    return f"{value} is not a finite number. Fill it in, or leave out the line or the column."


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return names separated by commas; of a long list only the first ones and how many there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])}, ... ({len(names)} in all)"
