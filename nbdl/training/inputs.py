"""What users pass to fit, evaluate and predict: checked against the network and its loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbdl.data.checks import REMEDY, Array, as_array, check_finite, check_size, count, rows_of
from nbdl.data.columns import check_names, check_order, names_of
from nbdl.data.rounding import CHUNK, EXACT, what_is_lost
from nbdl.errors import DataError, warn

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.units.layer import Layer, Shape
    from nbdl.units.loss import Loss


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is none."""
    count(threads, "threads", 1, 1)


def checked_data(job: Job, x: Any, y: Any, sample_weight: Any, looks: bool = True) -> list[Array]:
    """x, y and row weights, each rows × features, as the model wants them; `looks` as for `inputs`."""
    setup = job.compiled()
    check_names(job.network.feature_names, x)
    check_order(job.network.target_names, names_of(y), "y")
    array = as_array(x, "x")
    if not job.network.built:
        job.network.build(None if job.network.input_shape is not None else (array.shape[1:] or (1,)))
    rows = inputs(array, job.network.input_shape, job.network.layers, looks)
    columns = targets(y, setup.loss, job.network.output_shape, len(rows), looks)
    return [rows, columns, row_weights(sample_weight, len(rows))]


def _check_integers(rows: Array, low: float, high: float, limit: int) -> None:
    """Refuse what are not integers from 0 to below the limit."""
    if low < 0 or high >= limit:
        raise DataError(f"x goes from {low:g} to {high:g}; the first layer takes integers from 0 to {limit - 1}")
    for start in range(0, rows.size if rows.dtype.kind == "f" else 0, CHUNK):
        part = rows.reshape(-1)[start : start + CHUNK]
        broken = part != np.floor(part)
        if broken.any():
            row, column = divmod(start + int(broken.argmax()), rows.shape[1])
            value = rows[row, column]
            raise DataError(f"x holds {value:g} in row {row}, column {column}; the first layer takes integers")


def acting(layers: Sequence[Layer]) -> Layer | None:
    """The first layer that does more with its inputs than to move them."""
    return next((layer for layer in layers if not layer.moves_only), None)


def inputs(x: Any, shape: Shape | None, layers: Sequence[Layer] = (), looks: bool = True) -> Array:
    """x as rows × features, and as the first of these layers wants it.

    `looks` warns of pixels that are not scaled and of numbers that float32 cannot hold.
    """
    first = acting(layers)
    limit, scaled = (None, False) if first is None else (first.input_limit, first.rescales)
    array = as_array(x, "x")
    if shape is None:
        shape = array.shape[1:] or (1,)
    rows = rows_of(array, shape, "x")
    low, high = check_finite(rows, "x") if rows.size else (0.0, 0.0)
    check_size(low, high, "x")
    if limit is not None:
        _check_integers(rows, low, high, limit)
    elif looks and (lost := what_is_lost(rows, low, high)):
        warn(f"x holds {lost}. {REMEDY}")
    elif (
        looks and not scaled and low >= 0 and 200 < high <= 255 and (array.dtype == np.uint8 or math.prod(shape) >= 16)
    ):
        warn(
            f"x goes from {low:g} to {high:g}, like pixels that are not scaled: nets learn badly from that; "
            "divide by 255"
        )
    return rows


def targets(y: Any, loss: Loss, output_shape: Shape, rows: int, looks: bool = True) -> Array:
    """y as rows × features, as the loss wants them; `looks` as for `inputs`."""
    if y is None:
        raise DataError("y is missing: the loss compares predictions with targets")
    array = as_array(y, "y")
    if len(array) != rows:
        hint = "; did you pass the transpose?" if array.ndim == 2 and array.shape[1] == rows else ""
        raise DataError(f"x has {rows} rows, y has {len(array)}{hint}")
    low = high = 0.0
    if array.size:
        low, high = check_finite(array, "y")
        check_size(low, high, "y")
        if array.dtype.kind in "iu" and max(abs(low), abs(high)) > EXACT:
            raise DataError(f"y holds integers up to {high:g}; float32 is exact only up to {EXACT}")
        if looks and array.dtype.kind == "f" and (lost := what_is_lost(array.reshape(rows, -1), 0.0, 0.0)):
            warn(f"y holds {lost}. {REMEDY}")
        problem = loss.check_targets(array, output_shape)
        if problem:
            raise DataError(problem)
    columns = rows_of(array, loss.target_shape(output_shape), "y", f"loss {loss.unit_name!r}")
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
