"""Sigmoid: squashes to (0, 1).

Formula: y = 1/(1 + e⁻ˣ).

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    # One exponential of a negative number: 1/(1 + exp(-x)) alone loses the small tail's accuracy to overflow.
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


def df(x: float, y: float) -> float:
    return y * (1.0 - y)


def slope(x: float) -> float:
    """The derivative from x alone, for functions made of this one: exact where y is almost 1, at twice the cost."""
    e = math.exp(-abs(x))
    return e / ((1.0 + e) * (1.0 + e))


@hookimpl
def register_activations(register: Any) -> None:
    register("sigmoid", f, df)
