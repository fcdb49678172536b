"""CosineDecay: half a wave down, after a straight warmup."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nbdl import Schedule, hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.ranges import POSITIVE


class CosineDecay(Schedule):
    """Half a wave down, after a straight warmup.

    Formula: η·((1 - α)·½·(1 + cos(π·min(t, n)/n)) + α). With `warmup_target` the rate first goes from η to that in
    w steps, along a straight line, and the wave starts there: it in place of η, t - w in place of t.

    Args:
        initial_learning_rate: η.
        decay_steps: n, positive, without those of the warmup.
        alpha: α, the last rate as a share of the highest. Default 0.
        warmup_target: the highest rate, or None for no warmup. Default None.
        warmup_steps: w. Default 0.

    Raises:
        ConfigError: `decay_steps` is not positive, or `warmup_steps` is negative.

    Source: Loshchilov & Hutter 2017; Keras 3, optimizers/schedules/learning_rate_schedule.py.

    >>> schedule = CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=4)
    >>> [round(float(schedule(step)), 3) for step in (0, 2, 4, 9, 14, 99)]
    [0.0, 0.05, 0.1, 0.05, 0.0, 0.0]
    """

    ranges: ClassVar = {"decay_steps": POSITIVE}
    positions = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        if warmup_steps < 0:
            raise ConfigError(f"CosineDecay: warmup_steps is not negative, got {warmup_steps!r}")
        self.initial_learning_rate, self.alpha = float(initial_learning_rate), float(alpha)
        self.decay_steps = decay_steps
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def __call__(self, step: Any) -> Any:
        import numpy as np

        first, top = self.initial_learning_rate, self.warmup_target
        if top is None:
            return first * self._wave(step)
        warm = first + (top - first) * step / max(self.warmup_steps, 1)
        return np.where(step < self.warmup_steps, warm, top * self._wave(step - self.warmup_steps))

    def _wave(self, step: Any) -> Any:
        import numpy as np

        wave = 0.5 * (1.0 + np.cos(math.pi * np.minimum(step, self.decay_steps) / self.decay_steps))
        return (1.0 - self.alpha) * wave + self.alpha


@hookimpl
def register_schedules(register: Any) -> None:
    example = {"initial_learning_rate": 0.1, "decay_steps": 7, "alpha": 0.1}
    register("CosineDecay", CosineDecay, examples=(example, {**example, "warmup_target": 0.3, "warmup_steps": 3}))
