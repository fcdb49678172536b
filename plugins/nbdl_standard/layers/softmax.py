"""Softmax: a row as a probability distribution, as a layer."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.layers.activation import Activation


class Softmax(Activation):
    """A row as a probability distribution: `Activation` of softmax.

    Formula: yᵢ = e^xᵢ/Σⱼ e^xⱼ.

    Args:
        axis: -1: over all features of a row.

    Raises:
        ConfigError: another axis, or rows that are not vectors.

    Source: Bridle 1990; Keras 3, layers/activations/softmax.py.

    >>> Softmax().activation
    Softmax()
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__("softmax" if axis == -1 else {"name": "softmax", "config": {"axis": axis}})


@hookimpl
def register_layers(register: Any) -> None:
    register("Softmax", Softmax)
