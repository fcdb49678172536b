"""InverseTimeDecay: one over the time."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import Schedule, hookimpl
from nbdl_standard.ranges import POSITIVE


class InverseTimeDecay(Schedule):
    """One over the time.

    Formula: η/(1 + d·t/n); with staircase t/n is rounded down. `decay=d` of older Keras is this one with n = 1.

    Args:
        initial_learning_rate: η.
        decay_steps: n, positive.
        decay_rate: d.
        staircase: whether the rate falls every n steps only. Default False.

    Raises:
        ConfigError: `decay_steps` is not positive.

    Source: Keras 3, optimizers/schedules/learning_rate_schedule.py.

    >>> InverseTimeDecay(0.1, 10, 0.5)(20)
    0.05
    """

    ranges: ClassVar = {"decay_steps": POSITIVE}

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        self.initial_learning_rate, self.decay_rate = float(initial_learning_rate), float(decay_rate)
        self.decay_steps, self.staircase = decay_steps, bool(staircase)

    def __call__(self, step: Any) -> Any:
        periods = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate / (1.0 + self.decay_rate * periods)


@hookimpl
def register_schedules(register: Any) -> None:
    example = {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9}
    register("InverseTimeDecay", InverseTimeDecay, examples=(example, {**example, "staircase": True}))
