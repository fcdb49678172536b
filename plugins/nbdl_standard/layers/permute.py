"""Permute: the axes of every row in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


class Permute(Layer):
    """The axes of every row in another order.

    Formula: y = transpose(x): axis k of y is axis dims[k] of x. For dims (2, 1), y[row, j, i] = x[row, i, j].

    Args:
        dims: the axes in their new order, counted from 1; the rows are not counted. NumPy and PyTorch count from 0.

    Raises:
        ConfigError: dims are not 1, 2, ... in some order, or the input has another number of axes.

    Source: Keras 3, layers/reshaping/permute.py.

    >>> Permute((2, 1), input_shape=(10, 64)).dims
    (2, 1)
    """

    moves_only = True

    def __init__(self, dims: Sequence[int]) -> None:
        self.dims = tuple(dims)
        if not self.dims or sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ConfigError(f"Permute: dims are the axes 1, 2, ... each once in their new order, got {dims!r}")

    def build(self, b: Builder, shape: Shape) -> Shape:
        if len(shape) != len(self.dims):
            raise ConfigError(
                f"Permute {self.name!r}: dims {self.dims} are for rows of {len(self.dims)} axes, its input has {shape}"
            )
        return tuple(shape[axis - 1] for axis in self.dims)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        import numpy as np

        columns = np.arange(x.features).reshape(x.shape).transpose([axis - 1 for axis in self.dims])
        return r.take(x, columns.ravel().tolist(), columns.shape), np.argsort(columns, axis=None).tolist()

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.take(dy, saved, x.shape)


@hookimpl
def register_layers(register: Any) -> None:
    register("Permute", Permute, input_shape=(4, 3, 2), examples=({"dims": [3, 1, 2]}, {"dims": [2, 1, 3]}))
