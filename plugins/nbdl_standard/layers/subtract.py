"""Subtract: the difference of two inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl_standard.layers.merge import Merge

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def minus(a: float, b: float) -> float:
    """a − b."""
    return a - b


def negative(a: float) -> float:
    """−a."""
    return -a


class Subtract(Merge):
    """The difference of its two inputs.

    Formula: y = x₁ − x₂

    Raises:
        ConfigError: the inputs have different shapes, or there are too few.

    Source: Keras 3, layers/merging/subtract.py.

    >>> from nbdl.layers import Input
    >>> Subtract()([Input(shape=(3,)), Input(shape=(3,))]).shape
    (None, 3)
    """

    most = 2

    def merged(self, r: Recorder, *xs: Tensor) -> Tensor:
        return r.map(minus, *xs)

    def gradients(self, r: Recorder, xs: tuple[Tensor, ...], y: Tensor, dy: Tensor) -> list[Tensor]:
        return [dy, r.map(negative, dy)]


@hookimpl
def register_layers(register: Any) -> None:
    register("Subtract", Subtract)
