"""ReLU6: the rectifier, 6 at most.

Formula: y = min(max(x, 0), 6); the derivative at both kinks is 0.

Source: Krizhevsky 2010; Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return min(max(x, 0.0), 6.0)


def df(x: float, y: float) -> float:
    return 1.0 if 0.0 < x < 6.0 else 0.0


@hookimpl
def register_activations(register: Any) -> None:
    register("relu6", f, df, kinks=(0.0, 6.0))
