"""ThresholdedReLU: inputs above a threshold, and else 0."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import hookimpl
from nbdl.units import Range
from nbdl_standard.layers.activation import Activation


class ThresholdedReLU(Activation):
    """Inputs above a threshold, and else 0: `Activation` of relu with that threshold.

    Formula: y = x for x > theta, else 0.

    Args:
        theta: the threshold.

    Keras 3 has it as ReLU(threshold=theta).

    Raises:
        ConfigError: theta is negative.

    Source: Konda et al. 2014; Keras 2, layers/activation/thresholded_relu.py.

    >>> ThresholdedReLU(0.5).activation
    Relu(negative_slope=0.0, max_value=None, threshold=0.5)
    """

    ranges: ClassVar = {"theta": Range(0.0, wanted="must be 0 or more")}

    def __init__(self, theta: float = 1.0) -> None:
        super().__init__({"name": "relu", "config": {"negative_slope": 0.0, "max_value": None, "threshold": theta}})


@hookimpl
def register_layers(register: Any) -> None:
    register("ThresholdedReLU", ThresholdedReLU, kinks=(1.0,))
