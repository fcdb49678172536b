"""Soft shrink: moves x towards 0, and to 0 if it is near.

Formula: y = x - threshold for x > threshold, x + threshold for x < -threshold, else 0.

Args:
    threshold: 0 or more.

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float, threshold: float = 0.5) -> float:
    return x - min(max(x, -threshold), threshold)


def df(x: float, y: float, threshold: float = 0.5) -> float:
    return 1.0 if abs(x) > threshold else 0.0


@hookimpl
def register_activations(register: Any) -> None:
    register("soft_shrink", f, df, kinks=(-1.0, -0.5, 0.5, 1.0), examples=({"threshold": 1.0},))
