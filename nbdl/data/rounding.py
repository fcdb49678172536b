"""Numbers that float32 cannot hold exactly: the engine computes in float32, and data may need more."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EXACT = 1 << 24  # integers above are not exact in float32
INTEGERS = 1 << 53  # float64 is whole from here on, whatever it stands for
CLOSE = 1024 * 2.0**-23  # a range of this, beside the numbers' size, leaves some 1,000 different ones in float32
SMALLEST = 2.0**-126  # of float32, at full precision
CHUNK = 1 << 20  # elements looked at together


def what_is_lost(rows: Array, low: float, high: float) -> str:
    """What float32 loses of these rows that may matter; "" if nothing.

    That is so of whole numbers that become others, and of a column whose values lie so close together beside
    their size that few different ones are left.

    Args:
        rows: rows × features.
        low, high: the smallest and the largest number.
    """
    if rows.dtype.kind not in "iu" and rows.dtype != np.float64:
        return ""
    lost = _whole_numbers(rows) if max(abs(low), abs(high)) > EXACT else ""
    return lost or (_close_together(rows) if rows.dtype == np.float64 and len(rows) > 1 else "")


def _whole_numbers(rows: Array) -> str:
    flat = rows.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        changed = _changed(flat[start : start + CHUNK])
        if changed.any():
            at = start + int(changed.argmax())
            row, column = divmod(at, rows.shape[1])
            value = int(flat[at])
            return (
                f"whole numbers above {EXACT:,} that float32 cannot hold: {value} in row {row}, column {column} "
                f"(counted from 0) becomes {int(np.float32(flat[at]))}"
            )
    return ""


def _changed(part: Array) -> Any:
    """Which whole numbers float32 changes: those whose digits in base 2, without zeros at the end, are too many."""
    if part.dtype.kind == "f":
        size = np.abs(part)
        with np.errstate(over="ignore"):
            changed = part.astype(np.float32) != part
        return (size > EXACT) & (size < INTEGERS) & (part == np.floor(part)) & changed
    size = np.abs(part.astype(np.int64)).astype(np.uint64) if part.dtype.kind == "i" else part.astype(np.uint64)
    lowest = size & (~size + np.uint64(1))
    return size // np.maximum(lowest, np.uint64(1)) > EXACT


def _close_together(rows: Array) -> str:
    # Columns whose first and last values differ enough, which is most of them, need no further look.
    first = np.abs(rows[0])
    (columns,) = np.nonzero((first > 0.0) & ((np.abs(rows[0] - rows[-1]) <= first * CLOSE) | (first < SMALLEST)))
    if not len(columns):
        return ""
    some = rows if len(columns) == rows.shape[1] else rows[:, columns]
    low, high = some.min(axis=0), some.max(axis=0)
    largest = np.maximum(np.abs(low), np.abs(high))
    close = (high > low) & ((high - low < largest * CLOSE) | (largest < SMALLEST))
    for decimal in np.flatnonzero(close):
        if (some[:, decimal].astype(np.float32) != some[:, decimal]).any():
            return (
                f"numbers that lie closer together than float32 can tell: column {columns[decimal]} (counted from 0) "
                f"goes from {low[decimal]:.15g} to {high[decimal]:.15g}, in float32 in steps of "
                f"{np.spacing(np.float32(largest[decimal])):.2g}"
            )
    return ""
