"""A table: named columns of numbers or of text, and the file line of each row for error messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nbdl.data.cells import FLOAT32_MAX, not_a_number, not_finite, tally
from nbdl.data.cells import to_number as to_number
from nbdl.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column: TypeAlias = NDArray[np.float64] | list[str]

DELIMITERS = "|;\t: "  # what else may stand between the cells of a line that was read as one cell


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, in file order.

    Args:
        source: What error messages call the table: a path, or "standard input".
        columns: Name to column: float64 numbers where every cell is a number, else a list of str.
        lines: The file line (from 1) on which each row starts, or the number of each row.
        whole: The table that these rows were taken from. What makes a column text, and where it first does, is
            seen there. Default: none, this is a whole table.
        counted: What `lines` counts: "line", or "row" in memory.

    Raises:
        DataError: Columns and lines differ in length.
    """

    source: str
    columns: Mapping[str, Column]
    lines: Sequence[int]
    whole: Table | None = None
    counted: str = "line"

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
                f"{self.unparted()}"
            )
        return self.columns[name]

    def unparted(self) -> str:
        """Return a hint where all cells of a line seem to have been read as one, else nothing."""
        only = self.names[0] if len(self.names) == 1 else ""
        found = next((delimiter for delimiter in DELIMITERS if delimiter in only), None)
        if found is None:
            return ""
        return f" Each line was read as a single cell: if {found!r} parts the cells, give delimiter={found!r}."

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return one column whose every cell is a finite number that fits float32.

        Raises:
            DataError: A cell of the whole table is empty, text, not finite or too large; the message names line
                and column of the first, and counts them.
        """
        import numpy as np

        self.check_numbers([name])
        column = self.columns[name]
        return np.array([float(cell) for cell in column]) if isinstance(column, list) else column

    def check_numbers(self, names: Sequence[str]) -> None:
        """Refuse columns of which a cell, in the whole table, is no finite number that fits float32.

        Raises:
            DataError: There is such a cell; the message is about the first such column, and counts the others.
        """
        whole = self.whole or self
        found = {name: bad for name in names if (bad := unusable_cells(whole.column(name)))}
        if not found:
            return
        name, bad = next(iter(found.items()))
        row = min(bad)
        number = to_number(bad[row])
        reason = not_a_number(bad[row], whole.distinct(name)) if number is None else not_finite(number)
        others = [f"{other!r} ({len(cells)})" for other, cells in found.items() if other != name]
        more = f" Other columns with such cells: {listed(others)}." if others else ""
        counts = Counter(bad.values())
        raise DataError(f"{whole.location(row, name)}: {reason} {tally(counts, len(whole))}{more}{whole.unparted()}")

    def distinct(self, name: str) -> set[str]:
        """Return the different cells of a column of text."""
        column = self.columns[name]
        return set(column) if isinstance(column, list) else set()

    def location(self, row: int, name: str) -> str:
        """Return where a cell is, as error messages say it; `row` counts from 0."""
        return f"{self.source}, {self.counted} {self.lines[row]}, column {name!r}"

    def taken(self, rows: Sequence[int]) -> Table:
        """Return these rows, in this order."""
        columns: dict[str, Column] = {
            name: [column[row] for row in rows] if isinstance(column, list) else column[rows]
            for name, column in self.columns.items()
        }
        return Table(self.source, columns, [self.lines[row] for row in rows], self.whole or self, self.counted)


def unusable_cells(column: Column) -> dict[int, str]:
    """Return the rows whose cells are no finite numbers that fit float32, with these cells."""
    import numpy as np

    if isinstance(column, list):
        numbers = {cell: to_number(cell) for cell in set(column)}
        bad_cells = {cell for cell, number in numbers.items() if number is None or not abs(number) <= FLOAT32_MAX}
        return {row: cell for row, cell in enumerate(column) if cell in bad_cells} if bad_cells else {}
    return {int(row): str(column[row]) for row in np.flatnonzero(~(np.abs(column) <= FLOAT32_MAX))}


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return names separated by commas; of a long list only the first ones and how many there are."""
    shown = ", ".join(name if name.isprintable() else repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"
