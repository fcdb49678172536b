"""Softsign: squashes to (-1, 1) more gently than tanh.

Formula: y = x/(1 + |x|).

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return x / (1.0 + abs(x))


def df(x: float, y: float) -> float:
    return 1.0 / ((1.0 + abs(x)) * (1.0 + abs(x)))


@hookimpl
def register_activations(register: Any) -> None:
    register("softsign", f, df)
