"""Tanh: squashes to (-1, 1).

Formula: y = tanh x.

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(x: float) -> float:
    return math.tanh(x)


def df(x: float, y: float) -> float:
    return 1.0 - y * y


@hookimpl
def register_activations(register: Any) -> None:
    register("tanh", f, df)
