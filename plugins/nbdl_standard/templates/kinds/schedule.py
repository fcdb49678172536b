"""MyUnit: a rate that rises at first and falls from then on."""

from __future__ import annotations

from typing import Any

from nbdl import Schedule, hookimpl


class MyUnit(Schedule):
    """A rate that rises evenly to its peak, and falls with the root of the step from then on.

    Formula: η·min((t + 1)/n, √(n/(t + 1))), t = 0, 1, ...

    Args:
        peak: η.
        warmup: n, the steps up to the peak. Default 100.

    Source: Vaswani et al. 2017, Attention Is All You Need.
    """

    def __init__(self, peak: float, warmup: int = 100) -> None:
        self.peak, self.warmup = float(peak), int(warmup)

    # Your formula: of the step alone, which counts from 0.
    def __call__(self, step: Any) -> Any:
        share = (step + 1) / self.warmup
        return self.peak * min(share, share**-0.5)


@hookimpl
def register_schedules(register: Any) -> None:
    # A schedule that needs arguments says by examples which to test.
    register("MyUnit", MyUnit, examples=({"peak": 0.1, "warmup": 5},))
