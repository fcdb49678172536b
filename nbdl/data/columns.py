"""Names of columns: those of a data frame have to be the ones that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbdl.data.table import listed
from nbdl.errors import DataError

MOST_SHOWN = 8

Names = tuple[str, ...]


def names_of(x: Any) -> Names | None:
    """The names of the columns of a data frame; None for what has none, or names that are not all text.

    >>> names_of([[1.0, 2.0]])
    """
    columns = getattr(x, "columns", None)
    if columns is None:
        columns = getattr(x, "column_names", None)  # of Arrow's tables
    if columns is None or callable(columns) or isinstance(columns, str):
        return None
    try:
        names = tuple(columns)
    except TypeError:
        return None
    return names if names and all(isinstance(name, str) for name in names) else None


def check_names(known: Names | None, x: Any, name: str = "x") -> None:
    """Refuse a data frame whose columns are others than those known, or in another order.

    Raises:
        DataError: the columns differ; the message names them and says what to do.
    """
    found = None if known is None else names_of(x)
    if known is None or found is None or found == known:
        return
    unseen = [name for name in found if name not in known]
    missing = [name for name in known if name not in found]
    parts = [f" Unseen in fit: {quoted(unseen)}."] if unseen else []
    parts += [f" Missing: {quoted(missing)}."] if missing else []
    if not missing:
        parts.append(f" Use {name}[list(model.feature_names)].")
    raise DataError(
        f"the feature names of {name} must match those that adapt or fit was given, in the same order: "
        f"{quoted(known)}; got {quoted(found)}.{''.join(parts)} "
        "(model.feature_names = None makes the model forget them.)"
    )


def quoted(names: Sequence[str]) -> str:
    """Names for a message, the first few of them."""
    return listed([repr(name) for name in names], MOST_SHOWN)


def check_order(known: Names | None, names: Names | None, name: str) -> None:
    """Refuse known names in another order; other names are allowed.

    Raises:
        DataError: the order is another.
    """
    if known is not None and names is not None and names != known and sorted(names) == sorted(known):
        raise DataError(
            f"the columns of {name} must be in the order of those that fit was given: {quoted(known)}; got "
            f"{quoted(names)}. Use {name}[{list(known)!r}]"
        )
