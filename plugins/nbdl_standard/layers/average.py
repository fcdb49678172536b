"""Average: the mean of several inputs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.program import add, times
from nbdl_standard.layers.merge import Merge

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class Average(Merge):
    """The mean of its inputs, element by element.

    Formula: y = (x₁ + x₂ + …) / n

    Raises:
        ConfigError: the inputs have different shapes, or there are too few.

    Source: Keras 3, layers/merging/average.py.

    >>> from nbdl.layers import Input
    >>> Average()([Input(shape=(3,)), Input(shape=(3,))]).shape
    (None, 3)
    """

    def merged(self, r: Recorder, *xs: Tensor) -> Tensor:
        return r.map(times, functools.reduce(lambda a, b: r.map(add, a, b), xs), 1.0 / len(xs))

    def gradients(self, r: Recorder, xs: tuple[Tensor, ...], y: Tensor, dy: Tensor) -> list[Tensor]:
        share = r.map(times, dy, 1.0 / len(xs))
        return [share for _ in xs]


@hookimpl
def register_layers(register: Any) -> None:
    register("Average", Average)
