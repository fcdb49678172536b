"""Targets: what a target column is (classes or values), the names of its classes, their indices."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nbdl.data.arrays import Arrays
from nbdl.data.cells import (
    FLOAT32_MAX,
    MOST_SHOWN,
    Kind,
    kind_of,
    looks_like_number,
    not_a_number,
    not_finite,
    tally,
    to_number,
    with_unit,
)
from nbdl.data.table import Table, listed
from nbdl.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Task: TypeAlias = Literal["classification", "regression"]
Data: TypeAlias = Table | Arrays

MOST_WHOLE_NUMBER_CLASSES = 20
MANY = 10  # so many whole numbers, and fewer than two rows for each, are no classes
RARE = 20  # text is rare among so many times more numbers


def guess_task(data: Data, target: str | None = None) -> tuple[Task, str]:
    """Guess from the target alone whether it holds classes or values.

    Text is classes; whole numbers with at most 20 distinct values are classes, unless there are more than 10
    and fewer than two rows for each; one-hot rows are classes; all else is values.

    Args:
        data: The training data.
        target: The target column of a table; not used for arrays.

    Returns:
        The task and the reason, one line to show to the user.

    Raises:
        DataError: No such column, no targets, a cell of the target that is empty or not finite, or text
            among numbers.
    """
    import numpy as np

    values = target_values(data, target)
    label = f"target {target!r}" if isinstance(data, Table) else "y"
    if isinstance(values, list):
        refuse_slips(data, target, values)
        refuse_names(data, target, values)
        return "classification", text_reason(label, values)
    if values.ndim == 2:
        if one_hot(values):
            return "classification", f"{label} is one-hot with {values.shape[1]} classes"
        return "regression", f"{label} has {values.shape[1]} numbers in each row"
    distinct = np.unique(values)
    if not np.array_equal(distinct, np.round(distinct)):
        return "regression", f"{label} holds numbers that are not whole"
    few = len(distinct) <= MOST_WHOLE_NUMBER_CLASSES and not (len(distinct) > MANY and len(distinct) * 2 > len(values))
    reason = f"{label} holds whole numbers with {len(distinct)} distinct values"
    if not few and len(distinct) <= MOST_WHOLE_NUMBER_CLASSES:
        reason += f" in {len(values)} rows"
    return ("classification", reason) if few else ("regression", reason)


def refuse_slips(data: Data, target: str | None, values: list[str]) -> None:
    """Refuse to guess where a target of numbers holds cells that are not numbers: they are slips, not classes.

    That is so where all cells but marks of missing values are numbers, however they are written. Text among
    numbers is a slip where it is rare, where the numbers are not whole, or where they are too many for classes.
    """
    counts = Counter(values)
    kinds = {cell: kind_of(cell) for cell in counts}
    if share_unit(counts, kinds):
        kinds = {cell: "decorated" if kind == "text" else kind for cell, kind in kinds.items()}
    rows: Counter[Kind] = Counter()
    for cell, count in counts.items():
        rows[kinds[cell]] += count
    numeric = sum(count for kind, count in rows.items() if looks_like_number(kind))
    text = rows["text"] + rows["truth"]
    bad = Counter({cell: count for cell, count in counts.items() if kinds[cell] != "number"})
    if not numeric or not bad:
        return
    numbers = {to_number(cell) for cell, kind in kinds.items() if kind == "number"}
    fractions = any(number is not None and not number.is_integer() for number in numbers)
    many = len(numbers) > MOST_WHOLE_NUMBER_CLASSES and len(numbers) >= len(counts) / 2
    if text and not many and not (fractions and numeric >= text) and text * RARE > numeric:
        return
    row = next(row for row, cell in enumerate(values) if cell in bad)
    reason = not_a_number(values[row], set(counts))
    if kinds[values[row]] in ("text", "truth"):
        reason = f"{values[row]!r} stands among numbers. Mend or leave out the line."
    raise DataError(
        f"{place_of(data, target, row)}: {reason} {tally(bad, len(values))} "
        "If these are classes, give task='classification'."
    )


def share_unit(counts: Counter[str], kinds: dict[str, Kind]) -> bool:
    """Whether a target's text is numbers with one unit: such are rather values than classes.

    Two different ones are taken for classes, 2D and 3D, and so are a few among other cells.
    """
    texts = [cell for cell, kind in kinds.items() if kind == "text"]
    units = {parts and parts[1] for parts in map(with_unit, texts)}
    many = len(texts) > 2 and 2 * sum(counts[cell] for cell in texts) > counts.total()
    return many and len(units) == 1 and None not in units


def text_reason(label: str, values: list[str]) -> str:
    """Why a target of text is classes; of a mixed one, how many of its cells are numbers all the same."""
    counts = Counter(values)
    text = Counter({cell: count for cell, count in counts.items() if not looks_like_number(kind_of(cell))})
    reason = f"{label} is text with {len(counts)} classes"
    if not text or len(text) == len(counts):
        return reason
    few = ", ".join(f"{cell!r} ({count})" for cell, count in text.most_common(MOST_SHOWN))
    more = ", ..." if len(text) > MOST_SHOWN else ""
    return f"{reason}; {len(values) - text.total()} of {len(values)} cells are numbers, but not {few}{more}"


def refuse_names(data: Data, target: str | None, values: list[str]) -> None:
    """Refuse a target of text with about as many different values as rows: names or notes, not classes."""
    distinct = len(set(values))
    if distinct <= MOST_WHOLE_NUMBER_CLASSES or distinct * 2 <= len(values):
        return
    label = f"target {target!r}" if isinstance(data, Table) else "y"
    raise DataError(
        f"{data.source}: {label} is text with {distinct} different values in {len(values)} rows, such as "
        f"{values[0]!r}: too many to be classes. Choose another target, or give task='classification'."
    )


def place_of(data: Data, target: str | None, row: int) -> str:
    """Return where a target is, as error messages say it."""
    return data.location(row, str(target)) if isinstance(data, Table) else f"{data.source}, y, row {data.number(row)}"


def target_values(data: Data, target: str | None) -> NDArray[np.float64] | list[str]:
    """Return the targets as float64 of shape (rows,) or (rows, outputs), or as text.

    Raises:
        DataError: There are none, or one is empty or not finite; the message names line or row.
    """
    if isinstance(data, Arrays):
        return array_values(data)
    if target is None:
        raise DataError(f"{data.source}: say which column is the target. Columns: {listed(data.names)}.")
    column = data.column(target)
    if not isinstance(column, list):
        return data.numbers(target)
    whole = data.whole or data
    cells = whole.column(target)
    if isinstance(cells, list) and "" in cells:
        empty = tally(Counter({"": cells.count("")}), len(cells))
        raise DataError(
            f"{whole.location(cells.index(''), target)}: the target is empty. "
            f"Fill it in, or leave out the line. {empty}"
        )
    return column


def array_values(data: Arrays) -> NDArray[np.float64] | list[str]:
    """Return the targets of arrays; a single column counts as one value for each row."""
    import numpy as np

    if data.y is None:
        raise DataError(f"{data.source}: no targets. Store x and y in one .npz file.")
    y = data.y[:, 0] if data.y.ndim == 2 and data.y.shape[1] == 1 else data.y
    if y.dtype.kind == "U":
        if y.ndim == 2:
            raise DataError(f"{data.source}: y holds text of shape {y.shape}; text needs shape (rows,).")
        return [str(value).strip() for value in y]
    if data.whole is not None:
        array_values(data.whole)  # which may be unusable in another part
    values = y.astype(np.float64)
    bad = np.argwhere(~(np.abs(values) <= FLOAT32_MAX))
    if len(bad):
        reason = not_finite(float(values[tuple(bad[0])]))
        more = f" {len(bad)} numbers of y are not usable." if len(bad) > 1 else ""
        raise DataError(f"{data.source}: y, row {data.number(int(bad[0][0]))}: {reason}{more}")
    return values


def one_hot(values: NDArray[Any]) -> bool:
    """Return whether every row of a two-dimensional array is a single 1 among zeros."""
    ones = values == 1
    return bool(((values == 0) | ones).all() and (ones.sum(axis=1) == 1).all())


def class_name(value: float | str) -> str:
    """Return the one name of a class, however it was written: 3, 3.0, "3" and "3.0" are all "3"."""
    number = to_number(value) if isinstance(value, str) else value
    if number is None or number != number or number in (float("inf"), float("-inf")):
        return str(value).strip()
    return str(int(number)) if number == int(number) else repr(float(number))


def class_names(values: NDArray[np.float64] | list[str]) -> tuple[str, ...]:
    """Return the names of the classes: in order of their numbers where all are numbers, else of their text.

    Args:
        values: Targets as `target_values` returns them; one-hot rows name their columns 0, 1, 2, ...
    """
    import numpy as np

    if isinstance(values, list):
        names = set(values)
    elif values.ndim == 2:
        names = {str(column) for column in range(values.shape[1])}
    else:
        names = {class_name(value) for value in np.unique(values).tolist()}
    numbers = {name: to_number(name) for name in names}
    if any(number is None for number in numbers.values()):
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (numbers[name], name)))


def class_indices(data: Data, target: str | None, classes: tuple[str, ...]) -> NDArray[np.int32]:
    """Return each row's position in `classes`, of shape (rows,).

    Raises:
        DataError: A class that is not among them; the message says where, and lists them.
    """
    import numpy as np

    values = target_values(data, target)
    if not isinstance(values, list) and values.ndim == 2:
        if not one_hot(values) or values.shape[1] != len(classes):
            raise DataError(
                f"{data.source}: y has shape {values.shape}; "
                f"{len(classes)} classes need labels of shape (rows,), or one-hot rows of {len(classes)}."
            )
        hot: NDArray[np.int32] = values.argmax(axis=1).astype(np.int32)
        return hot
    position = class_positions(classes)
    # Text finds its class as it is written before it is read as a number; numbers have one name only.
    cells = values if isinstance(values, list) else values.tolist()
    of = {
        cell: position.get(cell if isinstance(cell, str) else "", position.get(class_name(cell), -1))
        for cell in set(cells)
    }
    indices = np.array([of[cell] for cell in cells], dtype=np.int32)
    unknown = np.flatnonzero(indices < 0)
    if unknown.size:
        row = int(unknown[0])
        names = Counter(str(cells[at]) if isinstance(values, list) else class_name(cells[at]) for at in unknown)
        name = str(cells[row]) if isinstance(values, list) else class_name(cells[row])
        shown = ", ".join(f"{other!r} ({count})" for other, count in names.most_common(MOST_SHOWN))
        more = f" {unknown.size} rows have such classes: {shown}{', ...' if len(names) > MOST_SHOWN else ''}."
        raise DataError(
            f"{place_of(data, target, row)}: class {name!r} not seen in training. Classes: {listed(classes)}."
            f"{more if unknown.size > 1 else ''}"
        )
    return indices


def class_positions(classes: tuple[str, ...]) -> dict[str, int]:
    """Return the position of each class under its name and, where that is free, its plain number."""
    positions = {name: index for index, name in enumerate(classes)}
    for index, name in enumerate(classes):
        positions.setdefault(class_name(name), index)
    return positions
