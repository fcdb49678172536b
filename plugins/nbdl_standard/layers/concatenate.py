"""Concatenate: several inputs side by side."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


class Concatenate(Layer):
    """Several inputs side by side along an axis.

    Formula: y = (x₁, x₂, …)

    Args:
        axis: counted with the rows, as in Keras: 1 is the first axis of a row, -1 the last. Default -1.

    Raises:
        ConfigError: the axis is not there or that of the rows, or the inputs differ along another one.

    Source: Keras 3, layers/merging/concatenate.py.

    >>> from nbdl.layers import Input
    >>> Concatenate()([Input(shape=(3,)), Input(shape=(5,))]).shape
    (None, 8)
    """

    takes_several = True

    def __init__(self, axis: int = -1) -> None:
        if isinstance(axis, bool) or not hasattr(axis, "__index__") or int(axis) == 0:
            raise ConfigError(f"Concatenate: axis is that of a row, from 1 on or from the last, -1; got {axis!r}")
        self.axis = int(axis)

    def build(self, b: Builder, *shapes: Shape) -> Shape:
        axis = self.axis - 1 if self.axis > 0 else self.axis + len(shapes[0])
        if not 0 <= axis < len(shapes[0]):
            raise ConfigError(f"Concatenate {self.name!r}: rows of shape {shapes[0]} have no axis {self.axis}")
        if any(_without(shape, axis) != _without(shapes[0], axis) for shape in shapes):
            raise ConfigError(
                f"Concatenate {self.name!r} along axis {self.axis}: rows differ along other axes too: "
                f"{', '.join(map(str, shapes))}"
            )
        self.sizes, self.row_axis = [shape[axis] for shape in shapes], axis
        return (*shapes[0][:axis], sum(self.sizes), *shapes[0][axis + 1 :])

    def forward(self, r: Recorder, *xs: Tensor) -> tuple[Tensor, Any]:
        return r.concat(*xs, axis=self.row_axis), None

    def backward(self, r: Recorder, xs: Any, y: Tensor, dy: Tensor, saved: Any) -> Any:
        ends = list(itertools.accumulate(self.sizes))
        whole = r.reshape(dy, y.shape)
        return tuple(
            r.slice(whole, end - size, end, axis=self.row_axis) for size, end in zip(self.sizes, ends, strict=True)
        )


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])


@hookimpl
def register_layers(register: Any) -> None:
    register("Concatenate", Concatenate)
