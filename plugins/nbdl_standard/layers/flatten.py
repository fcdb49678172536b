"""Flatten: every row as one vector."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


class Flatten(Layer):
    """Every row as one vector, the last axis fastest; nothing is copied.

    Formula: y[row, i·n + j] = x[row, i, j] for rows of shape (m, n).

    Source: Keras 3, layers/reshaping/flatten.py.

    >>> Flatten(input_shape=(28, 28)).input_shape
    (28, 28)
    """

    moves_only = True

    ignored: ClassVar = {"data_format": (None, "channels_last")}
    instead: ClassVar = {"data_format": "not there: the last axis is that of the features"}
    positions = ("data_format",)

    def build(self, b: Builder, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.reshape(x, (x.features,)), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.reshape(dy, x.shape)


@hookimpl
def register_layers(register: Any) -> None:
    register("Flatten", Flatten)
