"""Activation: an activation as a layer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class Activation(Layer):
    """An activation as a layer of its own: the same program as the `activation` argument of the layer before.

    Formula: y = f(x).

    Args:
        activation: name or unit.

    Source: Keras 3, layers/activations/activation.py.

    >>> Activation("relu").get_config()["activation"]
    'relu'
    """

    activates_only = True

    def __init__(self, activation: Any) -> None:
        self.activation = self.unit("activations", activation)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return x, None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return dy


@hookimpl
def register_layers(register: Any) -> None:
    register("Activation", Activation, examples=({"activation": "tanh"},))
