"""Softplus: a smooth rectifier.

Formula: y = ln(1 + eˣ).

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def df(x: float, y: float) -> float:
    return -math.expm1(-y)  # 1 - exp(-y) cancels: 44 % wrong at x = -17 in float32


@hookimpl
def register_activations(register: Any) -> None:
    register("softplus", f, df)
