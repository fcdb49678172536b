"""Minimum: the smallest of several inputs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl_standard.layers.merge import Merge

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def smaller(a: float, b: float) -> float:
    """The smaller of two numbers; NaN where one is."""
    return min(a, b) if a == a and b == b else a + b


def of_earlier(dy: float, earlier: float, x: float) -> float:
    """The gradient of what came before x."""
    return 0.0 * dy if x < earlier else dy


def of_later(dy: float, earlier: float, x: float) -> float:
    """The gradient of x."""
    return dy if x < earlier else 0.0 * dy


class Minimum(Merge):
    """The smallest of its inputs, element by element. Of equal ones the first gets the gradient.

    Formula: y = min(x₁, x₂, …)

    Raises:
        ConfigError: the inputs have different shapes, or there are too few.

    Source: Keras 3, layers/merging/minimum.py.

    >>> from nbdl.layers import Input
    >>> Minimum()([Input(shape=(3,)), Input(shape=(3,))]).shape
    (None, 3)
    """

    def merged(self, r: Recorder, *xs: Tensor) -> Tensor:
        return functools.reduce(lambda a, b: r.map(smaller, a, b), xs)

    def gradients(self, r: Recorder, xs: tuple[Tensor, ...], y: Tensor, dy: Tensor) -> list[Tensor]:
        before = [xs[0]]
        for x in xs[1:-1]:
            before.append(r.map(smaller, before[-1], x))
        found = []
        for earlier, x in zip(reversed(before), reversed(xs), strict=False):
            found.append(r.map(of_later, dy, earlier, x))
            dy = r.map(of_earlier, dy, earlier, x)
        return [dy, *reversed(found)]


@hookimpl
def register_layers(register: Any) -> None:
    register("Minimum", Minimum)
