"""Schedule: a learning rate that depends on the step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbdl.units.unit import NAMED, Unit

if TYPE_CHECKING:
    import numpy as np


class Schedule(Unit):
    """A learning rate that depends on the step, counted from 0.

    It must be a pure function of the step, and is called with an array of steps (float64) where that works: plain
    arithmetic takes both. What raises TypeError or ValueError for an array is called step by step.

    Any schedule also takes:

    Args:
        name: for the config.

    A plain function `step -> rate` can stand for a schedule, but no file can hold it. (Keras calls such a function
    without the step.)
    """

    kind = "schedules"
    last_positions = ("name",)
    common = NAMED
    name: str

    def __call__(self, step: Any) -> Any:
        raise self.unwritten("__call__")


def rates(rate: Callable[[Any], Any], iterations: np.ndarray) -> np.ndarray:
    """Compute the rates of many steps: at once where a schedule takes an array, else one by one."""
    import numpy as np

    if isinstance(rate, Schedule):
        # A schedule written for one step may pass for one that takes arrays while the array has one element.
        several = np.repeat(iterations, 2) if len(iterations) == 1 else iterations
        try:
            return np.broadcast_to(np.asarray(rate(several), np.float64), several.shape)[: len(iterations)]
        except (TypeError, ValueError):
            pass
    return np.array([float(rate(int(one))) for one in iterations])
