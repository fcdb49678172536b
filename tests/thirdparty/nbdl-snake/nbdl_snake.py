"""Snake: the identity with a ripple, for nets that learn periodic functions and go on with them outside the data.

Formula: y = x + sin²(a·x)/a.

Args:
    a: the ripple's frequency, not 0; its period is π/a. Default 1.

Source: Ziyin, Hartwig & Ueda 2020, Neural Networks Fail to Learn Periodic Functions and How to Fix It.

>>> round(f(0.5, a=2.0), 6), round(df(0.5, f(0.5)), 6)
(0.854037, 1.841471)
"""

from __future__ import annotations

import math
from collections.abc import Callable

from nbdl import hookimpl


def f(x: float, a: float = 1.0) -> float:
    s = math.sin(a * x)
    return x + s * s / a


def df(x: float, y: float, a: float = 1.0) -> float:
    return 1.0 + math.sin(2.0 * a * x)


@hookimpl
def register_activations(register: Callable[..., None]) -> None:
    register("snake", f, df, examples=({"a": 0.5}, {"a": 3.0}))
