"""Leaky ReLU: the rectifier with a small slope below 0.

Formula: y = x for x ≥ 0, negative_slope·x below; the derivative at 0 is 1, as in Keras.

Args:
    negative_slope: the slope below 0. The layer LeakyReLU has another default, 0.3, as in Keras; PyTorch's is 0.01.

Source: Maas et al. 2013; Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float, negative_slope: float = 0.2) -> float:
    return x if x >= 0.0 else negative_slope * x


def df(x: float, y: float, negative_slope: float = 0.2) -> float:
    return 1.0 if x >= 0.0 else negative_slope


@hookimpl
def register_activations(register: Any) -> None:
    register("leaky_relu", f, df, kinks=(0.0,), examples=({"negative_slope": 0.05},))
