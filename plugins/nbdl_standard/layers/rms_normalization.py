"""RMSNormalization: each row divided by its root mean square, then scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.units import Range
from nbdl_standard.normalizing import (
    distance_squared,
    input_gradient,
    normalized,
    normalized_slope,
    normalized_slope_scaled,
    reciprocal_root,
    whole_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


class RMSNormalization(Layer):
    """Each row divided by its root mean square, then scaled: LayerNormalization about 0 rather than the mean.

    Formula: y = s·x/√(mean of x² + ε).

    Args:
        axis: what is normalised: all axes of a row, -1 for vectors.
        epsilon: added to the mean of squares.

    Its weight is scale, of the shape of a row, ones at first.

    Raises:
        ConfigError: epsilon is negative, or axis leaves some of a row's axes out.

    Source: Zhang and Sennrich 2019; Keras 3, layers/normalization/rms_normalization.py.

    >>> RMSNormalization().epsilon
    1e-06
    """

    none_means_default = ("epsilon",)
    rescales = True
    compares_features = True
    ranges: ClassVar = {"epsilon": Range(0.0, wanted="must not be negative")}

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6) -> None:
        self.axis, self.epsilon = axis, float(epsilon)

    def build(self, b: Builder, shape: Shape) -> Shape:
        whole_rows(self, self.axis, shape)
        self.scale = b.weight("scale", shape, "ones")
        return shape

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        inverse = r.map(reciprocal_root, r.mean(distance_squared, x, 0.0), self.epsilon)
        return r.map(normalized, x, 0.0, inverse, self.scale, 0.0), inverse

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        r.gradient(self.scale, r.sum(normalized_slope, dy, x, 0.0, saved))
        mean_slope = r.mean(normalized_slope_scaled, dy, x, 0.0, saved, self.scale)
        return r.map(input_gradient, dy, x, 0.0, saved, self.scale, 0.0, mean_slope)


@hookimpl
def register_layers(register: Any) -> None:
    register("RMSNormalization", RMSNormalization, examples=({"epsilon": 0.1, "axis": [1, 2], "input_shape": [4, 3]},))
