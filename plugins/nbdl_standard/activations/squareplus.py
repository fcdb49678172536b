"""Squareplus: a smooth rectifier without an exponential.

Formula: y = (x + √(x² + b))/2.

Args:
    b: how smooth the bend is; with 4, y(0) = 1.

Source: Barron 2021; Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl

HUGE = 1e9  # the root of b is nothing beside it


def f(x: float, b: float = 4.0) -> float:
    a = min(abs(x), HUGE)  # x² would be infinite
    s = math.sqrt(a * a + b) + a
    if x > HUGE:
        return x
    return 0.5 * s if x >= 0.0 else 0.5 * b / s  # x + √(x² + b) cancels below 0


def df(x: float, y: float, b: float = 4.0) -> float:
    return y / (2.0 * y - x)  # y² = x·y + b/4


@hookimpl
def register_activations(register: Any) -> None:
    register("squareplus", f, df, examples=({"b": 0.5},))
