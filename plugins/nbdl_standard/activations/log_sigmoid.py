"""Log-sigmoid: the logarithm of the sigmoid.

Formula: y = -ln(1 + e⁻ˣ).

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))


def df(x: float, y: float) -> float:
    return -math.expm1(y)


@hookimpl
def register_activations(register: Any) -> None:
    register("log_sigmoid", f, df)
