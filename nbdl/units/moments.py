"""Second moments of an epoch, for metrics: sums of squares that keep their digits where values are far from 0.

Σx² and (Σx)²/n nearly cancel where the mean is many deviations from 0, and float32 loses what is left. So each step
adds up deviations from a mean of its own, and Python moves these sums, in float64, to one origin for the whole epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nbdl.program.functions import same, square, times

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program.recorder import Recorder
    from nbdl.program.tensor import Tensor


def minus(a: float, b: float) -> float:
    return a - b


def quotient(part: float, whole: float) -> float:
    return part / whole if whole != 0.0 else 0.0 * part


class Deviations(NamedTuple):
    """What a step knows of x: the origin, a vector, and each row's deviations from it and their squares."""

    origin: Tensor
    first: Tensor
    second: Tensor


def deviations(r: Recorder, x: Tensor, weights: Tensor | None = None) -> Deviations:
    """Record the deviations of x from about the mean of the step's rows; the rows' weights count in that mean only."""
    if weights is None:
        origin = r.map(quotient, r.sum(same, x), r.rows)
    else:
        origin = r.map(quotient, r.sum(times, x, weights), r.sum(same, weights))
    first = r.map(minus, x, origin)
    return Deviations(origin, first, r.map(square, first))


def moved(
    origins: np.ndarray, first: np.ndarray, second: np.ndarray, weights: np.ndarray, origin: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move sums to one origin o: Σw(x - o) and Σw(x - o)² of each step.

    Args:
        origins, first, second: steps × columns: each step's own origin, and its sums about that.
        weights: of each step, the sum of its rows' weights.
    """
    way, whole = origins - origin, weights[:, None]
    return first + whole * way, second + 2.0 * way * first + whole * way * way
