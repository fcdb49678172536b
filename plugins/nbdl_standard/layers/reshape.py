"""Reshape: every row under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


class Reshape(Layer):
    """Every row under another shape, the last axis fastest; nothing is copied.

    Formula: y[row, ...] = x[row, ...] with the elements in the same order.

    Args:
        target_shape: without the rows; one size may be -1, which is then what the others leave.

    Raises:
        ConfigError: a size is neither positive nor -1, two are -1, or the input has another number of elements.

    Source: Keras 3, layers/reshaping/reshape.py.

    >>> Reshape((3, -1), input_shape=(12,)).target_shape
    (3, -1)
    """

    moves_only = True

    def __init__(self, target_shape: int | Sequence[int]) -> None:
        sizes = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        if any(isinstance(size, bool) or not hasattr(size, "__index__") or size < -1 or size == 0 for size in sizes):
            raise ConfigError(
                f"Reshape: target_shape holds positive integers, and -1 at most once, got {target_shape!r}"
            )
        if sizes.count(-1) > 1:
            raise ConfigError(f"Reshape: target_shape has one -1 at most, got {target_shape!r}")
        self.target_shape = tuple(int(size) for size in sizes)

    def build(self, b: Builder, shape: Shape) -> Shape:
        elements, known = math.prod(shape), math.prod(size for size in self.target_shape if size != -1)
        fits = elements % known == 0 if -1 in self.target_shape else elements == known
        if not fits:
            raise ConfigError(
                f"Reshape {self.name!r}: a row of shape {shape} has {elements} elements, which do not make the "
                f"target_shape {self.target_shape}"
            )
        self.shape = tuple(elements // known if size == -1 else size for size in self.target_shape)
        return self.shape

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.reshape(x, self.shape), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.reshape(dy, x.shape)


@hookimpl
def register_layers(register: Any) -> None:
    register("Reshape", Reshape, input_shape=(4, 3), examples=({"target_shape": [2, 6]}, {"target_shape": [-1, 2, 3]}))
