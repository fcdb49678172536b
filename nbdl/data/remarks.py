"""Remarks: what is usable in a table but is often not what its owner wants."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nbdl.data.cells import MOST_SHOWN, kind_of
from nbdl.data.table import Table, listed
from nbdl.data.target import Data, Task, class_name, target_values

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST_ROWS = 10  # below this, rising numbers are a coincidence
HEAD = 100  # rows to look at first
ID_NAME = re.compile(r"(.*[^a-z])?(id|idx|index|key|nr|no|row|rownum|row_number)|.*[a-z](ID|Id)|unnamed: 0")


def remarks(data: Data, target: str | None, task: Task, features: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each thing in training data that deserves a second look.

    Args:
        data: The training data.
        target: The target column of a table.
        task: What is predicted.
        features: The columns that are inputs.
    """
    if isinstance(data, Table):
        columns = {name: data.numbers(name) for name in features}
        constant = [name for name, column in columns.items() if len(data) > 1 and (column == column[0]).all()]
        if constant:
            yield f"the same value in every row of {quoted(constant)}: it tells the model nothing"
        numbers = [name for name, column in columns.items() if name not in constant and is_id(name, column)]
        if numbers:
            ignore = " ".join(f"--ignore {name!r}" for name in numbers[:MOST_SHOWN])
            yield f"different whole numbers in all rows of {quoted(numbers)}: row numbers or IDs? If so, {ignore}"
    if task == "classification":
        yield from of_classes(target_values(data, target))


def of_classes(values: NDArray[np.float64] | list[str]) -> Iterator[str]:
    """Yield remarks on the classes of a target."""
    if not isinstance(values, list) and values.ndim == 2:
        return
    counts = Counter(values if isinstance(values, list) else (class_name(value) for value in values.tolist()))
    single = [name for name, count in counts.items() if count == 1]
    if single:
        yield f"a single row of class {quoted(single)}: too few to learn from"
    alike = defaultdict(list)
    for name in counts:
        alike[" ".join(name.casefold().split())].append(name)
    for names in alike.values():
        if len(names) > 1:
            yield f"classes {quoted(names)} differ only in upper and lower case or in spaces: one class or several?"
    marks = [name for name in counts if kind_of(name) == "missing"]
    if marks and len(marks) < len(counts):
        rows = ", ".join(f"{name!r} ({counts[name]} rows)" for name in marks)
        yield f"taken as a class of its own, not as a missing value: {rows}"


def is_id(name: str, column: NDArray[np.float64]) -> bool:
    """Return whether a column seems to number the rows.

    Its whole numbers are all different, and rise, fall, leave no gaps, or have the name of an ID.
    """
    import numpy as np

    if len(column) < FEWEST_ROWS or len(np.unique(column[:HEAD])) < len(column[:HEAD]):
        return False  # which most columns show at once
    if not (column == np.round(column)).all():
        return False
    steps = np.diff(np.sort(column))
    if not (steps > 0).all():
        return False
    rising = bool((np.diff(column) > 0).all() or (np.diff(column) < 0).all())
    return rising or bool((steps == 1).all()) or ID_NAME.fullmatch(name.strip().replace(" ", "_")) is not None


def quoted(names: Sequence[str]) -> str:
    """Return the first names in quotes, and how many there are if some are left out."""
    return listed([repr(name) for name in names], MOST_SHOWN)
