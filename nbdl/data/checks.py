"""Checks of arrays: anything that NumPy takes becomes C-contiguous rows × features, or an error says what to do.

Nothing is converted to float32 here unless it must be: a batch is converted where it is gathered.
"""

from __future__ import annotations

import math
import numbers
import operator
import reprlib
from collections.abc import Mapping, Set, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbdl.data.columns import check_names
from nbdl.data.rounding import CHUNK, EXACT, what_is_lost
from nbdl.errors import ConfigError, DataError, warn

Array = NDArray[Any]

PLAIN = {"float32", "float64", "int64", "uint64", "int32", "uint32", "int16", "uint16", "int8", "uint8"}
PLAIN_TYPES = frozenset(map(np.dtype, PLAIN))
LARGEST = 3.4e38  # of float32
REMEDY = "Bring it near 0 in float64 first, such as x - x.min(axis=0), or (x - x.mean(axis=0)) / x.std(axis=0)"


def count(value: Any, name: str, default: int, least: int) -> int:
    """An integer argument of at least `least`; None stands for the default."""
    if value is None:
        return default
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(value, bool) or not hasattr(value, "__index__") or not _is_at_least(value, least):
        raise ConfigError(f"{name} is an integer of at least {least}, got {value!r}")
    return int(value)


def _is_at_least(value: Any, least: int) -> bool:
    try:
        return operator.index(value) >= least
    except TypeError:  # an array of many
        return False


def as_array(data: Any, name: str) -> Array:
    """A numeric array of anything that `np.asarray` takes."""
    array = data if type(data) is np.ndarray else _from_any(data, name)
    if array.dtype.kind == "O":
        array = _from_objects(array, data, name)
    elif array.dtype.kind == "V" and array.dtype.type is not np.void:  # bfloat16 and the like, of ml_dtypes
        array = array.astype(np.float32)
    if array.dtype.kind == "b":
        return array.view(np.uint8)
    if array.dtype.kind not in "fiu":
        raise DataError(f"{name} holds {array.dtype}, not numbers{_for_text(name) if array.dtype.kind in 'US' else ''}")
    if array.ndim == 0:
        raise DataError(f"{name} is a single number; rows of samples are needed")
    if array.dtype not in PLAIN_TYPES:
        array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    return array


def _from_any(data: Any, name: str) -> Array:
    """An array of any type, of name can be made into one."""
    if data is None:
        raise DataError(f"{name} is missing")
    if hasattr(data, "toarray"):
        raise DataError(f"{name} is a sparse matrix; pass {name}.toarray()")
    if np.ma.is_masked(data):
        raise DataError(f"{name} has masked values; fill them ({name}.filled(0)) or drop such rows")
    if isinstance(data, Mapping | Set):
        _refuse_collection(data, name)
    return _converted(data, name)


def _for_text(name: str) -> str:
    """What to do about text."""
    if name == "x":
        return "; turn text into numbers, or leave it out"
    return "; number class names, np.unique(labels, return_inverse=True)[1], or make one-hot columns of these numbers"


def _refuse_collection(data: Any, name: str) -> None:
    """Refuse a dict or a set, without printing name may be all of the data."""
    if not isinstance(data, Mapping):
        raise DataError(f"{name} is a {type(data).__name__}, which has no order; pass an array or a list")
    keys = reprlib.repr(list(data))
    raise DataError(
        f"{name} is a {type(data).__name__} with the keys {keys}; pass one array. Of columns make one with "
        f"np.column_stack(list({name.split()[-1]}.values())), or pass a data frame"
    )


def _converted(data: Any, name: str) -> Array:
    """An array of any type."""
    try:
        return np.asarray(_plain_tensor(data))
    except ValueError as error:
        first = data[0] if isinstance(data, list | tuple) else None
        pairs = isinstance(first, tuple) and any(hasattr(part, "shape") for part in first)
        hint = (
            f"Of pairs (x, y) make two arrays: x, y = zip(*{name})" if pairs else "Are its rows of different lengths?"
        )
        reason = str(error).rstrip(".")
        raise DataError(f"{name} cannot be made into an array: {reason}. {hint}") from None
    except (TypeError, RuntimeError, NotImplementedError) as error:  # of the library that the data is of
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{name}, a {type(data).__name__}, cannot be made into a NumPy array: {reason}") from None


def _plain_tensor(data: Any) -> Any:
    """PyTorch's tensors in the form that NumPy can read: without a gradient, in host memory, of a type that it has."""
    if isinstance(data, list | tuple) and data and hasattr(data[0], "detach"):
        return type(data)(_plain_tensor(part) for part in data) if type(data) in (list, tuple) else data
    if not (hasattr(data, "detach") and hasattr(data, "cpu")):
        return data
    data = data.detach().cpu()
    return data.float() if str(getattr(data, "dtype", "")).endswith("bfloat16") else data


def _from_objects(array: Array, data: Any, name: str) -> Array:
    if array.ndim == 0:
        raise DataError(f"{name} is of type {type(data).__name__}; pass an array, a data frame or lists of numbers")
    try:
        return array.astype(np.float64)
    except OverflowError:
        raise DataError(f"{name} holds an integer that is too large, even for float64; scale it") from None
    except (TypeError, ValueError):
        wrong = [(index, value) for index, value in np.ndenumerate(array) if not isinstance(value, numbers.Real)]
        ragged = not wrong or (array.ndim == 1 and isinstance(wrong[0][1], Sized) and not isinstance(wrong[0][1], str))
        if ragged:
            raise DataError(f"{name} must hold numbers of one shape; it has rows of different lengths") from None
        index, value = wrong[0]
        names = getattr(data, "columns", None)
        column = f"row {index[0]}, column {names[index[1]]!r}" if names is not None and len(index) == 2 else list(index)
        hint = _for_text(name) if isinstance(value, str) else ""
        raise DataError(
            f"{name} must hold numbers of one shape; it has {reprlib.repr(value)} at {column}{hint}"
        ) from None


def rows_of(array: Array, shape: tuple[int, ...], name: str, owner: str = "the model") -> Array:
    """Rows × features, C-contiguous and aligned, for rows of that shape; raises DataError with name to do."""
    if array.shape[1:] == shape or (array.ndim == 1 and shape == (1,)):
        return np.require(array, requirements=["C", "A"]).reshape(len(array), math.prod(shape))
    if array.shape == (0,):
        raise DataError(f"{name} has no rows")
    wanted = f"(rows, {', '.join(map(str, shape))})"
    text = f"{owner} takes {name} of shape {wanted}, got {array.shape}"
    if len(shape) == 1 and array.ndim == 2 and array.shape[0] == shape[0]:
        raise DataError(f"{text}: did you pass the transpose? Rows are samples; use {name}.T")
    if array.shape == shape:
        raise DataError(f"{text}: for a single row use {name}[None]")
    if math.prod(array.shape[1:]) == math.prod(shape) and array.ndim > 1:
        raise DataError(f"{text}: use {name}.reshape(len({name}), {', '.join(map(str, shape))}), or a Flatten layer")
    raise DataError(text)


def check_finite(array: Array, name: str) -> tuple[float, float]:
    """Smallest and largest value; raises DataError naming the row of the first NaN or infinity."""
    flat = array.reshape(-1)
    low, high = math.inf, -math.inf
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        part_low, part_high = float(part.min()), float(part.max())
        if not (math.isfinite(part_low) and math.isfinite(part_high)):
            at = start + int(np.argmin(np.isfinite(part)))
            row, column = divmod(at, max(1, flat.size // len(array)))
            bad = "NaN" if np.isnan(flat[at]) else "infinity"
            where = f"row {row}, column {column} (counted from 0)"
            raise DataError(f"{name} holds {bad} in {where}; fill or drop such rows")
        low, high = min(low, part_low), max(high, part_high)
    return low, high


def check_size(low: float, high: float, name: str) -> None:
    size = max(abs(low), abs(high))
    if size > LARGEST:
        raise DataError(f"{name} holds values up to {size:g}, more than float32 can hold; scale it")


def gathered(array: Array, shuffled: bool) -> str | None:
    """The dtype to gather from, or None where batches can be read in place."""
    return None if not shuffled and array.dtype == np.float32 else array.dtype.name


def net_rows(values: Any, name: str, columns: tuple[str, ...] | None = None) -> NDArray[np.float32]:
    """A row or rows as contiguous, writable float32; refuses name `predict` refuses, but NaN.

    Args:
        columns: names of the model's columns.
    """
    check_names(columns, values, name)
    array_like = as_array(values, name)
    warn_of_large(array_like, name)
    array = np.require(array_like, np.float32, ["C", "A", "W"])
    return array if array.ndim <= 2 else array.reshape(len(array), math.prod(array.shape[1:]))


def warn_of_large(array: Array, name: str) -> None:
    """Warn of large numbers that float32 cannot hold: name can be told at a glance, for calls of few rows."""
    if array.dtype.itemsize < 4 or array.dtype == np.float32 or not array.size:
        return
    low, high = float(np.minimum.reduce(array, None)), float(np.maximum.reduce(array, None))
    if max(-low, high) > EXACT and (lost := what_is_lost(np.atleast_2d(array).reshape(-1, array.shape[-1]), low, high)):
        warn(f"{name} holds {lost}. {REMEDY}")
