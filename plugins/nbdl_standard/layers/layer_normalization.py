"""LayerNormalization: each row with mean 0 and variance 1, then scaled and shifted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.program import same, times
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
from nbdl_standard.weights import keep, make

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


class LayerNormalization(Layer):
    """Each row with mean 0 and variance 1 over its features, then scaled and shifted; in training and after it.

    Formula: y = γ·(x - μ)/√(σ² + ε) + β with μ and the biased variance σ² of the row.

    Args:
        axis: what is normalised: all axes of a row, -1 for vectors.
        epsilon: added to the variance.
        center, scale: whether there is a β, a γ, both of the shape of a row.
        beta_initializer, gamma_initializer: first values.
        beta_regularizer, gamma_regularizer: penalties, added to the loss.
        beta_constraint, gamma_constraint: projections after each update.

    PyTorch's ε is 1e-5. Keras's deprecated `rms_scaling` is not there: use RMSNormalization.

    Raises:
        ConfigError: epsilon is negative, or axis leaves some of a row's axes out.

    Source: Ba, Kiros and Hinton 2016; Keras 3, layers/normalization/layer_normalization.py.

    >>> LayerNormalization().epsilon
    0.001
    """

    output_range = (-math.inf, math.inf)
    none_means_default = ("epsilon",)
    rescales = True
    compares_features = True
    ranges: ClassVar = {"epsilon": Range(0.0, wanted="must not be negative")}

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
    ) -> None:
        self.axis, self.epsilon = axis, float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        keep(self, "beta", beta_initializer, beta_regularizer, beta_constraint)
        keep(self, "gamma", gamma_initializer, gamma_regularizer, gamma_constraint)

    def build(self, b: Builder, shape: Shape) -> Shape:
        whole_rows(self, self.axis, shape)
        self.gamma = make(self, b, "gamma", shape) if self.scale else None
        self.beta = make(self, b, "beta", shape) if self.center else None
        return shape

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        mean = r.mean(same, x)
        inverse = r.map(reciprocal_root, r.mean(distance_squared, x, mean), self.epsilon)
        gamma, beta = 1.0 if self.gamma is None else self.gamma, 0.0 if self.beta is None else self.beta
        return r.map(normalized, x, mean, inverse, gamma, beta), (mean, inverse, gamma)

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        mean, inverse, gamma = saved
        if self.beta is not None:
            r.gradient(self.beta, r.sum(same, dy))
        if self.gamma is not None:
            r.gradient(self.gamma, r.sum(normalized_slope, dy, x, mean, inverse))
        means = r.mean(times, dy, gamma), r.mean(normalized_slope_scaled, dy, x, mean, inverse, gamma)
        return r.map(input_gradient, dy, x, mean, inverse, gamma, *means)


@hookimpl
def register_layers(register: Any) -> None:
    register(
        "LayerNormalization",
        LayerNormalization,
        examples=({"center": False, "scale": False, "epsilon": 0.1}, {"axis": [1, 2], "input_shape": [4, 3]}),
    )
