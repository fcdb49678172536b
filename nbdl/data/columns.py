"""Names of columns: a model keeps those of the data frame that it was fitted on, and asks for the same again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nbdl.data.table import listed
from nbdl.errors import DataError, warn

if TYPE_CHECKING:
    from nbdl.model.sequential import Sequential

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


def check_names(known: Names | None, x: Any, what: str = "x") -> None:
    """Refuse a data frame whose columns are others than those known, or in another order.

    Raises:
        DataError: the columns differ; the message names them and says what to do.
    """
    given = None if known is None else names_of(x)
    if known is None or given is None or given == known:
        return
    unseen = [name for name in given if name not in known]
    missing = [name for name in known if name not in given]
    parts = [f" Unseen in fit: {_listed(unseen)}."] if unseen else []
    parts += [f" Missing: {_listed(missing)}."] if missing else []
    if not missing:
        parts.append(f" Use {what}[list(model.feature_names)].")
    raise DataError(
        f"the feature names of {what} must match those that adapt or fit was given, in the same order: "
        f"{_listed(known)}; got {_listed(given)}.{''.join(parts)} "
        "(model.feature_names = None makes the model forget them.)"
    )


def _listed(names: Sequence[str]) -> str:
    return listed([repr(name) for name in names], MOST_SHOWN)


@contextmanager
def kept_if_trained(model: Sequential) -> Iterator[None]:
    """Have the model forget the names that it learns in this block where it ends with an error before any step."""
    known, done = (model._feature_names, model._target_names), _steps(model)
    try:
        yield
    except BaseException:
        if _steps(model) == done:
            model._feature_names, model._target_names = known
        raise


def _steps(model: Sequential) -> int:
    return 0 if model.training_state is None else model.training_state.iterations


def adapted_names(model: Sequential) -> Names | None:
    """The names of the columns that a layer took statistics of, where the model's inputs reach it column by column."""
    for layer in model.layers:
        if layer.feature_names is not None:
            return layer.feature_names
        if layer.weights or layer._output_shape != model.input_shape:
            return None
    return None


def renew_names(model: Sequential, x: Any, y: Any) -> None:
    """Have a model forget its names before a fit on as many columns of other names; a fit learns the new ones.

    Names of a layer that took statistics of its columns stay known: those statistics would be of other columns.
    """
    known, names = model._feature_names, names_of(x)
    if known is not None and names is not None and len(known) == len(names) and sorted(known) != sorted(names):
        model._feature_names = None
        if model.feature_names is None:
            warn(
                f"fit: the columns of x are {_listed(names)}, and the model was fitted on {_listed(known)}; training "
                "goes on from its weights, and the model keeps the new names"
            )
    known, names = model._target_names, names_of(y)
    if known is not None and names is not None and sorted(known) != sorted(names):
        model._target_names = None


def learn_names(model: Sequential, names: Names | None, targets: Names | None) -> None:
    """Keep the names of the columns that a model is fitted on, inputs and targets, unless it has some."""
    if names is not None and model.feature_names in (None, adapted_names(model)):
        model._feature_names = names
    if targets is not None and model._target_names is None:
        model._target_names = targets


def check_order(known: Names | None, names: Names | None, what: str) -> None:
    """Refuse known names in another order; other names are allowed.

    Raises:
        DataError: the order is another.
    """
    if known is not None and names is not None and names != known and sorted(names) == sorted(known):
        raise DataError(
            f"the columns of {what} must be in the order of those that fit was given: {_listed(known)}; got "
            f"{_listed(names)}. Use {what}[{list(known)!r}]"
        )
