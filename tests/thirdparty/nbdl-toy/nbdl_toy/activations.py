"""Toy step: squashes to (0, 1) without an exponential.

Formula: y = (x/(1 + |x|) + 1)/2.
"""

from __future__ import annotations

from collections.abc import Callable

from nbdl import hookimpl


def f(x: float) -> float:
    return 0.5 * (x / (1.0 + abs(x)) + 1.0)


def df(x: float, y: float) -> float:
    return 0.5 / ((1.0 + abs(x)) * (1.0 + abs(x)))


@hookimpl
def register_activations(register: Callable[..., None]) -> None:
    register("toy_step", f, df)
