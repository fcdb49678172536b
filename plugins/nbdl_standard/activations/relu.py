"""ReLU: the rectifier.

Formula: y = max(x, 0); with arguments, y = min(x, max_value) for x ≥ threshold, negative_slope·(x - threshold) below.
The derivative at the kink is 0, as in Keras.

Source: Nair & Hinton 2010; Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(x: float, negative_slope: float = 0.0, max_value: float = math.inf, threshold: float = 0.0) -> float:
    # NaN is not <= threshold, and min(NaN, ...) is NaN; a slope of 0 gives 0 for -inf too, where 0·(-inf) is NaN.
    below = negative_slope * (x - threshold) if negative_slope != 0.0 else 0.0
    return below if x <= threshold else min(x, max_value)


def df(x: float, y: float, negative_slope: float = 0.0, max_value: float = math.inf, threshold: float = 0.0) -> float:
    return (1.0 if x < max_value else 0.0) if x > threshold else negative_slope


@hookimpl
def register_activations(register: Any) -> None:
    register("relu", f, df, kinks=(0.0,), examples=({"negative_slope": 0.1, "max_value": 1.5, "threshold": 0.25},))
