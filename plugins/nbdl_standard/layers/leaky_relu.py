"""LeakyReLU: the rectifier with a small slope below 0, as a layer."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import hookimpl
from nbdl.units import Range
from nbdl_standard.layers.activation import Activation


class LeakyReLU(Activation):
    """The rectifier with a small slope below 0: `Activation` of leaky_relu with this argument.

    Formula: y = x for x ≥ 0, negative_slope·x below.

    Args:
        negative_slope: the slope below 0. The function leaky_relu has another default, 0.2, as in Keras; PyTorch's
            is 0.01.

    The older spelling `alpha` is accepted.

    Raises:
        ConfigError: negative_slope is negative.

    Source: Maas et al. 2013; Keras 3, layers/activations/leaky_relu.py.

    >>> LeakyReLU(alpha=0.1).activation
    leaky_relu(negative_slope=0.1)
    """

    renamed = {"alpha": "negative_slope"}
    ranges: ClassVar = {"negative_slope": Range(0.0, wanted="must be 0 or more")}

    def __init__(self, negative_slope: float = 0.3) -> None:
        super().__init__({"name": "leaky_relu", "config": {"negative_slope": negative_slope}})


@hookimpl
def register_layers(register: Any) -> None:
    register("LeakyReLU", LeakyReLU, kinks=(0.0,))
