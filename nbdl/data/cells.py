"""Cells of a table: which text is a number, and what to say about text that is not."""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from collections.abc import Collection
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["number", "missing", "decimal comma", "thousands", "comma", "decorated", "truth", "text"]

FLOAT32_MAX = 3.4028234663852886e38
MOST_SHOWN = 4  # different cells in a message
MOST_VALUES = 20  # of a column that is worth a 0/1 column for each
MISSING = frozenset(
    {"", "-", "--", "?", ".", "na", "n/a", "n.a.", "n.a", "#n/a", "#n/a n/a", "#na", "<na>", "nan", "-nan", "null"}
    | {"none", "nil", "nat", "missing", "\\n", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
    | {"#null!", "#div/0!", "#value!", "#ref!", "#num!", "#name?"}  # a spreadsheet's errors
)
SPACE = " '\u00a0\u2009\u202f\u2019"
EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
THOUSANDS = re.compile(
    rf"[+-]?[1-9]\d{{0,2}}(?:(?:,\d{{3}})+(?:\.\d*)?|(?:[{SPACE}]\d{{3}})+(?:\.\d*)?|(?:\.\d{{3}}){{2,}})"
)
DECIMAL_COMMA = re.compile(
    rf"[+-]?(?:\d+,\d*|,\d+)(?:[eE][+-]?\d+)?|[+-]?[1-9]\d{{0,2}}(?:[{SPACE}]\d{{3}}|\.\d{{3}})+,\d*"
)
UNIT = re.compile(r"([+-]?\d[\d.,']*(?: \d{3})*)\s*((?:[^\W\d_]|°)[^\s\d]{0,9}[23]?)")  # 1.5 kg, 30km/h, 4 m2
SIGNS = "$€£¥%‰ \t\u00a0\u2009\u202f"


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


def kind_of(cell: str) -> Kind:
    """Return what a cell is: a number, a mark of a missing value, a number written in another way, or text.

    >>> [kind_of(cell) for cell in ("1.5", "N/A", "1,5", "1,234,567", "53,216", "$5", "yes")]
    ['number', 'missing', 'decimal comma', 'thousands', 'comma', 'decorated', 'text']
    """
    cell = cell.strip()
    if cell.lower() in MISSING:
        return "missing"
    if to_number(cell) is not None:
        return "number"
    if EITHER.fullmatch(cell):
        return "comma"
    if THOUSANDS.fullmatch(cell):
        return "thousands"
    if DECIMAL_COMMA.fullmatch(cell):
        return "decimal comma"
    if undecorated(cell) != cell and kind_of(undecorated(cell)) not in ("missing", "truth", "text"):
        return "decorated"
    return "truth" if cell.lower() in ("true", "false") else "text"


def undecorated(cell: str) -> str:
    """Return a cell without currency and percent signs, and with an ASCII minus."""
    cell = cell.replace("\N{MINUS SIGN}", "-").strip(SIGNS)
    sign = cell[:1] if cell[:1] in ("-", "+") else ""
    return sign + cell[len(sign) :].lstrip(SIGNS)


def with_unit(cell: str) -> tuple[str, str] | None:
    """Return the number and the unit after it, or None where a cell is not made so.

    >>> [with_unit(cell) for cell in ("1.5 kg", "30km/h", "Q1", "kg")]
    [('1.5', 'kg'), ('30', 'km/h'), None, None]
    """
    found = UNIT.fullmatch(cell.replace("\N{MINUS SIGN}", "-").strip())
    return (found[1], found[2]) if found and looks_like_number(kind_of(found[1])) else None


def looks_like_number(kind: Kind) -> bool:
    """Return whether such a cell is a number, however it is written."""
    return kind in ("number", "decimal comma", "thousands", "comma", "decorated")


def not_a_number(cell: str, others: Collection[str] = ()) -> str:
    """Say why a cell is no number and what to do.

    Args:
        cell: The cell.
        others: Cells of the same column. They tell whether commas part thousands or decimals.
    """
    cell, kind, shown = cell.strip(), kind_of(cell), reprlib.repr(cell)
    if not cell:
        return "the cell is empty. Fill it in, or leave out the line or the column."
    if kind == "missing":
        return f"{shown} marks a missing value. Fill it in, or leave out the line or the column."
    if kind == "comma":
        kinds = {kind_of(other) for other in others}
        if "decimal comma" in kinds:
            kind = "decimal comma"
        elif "thousands" in kinds or any("." in other and kind_of(other) == "number" for other in others):
            kind = "thousands"
    if kind == "comma":
        return (
            f"{shown} is not a number: write {plain(cell, 'thousands')} if the comma parts thousands, "
            f"{plain(cell, 'decimal comma')} if it parts decimals."
        )
    if kind == "decimal comma":
        return f"{shown} is not a number: write decimals with a point, as in {plain(cell, kind)}."
    if kind == "thousands":
        return f"{shown} is not a number: write it without signs between the thousands, as in {plain(cell, kind)}."
    if kind == "decorated":
        number = undecorated(cell)
        inner = kind_of(number)
        example = "" if inner == "comma" else f", as in {plain(number, inner)}"
        return f"{shown} is not a number: write the number alone{example}."
    if kind == "truth":
        return f"{shown} is not a number: write 1 and 0 in the place of true and false."
    if parts := with_unit(cell):
        number, unit = parts
        inner = kind_of(number)
        example = "" if inner == "comma" else f", as in {plain(number, inner)}"
        return f"{shown} is not a number: write the number alone, without {unit!r}{example}."
    how = "" if len(others) > MOST_VALUES else " (one 0/1 column for each value)"
    return f"{shown} is not a number. Leave out the column or the line, or turn its text into numbers{how}."


def plain(cell: str, kind: Kind) -> str:
    """Return a number of this kind as nbdl reads it.

    >>> plain("1,5", "decimal comma"), plain("1,234.5", "thousands"), plain("1.234,5", "decimal comma")
    ('1.5', '1234.5', '1234.5')
    """
    if kind == "number":
        return cell
    cell = re.sub(f"[{SPACE}]", "", cell)
    if kind == "decimal comma":
        return cell.replace(".", "").replace(",", ".").removesuffix(".")
    cell = cell.replace(",", "")
    return cell.replace(".", "") if cell.count(".") > 1 else cell.removesuffix(".")


def not_finite(value: float) -> str:
    """Say why a number cannot be used and what to do."""
    if abs(value) > FLOAT32_MAX and value not in (float("inf"), float("-inf")):
        return f"{value} does not fit float32 (largest: 3.4e38). Scale the column down."
    missing = ": it marks a missing value" if value != value else ""
    return f"{value} is not a finite number{missing}. Fill it in, or leave out the line or the column."


def tally(bad: Counter[str], cells: int) -> str:
    """Say how many cells of a column are no usable numbers, and which.

    >>> tally(Counter({"NA": 30, "?": 1}), 300)
    "31 of 300 cells in this column are not usable numbers: 'NA' (30), '?' (1)."
    """
    count = bad.total()
    verb = "is not a usable number" if count == 1 else "are not usable numbers"
    most = [f"{reprlib.repr(cell) if cell else 'empty'} ({number})" for cell, number in bad.most_common(MOST_SHOWN)]
    which = "." if count == 1 else f": {', '.join(most)}{', ...' if len(bad) > MOST_SHOWN else '.'}"
    return f"{count} of {cells} cells in this column {verb}{which}"
