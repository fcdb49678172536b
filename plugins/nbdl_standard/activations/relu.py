"""ReLU: the rectifier."""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl.units import ElementwiseActivation


def f(x: float, negative_slope: float, max_value: float, threshold: float) -> float:
    # NaN is not <= threshold, and min(NaN, ...) is NaN; a slope of 0 gives 0 for -inf too, where 0·(-inf) is NaN.
    below = negative_slope * (x - threshold) if negative_slope != 0.0 else 0.0
    return below if x <= threshold else min(x, max_value)


def df(x: float, y: float, negative_slope: float, max_value: float, threshold: float) -> float:
    return (1.0 if x < max_value else 0.0) if x > threshold else negative_slope


class Relu(ElementwiseActivation):
    """The rectifier.

    Formula: y = max(x, 0); with arguments, y = min(x, max_value) for x > threshold, negative_slope·(x - threshold)
    up to it. The derivative at the kink is negative_slope, 0 by default, as in Keras.

    Args:
        negative_slope: up to the threshold.
        max_value: the largest y, 0 or more; None for no limit.
        threshold: above which x is kept.

    The older spelling `alpha` of negative_slope is accepted.

    Raises:
        ConfigError: max_value is negative.

    Source: Nair & Hinton 2010; Keras 3, activations/activations.py.

    >>> Relu(max_value=6.0)
    Relu(max_value=6.0)
    """

    renamed = {"alpha": "negative_slope"}
    functions = (f, df)

    def __init__(self, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> None:
        if max_value is not None and not max_value >= 0.0:
            raise ConfigError(f"relu: max_value is the largest y, 0 or more, or None for no limit, got {max_value!r}")
        self.parameters = {
            "negative_slope": float(negative_slope),
            "max_value": math.inf if max_value is None else float(max_value),
            "threshold": float(threshold),
        }


@hookimpl
def register_activations(register: Any) -> None:
    example = {"negative_slope": 0.1, "max_value": 1.5, "threshold": 0.25}
    register("relu", Relu, kinks=(0.0, 0.25, 1.5), examples=(example,))
