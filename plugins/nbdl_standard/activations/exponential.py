"""Exponential.

Formula: y = eˣ, which overflows float32 above x = 88.7.

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return math.exp(x)


def df(x: float, y: float) -> float:
    return y


@hookimpl
def register_activations(register: Any) -> None:
    overflow = "eˣ is infinite in float32 above x = 88.7"
    register("exponential", f, df, expected_failures={"finite stays finite": overflow})
