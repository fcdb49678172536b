"""Add: the sum of several inputs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.program import add
from nbdl_standard.layers.merge import Merge

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class Add(Merge):
    """The sum of its inputs.

    Formula: y = x₁ + x₂ + …

    Raises:
        ConfigError: the inputs have different shapes, or there are too few.

    Source: Keras 3, layers/merging/add.py.

    >>> from nbdl.layers import Input
    >>> Add()([Input(shape=(3,)), Input(shape=(3,))]).shape
    (None, 3)
    """

    def merged(self, r: Recorder, *xs: Tensor) -> Tensor:
        return functools.reduce(lambda a, b: r.map(add, a, b), xs)

    def gradients(self, r: Recorder, xs: tuple[Tensor, ...], y: Tensor, dy: Tensor) -> list[Tensor]:
        return [dy for _ in xs]


@hookimpl
def register_layers(register: Any) -> None:
    register("Add", Add)
