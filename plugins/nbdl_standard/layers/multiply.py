"""Multiply: the product of several inputs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.program import times
from nbdl_standard.layers.merge import Merge

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class Multiply(Merge):
    """The product of its inputs, element by element.

    Formula: y = x₁·x₂·…

    Raises:
        ConfigError: the inputs have different shapes, or there are too few.

    Source: Keras 3, layers/merging/multiply.py.

    >>> from nbdl.layers import Input
    >>> Multiply()([Input(shape=(3,)), Input(shape=(3,))]).shape
    (None, 3)
    """

    def merged(self, r: Recorder, *xs: Tensor) -> Tensor:
        return functools.reduce(lambda a, b: r.map(times, a, b), xs)

    def gradients(self, r: Recorder, xs: tuple[Tensor, ...], y: Tensor, dy: Tensor) -> list[Tensor]:
        others = [[x for at, x in enumerate(xs) if at != number] for number in range(len(xs))]
        return [functools.reduce(lambda a, b: r.map(times, a, b), several, dy) for several in others]


@hookimpl
def register_layers(register: Any) -> None:
    register("Multiply", Multiply)
