"""PiecewiseConstantDecay: a rate for each stretch of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbdl import Schedule, hookimpl
from nbdl.errors import ConfigError


class PiecewiseConstantDecay(Schedule):
    """A rate for each stretch of steps.

    Formula: values[i] for boundaries[i - 1] < t ≤ boundaries[i].

    Args:
        boundaries: the last step of each stretch but the last, increasing.
        values: the rate of each stretch, one more than there are boundaries.

    Raises:
        ConfigError: the numbers of boundaries and values do not fit, or boundaries do not increase.

    Source: Keras 3, optimizers/schedules/learning_rate_schedule.py.

    >>> schedule = PiecewiseConstantDecay([10, 20], [0.3, 0.2, 0.1])
    >>> float(schedule(10)), float(schedule(11)), float(schedule(99))
    (0.3, 0.2, 0.1)
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float]) -> None:
        self.boundaries, self.values = list(boundaries), [float(value) for value in values]
        if len(self.values) != len(self.boundaries) + 1:
            raise ConfigError(
                f"PiecewiseConstantDecay: {len(self.boundaries)} boundaries take {len(self.boundaries) + 1} values, "
                f"got {len(self.values)}"
            )
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ConfigError(f"PiecewiseConstantDecay: boundaries increase, got {self.boundaries}")

    def __call__(self, step: Any) -> Any:
        import numpy as np

        return np.take(self.values, np.searchsorted(self.boundaries, step))


@hookimpl
def register_schedules(register: Any) -> None:
    example = {"boundaries": [2, 10], "values": [0.3, 0.2, 0.1]}
    register("PiecewiseConstantDecay", PiecewiseConstantDecay, examples=(example,))
