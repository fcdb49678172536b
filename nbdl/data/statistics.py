"""Means and standard deviations, with the cases that break the formula."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from nbdl.data.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

Scale: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]


def neutral(count: int, deviation: float) -> Scale:
    """Return means of 0 and one deviation, `count` of each."""
    return (0.0,) * count, (deviation,) * count


def column_scale(table: Table, names: tuple[str, ...]) -> Scale:
    """Return the mean and standard deviation of each of these columns."""
    table.check_numbers(names)
    pairs = [moments(table.numbers(name)[:, None]) for name in names]
    return tuple(mean for means, _ in pairs for mean in means), tuple(
        deviation for _, deviations in pairs for deviation in deviations
    )


def moments(columns: NDArray[Any]) -> Scale:
    """Return the mean and population standard deviation of each column; 1 where that is 0 or noise."""
    import numpy as np

    mean = columns.mean(axis=0, dtype=np.float64)
    deviation = columns.std(axis=0, dtype=np.float64)
    # A constant 0.1 has a computed deviation of 1e-17, and dividing by that would make its rounding error 1.
    constant = columns.min(axis=0) == columns.max(axis=0)
    mean = np.where(constant, columns[0], mean)
    deviation = np.where(constant | (deviation == 0), 1.0, deviation)
    return tuple(mean.tolist()), tuple(deviation.tolist())
