"""Plain rows in Python: data frames, dicts of columns and arrays, as the data that an encoding takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbdl.data.arrays import Arrays
from nbdl.data.columns import names_of
from nbdl.data.table import Table
from nbdl.data.target import Data
from nbdl.errors import DataError


def as_data(values: Any, name: str = "x") -> Data:
    """Return rows as a table where their columns have names, else as arrays.

    Args:
        values: A data frame, a dict of columns, an array or lists of rows; tables and arrays stay as they are.
        name: What error messages call it.

    Raises:
        DataError: It holds no rows of numbers, or its columns differ in length.
    """
    if isinstance(values, Table | Arrays):
        return values
    if isinstance(values, Mapping):
        return table_of(values, tuple(values), name)
    names = names_of(values)
    if names is not None:
        return table_of(values, names, name)
    from nbdl.data.checks import as_array

    return Arrays(name, as_array(values, name))


def as_targets(data: Any, target: str | None) -> Data:
    """Return targets as data: of a data frame or dict its target column, else the values themselves."""
    if isinstance(data, Table | Arrays):
        return data
    names = tuple(data) if isinstance(data, Mapping) else names_of(data) or ()
    if target in names:
        return table_of(data, (str(target),), "the rows")
    import numpy as np

    if isinstance(data, Mapping) or len(names) > 1:
        return as_data(data, "the rows")  # which will be refused for the column that is not there
    values = numbers_or_text(data)
    array = np.array(values) if isinstance(values, list) else values
    if not array.ndim:
        raise DataError(f"the targets are a single value, {data!r}; give one for each row.")
    return Arrays("the targets", np.zeros((len(array), 1)), array)


def table_of(columns_of: Any, names: tuple[str, ...], source: str) -> Table:
    """Return these columns of a data frame or dict as a table whose rows are counted from 0."""
    columns: dict[str, Any] = {}
    for name in names:
        column = numbers_or_text(columns_of[name])
        if not isinstance(column, list) and column.ndim != 1:
            raise DataError(
                f"{source}, column {name!r}: it has shape {column.shape}; a column has one value for each row."
            )
        columns[name] = column
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise DataError(f"{source}: its columns have different lengths: {', '.join(map(str, sorted(lengths)))}.")
    return Table(source, columns, range(lengths.pop() if lengths else 0), counted="row")


def numbers_or_text(column: Any) -> Any:
    """Return values as float64, or as a list of text where one of them is not a number; what is missing is empty."""
    import numpy as np

    array = np.asarray(column)
    if array.dtype.kind in "buif":
        return array.astype(np.float64)
    try:
        return array.astype(np.float64) if array.dtype == object else _text(np.atleast_1d(array))
    except (TypeError, ValueError):
        return _text(np.atleast_1d(array))


def _text(array: Any) -> list[str]:
    return [
        "" if value is None or value != value or str(value) == "<NA>" else str(value).strip()
        for value in array.tolist()
    ]
