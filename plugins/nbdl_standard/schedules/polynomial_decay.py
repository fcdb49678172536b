"""PolynomialDecay: from one rate to another along a power of the time."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import Schedule, hookimpl
from nbdl_standard.ranges import POSITIVE


class PolynomialDecay(Schedule):
    """From one rate to another along a power of the time; a straight line by default.

    Formula: (η - e)·(1 - min(t, n)/n)ᵖ + e; with cycle n becomes its first multiple that is not below t.

    Args:
        initial_learning_rate: η.
        decay_steps: n, positive.
        end_learning_rate: e. Default 0.0001.
        power: p. Default 1.
        cycle: whether the rate rises again after n steps, each time to a lower one. Default False.

    Raises:
        ConfigError: `decay_steps` is not positive.

    Source: Keras 3, optimizers/schedules/learning_rate_schedule.py.

    >>> [round(float(PolynomialDecay(0.1, 10, 0.05)(step)), 4) for step in (0, 5, 10, 50)]
    [0.1, 0.075, 0.05, 0.05]
    """

    ranges: ClassVar = {"decay_steps": POSITIVE}

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
    ) -> None:
        self.initial_learning_rate, self.end_learning_rate = float(initial_learning_rate), float(end_learning_rate)
        self.decay_steps = decay_steps
        self.power, self.cycle = float(power), bool(cycle)

    def __call__(self, step: Any) -> Any:
        import numpy as np

        last = self.decay_steps * np.maximum(1.0, np.ceil(step / self.decay_steps)) if self.cycle else self.decay_steps
        left = 1.0 - np.minimum(step, last) / last
        return (self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate


@hookimpl
def register_schedules(register: Any) -> None:
    example = {"initial_learning_rate": 0.1, "decay_steps": 7}
    other = {**example, "end_learning_rate": 0.01, "power": 0.5, "cycle": True}
    register("PolynomialDecay", PolynomialDecay, examples=(example, other))
