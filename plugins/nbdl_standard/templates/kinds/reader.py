"""my_unit: JSON Lines, an object on each line with the same names in all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nbdl import hookimpl
from nbdl.errors import DataError

if TYPE_CHECKING:
    from nbdl.data import Table


# Your format. Arguments after `source`, with defaults, are options of the reader.
def read(source: Path | TextIO) -> Table:
    """Read a table from a file or a text stream.

    Args:
        source: a path, or an open stream.

    Returns:
        The table: numbers where all rows have numbers, else text. (What has no names: `nbdl.data.arrays.Arrays`.)

    Raises:
        DataError: not UTF-8, no rows, or a line without the first one's names; the message names file and line.
    """
    import numpy as np

    from nbdl.data import Table

    name = str(source) if isinstance(source, Path) else "standard input"
    try:
        text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source.read()
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: not UTF-8 text") from error
    rows = {number: parsed(line, name, number) for number, line in enumerate(text.splitlines(), 1) if line.strip()}
    names = list(next(iter(rows.values()), {}))
    columns: dict[str, Any] = {column: [] for column in names}
    for number, row in rows.items():
        if list(row) != names:
            raise DataError(f"{name}, line {number}: has the names {list(row)}, the first line {names}")
        for column in names:
            columns[column].append(row[column])
    if not names:
        raise DataError(f"{name}: has no rows")
    for column, cells in columns.items():
        numbers = all(isinstance(cell, int | float) for cell in cells)
        columns[column] = np.array(cells, np.float64) if numbers else [str(cell) for cell in cells]
    return Table(name, columns, list(rows))


def parsed(line: str, name: str, number: int) -> dict[str, Any]:
    """Return the object on a line."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{name}, line {number}: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"{name}, line {number}: not an object, such as {{...}}")
    return row


@hookimpl
def register_readers(register: Any) -> None:
    # Files that end so are read by it. The sample is for the tests: a small file that can be read.
    sample = '{"a": 1, "b": "red"}\n{"a": 2.5, "b": "blue"}\n'
    register("my_unit", read, suffixes=(".jsonl",), sample=sample)
