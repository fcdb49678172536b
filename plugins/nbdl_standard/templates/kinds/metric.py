"""my_unit: the share of predictions that are as near to the target as is asked for.

Formula: the mean of 1 where |y - p| <= tolerance, else 0, with tolerance = 0.5 by default.

Source: this package.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


# Your formula, of a target y and a prediction p; arguments after these, with defaults, are the metric's own.
def f(y: float, p: float, tolerance: float = 0.5) -> float:
    return 1.0 if abs(y - p) <= tolerance else 0.0


@hookimpl
def register_metrics(register: Any) -> None:
    # What to test it with; the usual is targets="one-hot", predictions="probabilities".
    register("my_unit", f, targets="reals", predictions="reals", examples=({"tolerance": 2.0},))
