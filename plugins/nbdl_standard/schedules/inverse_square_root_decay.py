"""InverseSquareRootDecay: one over the root of the number of steps."""

from __future__ import annotations

from typing import Any

from nbdl import Schedule, hookimpl


class InverseSquareRootDecay(Schedule):
    """One over the root of the number of steps; Keras has no such schedule.

    Formula: η/√(t + 1).

    Args:
        initial_learning_rate: η, the rate of the first step.

    Source: Hung-yi Lee's lectures on deep learning, "1/t decay".

    >>> InverseSquareRootDecay(0.1)(3)
    0.05
    """

    def __init__(self, initial_learning_rate: float) -> None:
        self.initial_learning_rate = float(initial_learning_rate)

    def __call__(self, step: Any) -> Any:
        return self.initial_learning_rate / (step + 1) ** 0.5


@hookimpl
def register_schedules(register: Any) -> None:
    register("InverseSquareRootDecay", InverseSquareRootDecay, examples=({"initial_learning_rate": 0.1},))
