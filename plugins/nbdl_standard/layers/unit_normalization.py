"""UnitNormalization: each row with length 1."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl
from nbdl.program import times
from nbdl_standard.normalizing import distance_squared, whole_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


def reciprocal_length(square: float) -> float:
    # Not min(1/√0, ...): what the compiler makes of 1/√ may give NaN there.
    return 1e12 if square < 1e-24 else 1.0 / math.sqrt(square)


def along_the_sphere(dy: float, y: float, inverse: float, along: float) -> float:
    return inverse * (dy - y * along) if inverse < 1e12 else inverse * dy


class UnitNormalization(Layer):
    """Each row with length 1; zeros stay zeros.

    Formula: y = x·min(1/√(Σ x²), 10¹²).

    Args:
        axis: what is normalised: all axes of a row, -1 for vectors.

    Raises:
        ConfigError: axis leaves some of a row's axes out.

    Source: Keras 3, layers/normalization/unit_normalization.py.

    >>> UnitNormalization().axis
    -1
    """

    rescales = True
    compares_features = True

    def __init__(self, axis: int | Sequence[int] = -1) -> None:
        self.axis = axis

    def build(self, b: Builder, shape: Shape) -> Shape:
        whole_rows(self, self.axis, shape)
        return shape

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        inverse = r.map(reciprocal_length, r.sum(distance_squared, x, 0.0, over="features"))
        return r.map(times, x, inverse), inverse

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.map(along_the_sphere, dy, y, saved, r.sum(times, dy, y, over="features"))


@hookimpl
def register_layers(register: Any) -> None:
    register("UnitNormalization", UnitNormalization)
