"""CosineDecayRestarts: half a wave down, and up again at once."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nbdl import Schedule, hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.ranges import POSITIVE

ROUNDING = 1e-9  # of a logarithm: a restart that is due is not put off


class CosineDecayRestarts(Schedule):
    """Half a wave down, and up again at once, each time for longer.

    Formula: period i lasts n·kⁱ steps; with f, the share of it that is over: η·((1 - α)·½·mⁱ·(1 + cos(π·f)) + α).

    Args:
        initial_learning_rate: η.
        first_decay_steps: n, positive.
        t_mul: k, positive. Default 2.
        m_mul: m. Default 1.
        alpha: α, the last rate as a share of η. Default 0.

    Raises:
        ConfigError: `first_decay_steps` is not positive, or `t_mul` is below 1.

    Source: Loshchilov & Hutter 2017 (SGDR); Keras 3, optimizers/schedules/learning_rate_schedule.py.

    >>> schedule = CosineDecayRestarts(0.1, 10)
    >>> [round(float(schedule(step)), 3) for step in (0, 5, 10, 20, 29, 30)]
    [0.1, 0.05, 0.1, 0.05, 0.001, 0.1]
    """

    ranges: ClassVar = {"first_decay_steps": POSITIVE}

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
    ) -> None:
        if t_mul < 1.0:
            raise ConfigError(f"CosineDecayRestarts: t_mul is 1 or more, got {t_mul!r}: periods would end in no time")
        self.initial_learning_rate, self.alpha = float(initial_learning_rate), float(alpha)
        self.first_decay_steps = first_decay_steps
        self.t_mul, self.m_mul = float(t_mul), float(m_mul)

    def __call__(self, step: Any) -> Any:
        import numpy as np

        periods, k = step / self.first_decay_steps, self.t_mul
        if k == 1.0:
            number = np.floor(periods)
            over = periods - number
        else:
            number = np.floor(np.log(1.0 + periods * (k - 1.0)) / math.log(k) + ROUNDING)
            over = (periods - (k**number - 1.0) / (k - 1.0)) / k**number
        wave = 0.5 * self.m_mul**number * (1.0 + np.cos(math.pi * over))
        return self.initial_learning_rate * ((1.0 - self.alpha) * wave + self.alpha)


@hookimpl
def register_schedules(register: Any) -> None:
    example = {"initial_learning_rate": 0.1, "first_decay_steps": 7}
    other = {**example, "t_mul": 1.0, "m_mul": 0.9, "alpha": 0.1}
    register("CosineDecayRestarts", CosineDecayRestarts, examples=(example, other))
