"""Tanh shrink: what tanh takes away.

Formula: y = x - tanh x.

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def near(x: float) -> float:
    """x - tanh x for |x| ≤ 1, where the difference cancels: x³·P(x²), degree 6, a minimax fit (relative error 6e-8)."""
    z = x * x
    high = ((4.2078443e-4 * z - 2.5107283e-3) * z + 8.219227e-3) * z - 2.1660276e-2
    return x * z * (((high * z + 5.3934827e-2) * z - 0.13333128) * z + 0.33333331)


def f(x: float) -> float:
    return near(x) if abs(x) < 1.0 else x - math.tanh(x)


def df(x: float, y: float) -> float:
    return math.tanh(x) * math.tanh(x)


@hookimpl
def register_activations(register: Any) -> None:
    register("tanh_shrink", f, df)
