"""Sparse plus: a smooth rectifier that is 0 below -1 and the identity above 1.

Formula: y = 0 for x ≤ -1, (x + 1)²/4 between, x for x ≥ 1.

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    above = max(x, -1.0) + 1.0
    return x if x >= 1.0 else 0.25 * above * above


def df(x: float, y: float) -> float:
    return 0.5 * (min(max(x, -1.0), 1.0) + 1.0)


@hookimpl
def register_activations(register: Any) -> None:
    register("sparse_plus", f, df)
