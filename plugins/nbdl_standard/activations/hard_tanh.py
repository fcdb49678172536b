"""Hard tanh: x, kept within -1 and 1.

Formula: y = min(max(x, -1), 1).

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return min(max(x, -1.0), 1.0)


def df(x: float, y: float) -> float:
    return 1.0 if abs(x) <= 1.0 else 0.0


@hookimpl
def register_activations(register: Any) -> None:
    register("hard_tanh", f, df, kinks=(-1.0, 1.0))
