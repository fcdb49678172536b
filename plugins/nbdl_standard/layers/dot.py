"""Dot: the product of two vectors of each row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError
from nbdl.program import square, times

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder

SMALLEST = 1e-12  # Keras's, of a sum of squares


def unit(x: float, squares: float) -> float:
    """An element of a vector of length 1."""
    return x / math.sqrt(max(squares, SMALLEST))


def of_unit(dy: float, other: float, own: float, product: float, squares: float) -> float:
    """The derivative of the product of two vectors of length 1, by an element of what one was before."""
    inside = other - own * product if squares > SMALLEST else other
    return dy * inside / math.sqrt(max(squares, SMALLEST))


class Dot(Layer):
    """The product of two vectors of each row, or of two of length 1: the cosine of the angle between them.

    Formula: y = Σ x₁·x₂

    Args:
        axes: 1, -1, or a pair of these: the only axis of each input's rows.
        normalize: whether the vectors are brought to length 1 first. Default False.

    Raises:
        ConfigError: the inputs are no two vectors of one length, or the axes are others.

    Source: Keras 3, layers/merging/dot.py.

    >>> from nbdl.layers import Input
    >>> Dot(axes=1)([Input(shape=(3,)), Input(shape=(3,))]).shape
    (None, 1)
    """

    takes_several = True

    def __init__(self, axes: int | tuple[int, int], normalize: bool = False) -> None:
        several = list(axes) if isinstance(axes, list | tuple) else [axes, axes]
        if len(several) != 2 or any(axis not in (1, -1) for axis in several):
            raise ConfigError(
                f"Dot: axes is 1 or -1, or a pair of these, got {axes!r}: rows are vectors; products of matrices in "
                "each row are not there"
            )
        self.axes, self.normalize = axes, normalize

    def build(self, b: Builder, *shapes: Shape) -> Shape:
        if len(shapes) != 2 or shapes[0] != shapes[1] or len(shapes[0]) != 1:
            raise ConfigError(
                f"Dot {self.name!r} takes two inputs of vectors of one length, got {', '.join(map(str, shapes))}"
            )
        return (1,)

    def forward(self, r: Recorder, *xs: Tensor) -> tuple[Tensor, Any]:
        if not self.normalize:
            return r.sum(times, *xs, over="features"), None
        squares = tuple(r.sum(square, x, over="features") for x in xs)
        units = tuple(r.map(unit, x, own) for x, own in zip(xs, squares, strict=True))
        return r.sum(times, *units, over="features"), (squares, units)

    def backward(self, r: Recorder, xs: Any, y: Tensor, dy: Tensor, saved: Any) -> Any:
        if saved is None:
            return r.map(times, xs[1], dy), r.map(times, xs[0], dy)
        squares, (first, second) = saved
        return (
            r.map(of_unit, dy, second, first, y, squares[0]),
            r.map(of_unit, dy, first, second, y, squares[1]),
        )


@hookimpl
def register_layers(register: Any) -> None:
    register("Dot", Dot, examples=({"axes": 1}, {"axes": 1, "normalize": True}))
