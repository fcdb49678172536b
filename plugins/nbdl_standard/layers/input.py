"""Input: the shape of what comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError
from nbdl.units import without_rows

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class Input(Layer):
    """The shape of one row of inputs, given before the layers of a model; it is none of `model.layers`.

    Formula: y = x.

    Args:
        shape: without the rows; a number stands for one axis.
        batch_size: not used: a model takes any number of rows.

    In place of `shape` these are accepted: input_shape, and with the rows first, such as (None, 784), batch_shape and
    batch_input_shape.

    Raises:
        ConfigError: two shapes are given, and they differ.

    Source: Keras 3, layers/core/input_layer.py.

    >>> Input(shape=(784,)).input_shape
    (784,)
    """

    moves_only = True
    declares_input = True

    ignored: ClassVar = {
        **dict.fromkeys(("sparse", "ragged"), (None, False)),
        **dict.fromkeys(("tensor", "batch_shape"), (None,)),
        "optional": (False,),
    }
    instead: ClassVar = {
        **dict.fromkeys(("sparse", "ragged"), "not there: arrays are dense"),
        "tensor": "not there: a model is a list of layers",
        "optional": "not there: a model has one input",
    }
    positions = ("shape", "batch_size", "dtype", "sparse", "ragged", "batch_shape", "name", "tensor", "optional")

    def __init__(self, shape: Any, batch_size: int | None = None) -> None:
        self.set_input_shape(shape)

    @classmethod
    def modern(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        arguments = super().modern(arguments)
        whole = arguments.pop("batch_shape", None)
        if whole is not None:
            arguments["input_shape"] = without_rows(whole, "Input's batch_shape")
        if "shape" not in arguments and "input_shape" in arguments:
            arguments["shape"] = arguments.pop("input_shape")
        return arguments

    def set_input_shape(self, shape: Any) -> None:
        known = self.given_shape
        super().set_input_shape(shape)
        if known is not None and known != self.input_shape:
            raise ConfigError(f"Input: two shapes are given, {known} and {self.input_shape}")

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return x, None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return dy


@hookimpl
def register_layers(register: Any) -> None:
    register("Input", Input, aliases=("InputLayer",), examples=({"shape": [4]},))
