"""MaxoutDense: the largest of several linear functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.program import add, same
from nbdl_standard.layers.dense import Dense
from nbdl_standard.ranges import POSITIVE_INTEGER
from nbdl_standard.weights import keep, make, size_of_vector

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


def larger(a: float, b: float) -> float:
    return b if b > a or b != b else a


def to_larger(dy: float, a: float, b: float) -> float:
    return dy if b > a else 0.0 * dy


def to_other(dy: float, a: float, b: float) -> float:
    return 0.0 * dy if b > a else dy


class MaxoutDense(Layer):
    """The largest of several linear functions, its pieces: an activation that is learned.

    Formula: y = maxₖ (x·Wₖ + bₖ), k = 1 .. nb_feature, with Wₖ of shape (features of x, units) and bₖ of (units,).
    The gradient goes to the first piece that is the largest.

    It is ReLU where one of two pieces is 0, and |x·W| where W₂ = -W₁:

    >>> import numpy as np, nbdl
    >>> from nbdl.layers import MaxoutDense
    >>> model = nbdl.Sequential([MaxoutDense(1, nb_feature=2, input_dim=1)])
    >>> w, b = np.ones((1, 1)), np.zeros(1)
    >>> model.set_weights([w, b, 0 * w, b])
    >>> model.predict([[-2.0], [3.0]]).tolist()
    [[0.0], [3.0]]
    >>> model.set_weights([w, b, -w, b])
    >>> model.predict([[-2.0], [3.0]]).tolist()
    [[2.0], [3.0]]

    Args:
        units: number of outputs.
        nb_feature: number of pieces.
        use_bias: whether there are bₖ.
        kernel_initializer, bias_initializer: first values of each Wₖ and bₖ, as of Dense's.
        kernel_regularizer, bias_regularizer: penalties on each Wₖ and bₖ, added to the loss.
        kernel_constraint, bias_constraint: projections of each Wₖ and bₖ after each update.

    Weights: kernel_1, bias_1, kernel_2, bias_2, ... Those of Keras 1, W of shape (nb_feature, features, units) and b of
    (nb_feature, units), are `[array for piece in zip(W, b) for array in piece]`. Its spellings are accepted:
    output_dim, init, bias, W_regularizer, b_regularizer, W_constraint, b_constraint. Later Keras has no such layer.

    Raises:
        ConfigError: units or nb_feature is not a positive integer, or the input has more than one axis.

    Source: Goodfellow et al. 2013; Keras 1.2.2, layers/core.py.
    """

    output_range = (-math.inf, math.inf)
    renamed = Dense.renamed
    ranges: ClassVar = {"units": POSITIVE_INTEGER, "nb_feature": POSITIVE_INTEGER}

    def __init__(
        self,
        units: int,
        nb_feature: int = 4,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
    ) -> None:
        self.units, self.nb_feature, self.use_bias = int(units), int(nb_feature), bool(use_bias)
        keep(self, "kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        keep(self, "bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, b: Builder, shape: Shape) -> Shape:
        size = size_of_vector(self, shape)
        self.pieces = []
        for number in range(1, self.nb_feature + 1):
            kernel = make(self, b, "kernel", (size, self.units), f"_{number}")
            bias = make(self, b, "bias", (self.units,), f"_{number}") if self.use_bias else None
            self.pieces.append((kernel, bias))
        return (self.units,)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        values = [r.gemm(x, kernel, bias=bias) for kernel, bias in self.pieces]
        highest = values[:1]  # of the pieces so far
        for value in values[1:]:
            highest.append(r.map(larger, highest[-1], value))
        return highest[-1], (values, highest)

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        values, highest = saved
        parts = []
        for value, before in zip(values[:0:-1], highest[-2::-1], strict=True):
            parts.append(r.map(to_larger, dy, before, value))
            dy = r.map(to_other, dy, before, value)
        parts.append(dy)
        dx = None
        for (kernel, bias), part in zip(self.pieces, reversed(parts), strict=True):
            r.gradient(kernel, r.gemm(x, part, transpose_a=True))
            if bias is not None:
                r.gradient(bias, r.sum(same, part))
            through = r.gemm(part, kernel, transpose_b=True)
            dx = through if dx is None else r.map(add, dx, through)
        assert dx is not None
        return dx


@hookimpl
def register_layers(register: Any) -> None:
    register(
        "MaxoutDense",
        MaxoutDense,
        examples=({"units": 4}, {"units": 2, "nb_feature": 1}, {"units": 2, "nb_feature": 3, "use_bias": False}),
    )
