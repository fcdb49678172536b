"""Mish: a smooth rectifier with a dip below 0.

Formula: y = x·tanh(ln(1 + eˣ)) = x·n/(n + 2), with n = eˣ(eˣ + 2).

Source: Misra 2019; Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    m = min(x, 20.0)
    e = math.exp(m)
    n = e * (e + 2.0)
    return x if x > 20.0 else m * n / (n + 2.0)  # above 20 the factor is 1, and x·n could be infinite


def df(x: float, y: float) -> float:
    m = min(x, 20.0)
    e = math.exp(m)
    n = e * (e + 2.0)
    d = n + 2.0
    return (n * d + 4.0 * m * e * (e + 1.0)) / (d * d)


@hookimpl
def register_activations(register: Any) -> None:
    register("mish", f, df)
