"""Hard SiLU, or hard Swish: x by its own hard sigmoid.

Formula: y = x·min(max(x + 3, 0), 6)/6.

Source: Howard et al. 2019; Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return x * (min(max(x + 3.0, 0.0), 6.0) / 6.0)


def df(x: float, y: float) -> float:
    inside = (2.0 * x + 3.0) / 6.0
    return inside if abs(x) < 3.0 else (1.0 if x > 0.0 else 0.0)


@hookimpl
def register_activations(register: Any) -> None:
    register("hard_silu", f, df, aliases=("hard_swish",), kinks=(-3.0, 3.0))
