"""Input: the shape of what comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl

if TYPE_CHECKING:
    from nbdl.engine.program import Recorder, Tensor


class Input(Layer):
    """The shape of one row of inputs, as the first entry of a model; it passes x on.

    Formula: y = x.

    Args:
        shape: without the rows; a number stands for one axis.

    Source: Keras 3, layers/core/input_layer.py.

    >>> Input(shape=(784,)).input_shape
    (784,)
    """

    moves_only = True

    def __init__(self, shape: Any) -> None:
        self.set_input_shape(shape)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return x, None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return dy


@hookimpl
def register_layers(register: Any) -> None:
    register("Input", Input, aliases=("InputLayer",), examples=({"shape": [4]},))
