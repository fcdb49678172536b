"""ReLU: the rectifier as a layer."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import hookimpl
from nbdl.units import Range
from nbdl_standard.layers.activation import Activation


class ReLU(Activation):
    """The rectifier as a layer: `Activation` of relu with these arguments.

    Formula: y = max(x, 0); with arguments, y = min(x, max_value) for x > threshold, negative_slope·(x - threshold)
    up to it.

    Args:
        max_value: the largest y; None for no limit.
        negative_slope: up to the threshold.
        threshold: above which x is kept.

    The ThresholdedReLU(theta) of Keras 1 and 2 is ReLU(threshold=theta).

    Raises:
        ConfigError: an argument is negative.

    Source: Nair & Hinton 2010; Keras 3, layers/activations/relu.py.

    >>> ReLU(max_value=6.0).activation
    Relu(negative_slope=0.0, max_value=6.0, threshold=0.0)
    """

    ranges: ClassVar = {
        "negative_slope": Range(0.0, wanted="must be 0 or more"),
        "threshold": Range(0.0, wanted="must be 0 or more"),
    }

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0) -> None:
        config = {"negative_slope": negative_slope, "max_value": max_value, "threshold": threshold}
        super().__init__({"name": "relu", "config": config})


@hookimpl
def register_layers(register: Any) -> None:
    example = {"max_value": 1.5, "negative_slope": 0.1, "threshold": 0.25}
    register("ReLU", ReLU, kinks=(0.0, 0.25, 1.5), examples=(example,))
