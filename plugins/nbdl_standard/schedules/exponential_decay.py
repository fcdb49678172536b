"""ExponentialDecay: the same share less every so many steps."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import Schedule, hookimpl
from nbdl_standard.ranges import POSITIVE


class ExponentialDecay(Schedule):
    """The same share less every so many steps.

    Formula: η·d^(t/n); with staircase t/n is rounded down.

    Args:
        initial_learning_rate: η.
        decay_steps: n, positive.
        decay_rate: d.
        staircase: whether the rate falls every n steps only. Default False.

    Raises:
        ConfigError: `decay_steps` is not positive.

    Source: Keras 3, optimizers/schedules/learning_rate_schedule.py.

    >>> ExponentialDecay(0.1, 10, 0.5)(20)
    0.025
    """

    ranges: ClassVar = {"decay_steps": POSITIVE}

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        self.initial_learning_rate, self.decay_rate = float(initial_learning_rate), float(decay_rate)
        self.decay_steps, self.staircase = decay_steps, bool(staircase)

    def __call__(self, step: Any) -> Any:
        periods = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate**periods


@hookimpl
def register_schedules(register: Any) -> None:
    example = {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9}
    register("ExponentialDecay", ExponentialDecay, examples=(example, {**example, "staircase": True}))
