"""Sparse sigmoid: a straight line from (-1, 0) to (1, 1), flat outside.

Formula: y = (min(max(x, -1), 1) + 1)/2.

Source: Blondel, Martins & Niculae 2019; Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return 0.5 * (min(max(x, -1.0), 1.0) + 1.0)


def df(x: float, y: float) -> float:
    return 0.5 if abs(x) < 1.0 else 0.0


@hookimpl
def register_activations(register: Any) -> None:
    register("sparse_sigmoid", f, df, kinks=(-1.0, 1.0))
