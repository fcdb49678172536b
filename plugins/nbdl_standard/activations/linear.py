"""Linear: the identity.

Formula: y = x.

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return x


def df(x: float, y: float) -> float:
    return 1.0


@hookimpl
def register_activations(register: Any) -> None:
    register("linear", f, df)
