"""CSV and TSV: a line of column names, then a row on each line, cells parted by comma, semicolon or tab."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias

from nbdl import hookimpl
from nbdl.data import Table, to_number
from nbdl.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DELIMITERS = (",", ";", "\t")
SAMPLE_LINES = 50
BLOCK_ROWS = 4096

Row: TypeAlias = tuple[int, list[str]]


def read(source: Path | TextIO, *, delimiter: str | None = None, header: bool | None = None) -> Table:
    """Read a table from a file or a text stream.

    Cells may be quoted ("a, b"); blank lines are skipped; spaces around a cell do not count.

    Args:
        source: A path (UTF-8, a byte-order mark is skipped) or an open text stream.
        delimiter: One character. Default: a tab for .tsv, else the one of comma, semicolon and tab that parts
            all lines alike.
        header: Whether the first line holds the column names; without them columns are called 1, 2, ...
            Default: it must, and a first line of numbers is refused, for it is hardly ever meant as names.

    Returns:
        The table.

    Raises:
        DataError: Not UTF-8, no names, no rows, rows of different lengths, quotes that do not match; the
            message names file and line.
    """
    name = str(source) if isinstance(source, Path) else "standard input"
    text = load(source, name)
    lines = [f"{line}\n" for line in text.split("\n")]
    if delimiter is None:
        delimiter = "\t" if name.lower().endswith(".tsv") else sniff(lines)
    elif len(delimiter) != 1 or delimiter in '"\n':
        raise DataError(f"delimiter={delimiter!r}: it must be one character, such as ',' or ';'.")
    line, first = next(cells(lines, delimiter, name), (1, []))
    names = column_names(f"{name}, line {line}", first, header)
    plain = '"' not in text and text.isascii()
    skip = 0 if header is False else line
    table = read_numbers(lines, delimiter, name, names, skip) if plain else None
    return table if table is not None else read_cells(lines, delimiter, name, names, header is not False)


def load(source: Path | TextIO, name: str) -> str:
    """Return the whole text, with every line ending in a line feed."""
    try:
        text = source.read_bytes().decode("utf-8") if isinstance(source, Path) else source.read()
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        raise DataError(f"{name}, line {line}: not UTF-8 text. Save the file as UTF-8.") from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise DataError(f"{name}: is empty. It needs a line of column names and a line for each row.")
    return text


def sniff(lines: list[str]) -> str:
    """Return the delimiter that parts the first lines into equally many cells, and into the most."""
    sample = lines[:SAMPLE_LINES]

    def score(delimiter: str) -> tuple[bool, int]:
        widths = []
        with suppress(csv.Error):  # it is raised again, with its line, when the table is read
            widths = [len(row) for row in csv.reader(sample, delimiter=delimiter, skipinitialspace=True) if row]
        return len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0

    return max(DELIMITERS, key=score)


def cells(lines: list[str], delimiter: str, name: str) -> Iterator[Row]:
    """Yield the line on which each row starts (from 1) and its cells."""
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for row in reader:
            if row and not lines[line - 1].isspace():
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        reason = f"a quoted cell does not end as it should ({error})."
        if "field limit" in str(error):
            reason = f"a cell is longer than {csv.field_size_limit():,} characters. Is a quote missing, or doubled?"
        raise DataError(f"{name}, line {line}: {reason}") from error


def column_names(place: str, first: list[str], header: bool | None) -> list[str]:
    """Return the column names that the first row gives, or numbers from 1 where it is to give none."""
    names = [cell.strip() for cell in first]
    if header is False:
        return [str(index + 1) for index in range(len(names))]
    if header is None and all(to_number(name) is not None for name in names):
        raise DataError(
            f"{place}: all numbers, so there are no column names. Write names above it, "
            "or read it with header=False, which calls the columns 1, 2, ..."
        )
    for index, name in enumerate(names):
        if not name:
            raise DataError(f"{place}: column {index + 1} has no name. Name it, or leave it out.")
        if name in names[:index]:
            raise DataError(f"{place}: two columns are called {name!r}. Rename one of them.")
    return names


def read_numbers(lines: list[str], delimiter: str, name: str, names: list[str], skip: int) -> Table | None:
    """Return a table of numbers without quotes, by NumPy in a third of the time, or None if it is none."""
    import numpy as np

    numbers = [number for number, line in enumerate(lines, 1) if line != "\n" and number > skip]
    if not numbers:
        raise no_rows(name)
    try:
        values = np.loadtxt(lines[skip:], delimiter=delimiter, comments=None, ndmin=2, dtype=np.float64)
    except ValueError:
        return None
    if values.shape != (len(numbers), len(names)):
        return None
    columns = np.ascontiguousarray(values.T)
    return Table(name, dict(zip(names, columns, strict=True)), compact(numbers))


def read_cells(lines: list[str], delimiter: str, name: str, names: list[str], header: bool) -> Table:
    """Return a table of any cells.

    Cells become numbers block by block, so that their text need not be kept. A column in which text first
    shows in a later block needs the text of the earlier ones: then all is read once more.
    """

    def rows() -> Iterator[Row]:
        return islice(cells(lines, delimiter, name), int(header), None)

    text: set[int] = set()
    late = convert(rows, name, names, text)
    if isinstance(late, set):
        late = convert(rows, name, names, text | late)
    assert isinstance(late, Table)
    return late


def convert(rows: Callable[[], Iterator[Row]], name: str, names: list[str], text: set[int]) -> Table | set[int]:
    """Return the table, or the columns in which text shows too late to have been kept.

    Args:
        rows: Starts reading at the first row.
        name: What error messages call the file.
        names: The column names.
        text: Columns known to hold text; those that the first block shows are added.
    """
    import numpy as np

    numbers: list[list[NDArray[np.float64]]] = [[] for _ in names]
    texts: list[list[str]] = [[] for _ in names]
    lines: list[int] = []
    late: set[int] = set()
    source = rows()
    while block := list(islice(source, BLOCK_ROWS)):
        check_widths(block, name, len(names))
        lines += [line for line, _ in block]
        for index, column in enumerate(zip(*(row for _, row in block), strict=True)):
            values = None if index in text or index in late else as_numbers(column)
            if values is not None:
                numbers[index].append(values)
            elif numbers[index]:
                late.add(index)
            else:
                text.add(index)
                texts[index] += [cell.strip() for cell in column]
    if not lines:
        raise no_rows(name)
    if late:
        return late
    columns = {
        column: texts[index] if index in text else np.concatenate(numbers[index]) for index, column in enumerate(names)
    }
    return Table(name, columns, compact(lines))


def check_widths(block: list[Row], name: str, width: int) -> None:
    """Refuse a row with more or fewer cells than there are columns."""
    for line, row in block:
        if len(row) != width:
            found = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
            names = "a single column name" if width == 1 else f"{width} column names"
            raise DataError(
                f"{name}, line {line}: {found}, but there {'is' if width == 1 else 'are'} {names}. "
                "Quote a cell that holds the delimiter; fill in cells that are missing; leave out comments."
            )


def as_numbers(column: Sequence[str]) -> NDArray[np.float64] | None:
    """Return cells as numbers by the grammar of `to_number`, or None where one of them is not a number."""
    import numpy as np

    joined = "".join(column)
    if "_" in joined or not joined.isascii():
        return None
    try:
        return np.array([float(cell) for cell in column])
    except ValueError:
        return None


def compact(lines: list[int]) -> Sequence[int]:
    """Return line numbers as a range where no line was skipped."""
    whole = range(lines[0], lines[0] + len(lines))
    return whole if lines[-1] == whole[-1] else lines


def no_rows(name: str) -> DataError:
    """Return the error for a table of names only."""
    return DataError(f"{name}: there are no rows below the column names.")


@hookimpl
def register_readers(register: Callable[..., None]) -> None:
    """Offer the reader, also ("-") for streams whose format is not given."""
    register("csv", read, suffixes=(".csv", ".tsv", "-"), sample="size,colour\n1.5,red\n2,blue\n")
