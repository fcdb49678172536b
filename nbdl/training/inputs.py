"""What users pass to fit, evaluate and predict: checked against the network and its loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbdl.data.checks import REMEDY, Array, as_array, check_finite, check_size, count, rows_of
from nbdl.data.columns import check_names, check_order, names_of
from nbdl.data.rounding import CHUNK, EXACT, what_is_lost
from nbdl.errors import DataError, warn

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.network.network import Network
    from nbdl.network.setup import Setup
    from nbdl.units.layer import Layer, Shape
    from nbdl.units.loss import Loss


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is none."""
    count(threads, "threads", 1, 1)


def checked_data(network: Network, setup: Setup, x: Any, y: Any, sample_weight: Any, looks: bool = True) -> list[Array]:
    """The inputs, the targets of each loss, and row weights for each: rows × features, as the model wants them.

    Args:
        looks: as for `inputs`.
    """
    check_order(network.target_names, names_of(y), "y")
    xs = checked_inputs(network, x, looks)
    rows, names = len(xs[0]), [network.output_names[goal.output] for goal in setup.goals]
    ys = []
    if len(names) == 1 and rows != 1 and _is_list_of_one(y) and len(y[0]) == rows:
        y = y[0]
    for goal, one in zip(setup.goals, by_name(y, names, "y", network.output_names), strict=True):
        shape = network.output_shapes[goal.output]
        ys.append(targets(one, goal.loss, shape, rows, looks, goal.logged("y")))
    weights = weights_by_name(sample_weight, names)
    return [*xs, *ys, *(row_weights(one, rows) for one in weights)]


def parted(job: Job, data: Sequence[Array]) -> tuple[Sequence[Array], Sequence[Array], Sequence[Array]]:
    """The inputs, the targets and the weights of what `checked_data` gave."""
    inputs, goals = len(job.network.input_names), len(job.compiled().goals)
    return data[:inputs], data[inputs : inputs + goals], data[inputs + goals :]


def checked_inputs(network: Network, x: Any, looks: bool = True) -> list[Array]:
    """Each input, rows × features; the network is built if it is not yet.

    Args:
        x: of several inputs a list in their order, or a dict by their names.
        looks: as for `inputs`.

    Raises:
        DataError: it does not fit.
    """
    names = network.input_names
    if len(names) == 1:
        return [_only_input(network, x, looks)]
    found: list[Array] = []
    network.build()
    for number, (name, one, shape) in enumerate(
        zip(names, by_name(x, names, "x"), network.known_input_shapes(), strict=True)
    ):
        found.append(inputs(one, shape, network.readers(number), looks, name))
        if len(found[-1]) != len(found[0]):
            raise DataError(f"{names[0]} has {len(found[0])} rows, {name} has {len(found[-1])}")
    return found


def _only_input(network: Network, x: Any, looks: bool) -> Array:
    """The rows of a network with one input; the network is built if it is not yet."""
    check_names(network.feature_names, x)
    if type(x) is not np.ndarray:
        (x,) = by_name(x, network.input_names, "x")
        shapes = network.input_shapes
        if shapes is not None and _is_list_of_one(x) and np.shape(x[0])[1:] == shapes[0]:
            x = x[0]  # a list of all inputs
    if not network.built:
        network.build(None if network.input_shapes is not None else (as_array(x, "x").shape[1:] or (1,)))
    return inputs(x, network.known_input_shapes()[0], network.readers(0), looks)


def by_name(value: Any, names: Sequence[str], argument: str, others: Sequence[str] = ()) -> list[Any]:
    """What is given for each of some names: in a dict by name, in a list in their order, or the one thing for one.

    Args:
        others: names that a dict may have beside these, whose values are not used.

    Raises:
        DataError: something is missing, or there is more.
    """
    by_names = isinstance(value, Mapping) and not hasattr(value, "columns")
    if len(names) == 1 and not (by_names and names[0] in value and {*value} <= {*names, *others}):
        return [value]
    listed = ", ".join(names)
    if by_names:
        missing, unknown = [one for one in names if one not in value], [*value.keys() - {*names, *others}]
        if missing or unknown:
            wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(map(str, unknown))}"
            raise DataError(f"{argument} is a dict that {wrong}; the names are {listed}")
        return [value[name] for name in names]
    if not isinstance(value, list | tuple) or len(value) != len(names):
        got = f"a list of {len(value)}" if isinstance(value, list | tuple) else type(value).__name__
        raise DataError(f"{argument} is a list of {len(names)} arrays, or a dict by name, for {listed}; got {got}")
    return list(value)


def _is_list_of_one(value: Any) -> bool:
    """Whether this is a list of one array."""
    return (
        isinstance(value, list | tuple) and len(value) == 1 and bool(np.ndim(value[0])) and hasattr(value[0], "shape")
    )


def weights_by_name(weights: Any, names: Sequence[str]) -> list[Any]:
    """The row weights of each loss: in a dict by the output's name, in a list, or one array for all.

    Raises:
        DataError: there is a list of another length, or an unknown name.
    """
    if isinstance(weights, Mapping) and not hasattr(weights, "columns"):
        if unknown := weights.keys() - {*names}:
            raise DataError(f"sample_weight has {', '.join(map(str, unknown))}; the outputs are {', '.join(names)}")
        return [weights.get(name) for name in names]
    if len(names) > 1 and isinstance(weights, list | tuple) and all(one is None or np.ndim(one) for one in weights):
        return by_name(weights, names, "sample_weight")
    return [weights] * len(names)


def _check_integers(rows: Array, low: float, high: float, limit: int, name: str) -> None:
    """Refuse what are not integers from 0 to below the limit."""
    if low < 0 or high >= limit:
        raise DataError(f"{name} goes from {low:g} to {high:g}; the first layer takes integers from 0 to {limit - 1}")
    for start in range(0, rows.size if rows.dtype.kind == "f" else 0, CHUNK):
        part = rows.reshape(-1)[start : start + CHUNK]
        broken = part != np.floor(part)
        if broken.any():
            row, column = divmod(start + int(broken.argmax()), rows.shape[1])
            value = rows[row, column]
            raise DataError(f"{name} holds {value:g} in row {row}, column {column}; the first layer takes integers")


def acting(layers: Sequence[Layer]) -> Layer | None:
    """The first layer that does more with its inputs than to move them."""
    return next((layer for layer in layers if not layer.moves_only), None)


def inputs(x: Any, shape: Shape, readers: Sequence[Layer] = (), looks: bool = True, name: str = "x") -> Array:
    """x as rows × features, and as the layers that read it want it.

    `looks` warns of pixels that are not scaled and of numbers that float32 cannot hold.
    """
    limits = [layer.input_limit for layer in readers if layer.input_limit is not None]
    array = as_array(x, name)
    rows = rows_of(array, shape, name)
    low, high = check_finite(rows, name) if rows.size else (0.0, 0.0)
    check_size(low, high, name)
    if limits:
        _check_integers(rows, low, high, min(limits), name)
    elif looks and (lost := what_is_lost(rows, low, high)):
        warn(f"{name} holds {lost}. {REMEDY}")
    elif (
        looks
        and low >= 0
        and 200 < high <= 255
        and (array.dtype == np.uint8 or math.prod(shape) >= 16)
        and not (readers and all(layer.rescales for layer in readers))
    ):
        warn(
            f"{name} goes from {low:g} to {high:g}, like pixels that are not scaled: nets learn badly from that; "
            "divide by 255"
        )
    return rows


def targets(y: Any, loss: Loss, output_shape: Shape, rows: int, looks: bool = True, name: str = "y") -> Array:
    """y as rows × features, as the loss wants them; `looks` as for `inputs`."""
    if y is None:
        raise DataError(f"{name} is missing: the loss compares predictions with targets")
    array = as_array(y, name)
    if len(array) != rows:
        hint = "; did you pass the transpose?" if array.ndim == 2 and array.shape[1] == rows else ""
        raise DataError(f"x has {rows} rows, {name} has {len(array)}{hint}")
    low = high = 0.0
    if array.size:
        low, high = check_finite(array, name)
        check_size(low, high, name)
        if array.dtype.kind in "iu" and max(abs(low), abs(high)) > EXACT:
            raise DataError(f"{name} holds integers up to {high:g}; float32 is exact only up to {EXACT}")
        if looks and array.dtype.kind == "f" and (lost := what_is_lost(array.reshape(rows, -1), 0.0, 0.0)):
            warn(f"{name} holds {lost}. {REMEDY}")
        problem = loss.check_targets(array, output_shape)
        if problem:
            raise DataError(problem)
    columns = rows_of(array, loss.target_shape(output_shape), name, f"loss {loss.unit_name!r}")
    problem = loss.check_range(low, high)
    if problem:
        raise DataError(problem)
    return columns


def row_weights(weights: Any, rows: int) -> NDArray[np.float32]:
    """One float32 weight per row; ones where none are given."""
    if weights is None:
        return np.ones(rows, np.float32)
    array = as_array(weights, "sample_weight")
    if array.shape not in ((rows,), (rows, 1)):
        raise DataError(f"sample_weight has one number for each of the {rows} rows, got shape {array.shape}")
    if rows:
        check_size(*check_finite(array, "sample_weight"), "sample_weight")
    return np.require(array.reshape(-1), np.float32, ["C", "A"])
