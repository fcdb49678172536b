"""BatchNormalization: each feature with mean 0 and variance 1 over the batch, then scaled and shifted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError
from nbdl.program import same
from nbdl.units import Range
from nbdl_standard.normalizing import (
    axes_of,
    distance_squared,
    input_gradient,
    normalized,
    normalized_slope,
    over_all_features,
    reciprocal_root,
    total,
)
from nbdl_standard.weights import keep, make

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


def mean_of(total: float, rows: float, others: float) -> float:
    return total / (rows * others)


def scaled_mean_of(total: float, rows: float, others: float, gamma: float) -> float:
    return total / (rows * others) * gamma


def moved(moving: float, now: float, momentum: float, rest: float) -> float:
    return moving * momentum + now * rest


def scaled(dy: float, inverse: float, gamma: float) -> float:
    return dy * inverse * gamma


class BatchNormalization(Layer):
    """Each feature with mean 0 and variance 1 over the batch, then scaled and shifted.

    Formula: y = γ·(x - μ)/√(σ² + ε) + β. Training takes μ and the biased variance σ² of the batch, over the rows and
    all axes but the last, and moves moving_mean and moving_variance in each step: m ← m·momentum + μ·(1 - momentum).
    Inference takes those instead. So does training where `trainable` is False, and moves nothing.

    Args:
        axis: which keeps its own statistics: the last (-1).
        momentum: share of the moving statistics that stays in a step, 0 to 1.
        epsilon: added to the variance.
        center, scale: whether there is a β, a γ.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: first values.
        beta_regularizer, gamma_regularizer: penalties, added to the loss.
        beta_constraint, gamma_constraint: projections after each update.

    Weights, each of the length of the last axis: gamma, beta, moving_mean, moving_variance. Keras 1 spellings are
    accepted: beta_init, gamma_init. Unlike here, PyTorch's ε is 1e-5, its `momentum` is 1 - this one (0.1), and its
    running variance is unbiased. Keras's `renorm` and `synchronized` are not there.

    Raises:
        ConfigError: an argument is out of range, or axis is not the last one.

    Source: Ioffe and Szegedy 2015; Keras 3, layers/normalization/batch_normalization.py.

    >>> BatchNormalization().momentum
    0.99
    """

    output_range = (-math.inf, math.inf)
    none_means_default = ("epsilon",)
    rescales = True
    renamed = {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"}

    ignored: ClassVar = {
        "renorm": (False,), "renorm_clipping": (None,), "renorm_momentum": (0.99,), "synchronized": (False,),
        "mode": (0,),
    }  # fmt: skip
    instead: ClassVar = dict.fromkeys(
        ("renorm", "renorm_clipping", "renorm_momentum"), "not there: there is no batch renormalization"
    )
    ranges: ClassVar = {
        "momentum": Range(0.0, 1.0, "is a share, 0 <= momentum <= 1"),
        "epsilon": Range(0.0, wanted="must not be negative"),
    }
    positions = (
        "axis", "momentum", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer",
        "moving_mean_initializer", "moving_variance_initializer", "beta_regularizer", "gamma_regularizer",
        "beta_constraint", "gamma_constraint", "renorm", "renorm_clipping", "renorm_momentum", "synchronized",
    )  # fmt: skip

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
    ) -> None:
        self.axis, self.momentum, self.epsilon = axis, float(momentum), float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        keep(self, "beta", beta_initializer, beta_regularizer, beta_constraint)
        keep(self, "gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.moving_mean_initializer = self.unit("initializers", moving_mean_initializer)
        self.moving_variance_initializer = self.unit("initializers", moving_variance_initializer)

    def build(self, b: Builder, shape: Shape) -> Shape:
        if axes_of(self, self.axis, shape) != (len(shape) - 1,):
            raise ConfigError(
                f"BatchNormalization {self.name!r}: statistics are kept for the last axis of rows of shape {shape}, "
                f"and axis={self.axis!r} is another: bring it to the end with Permute(...), and back after it"
            )
        vector = shape[-1:]
        self.gamma = make(self, b, "gamma", vector) if self.scale else None
        self.beta = make(self, b, "beta", vector) if self.center else None
        self.moving_mean = b.state("moving_mean", vector, self.moving_mean_initializer)
        self.moving_variance = b.state("moving_variance", vector, self.moving_variance_initializer)
        return shape

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        if r.training and self.trainable:
            others = x.features / x.shape[-1]
            mean = r.map(mean_of, total(r, same, x), r.rows, others)
            distances = total(r, distance_squared, x, over_all_features(r, mean, x.shape))
            variance = r.map(mean_of, distances, r.rows, others)
            self._move(r, self.moving_mean, mean)
            self._move(r, self.moving_variance, variance)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        inverse = r.map(reciprocal_root, variance, self.epsilon)
        statistics = tuple(over_all_features(r, one, x.shape) for one in (mean, inverse))
        gamma, beta = (
            default if one is None else over_all_features(r, one, x.shape)
            for one, default in ((self.gamma, 1.0), (self.beta, 0.0))
        )
        return r.map(normalized, x, *statistics, gamma, beta), (*statistics, gamma)

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        mean, inverse, gamma = saved
        sums = total(r, same, dy), total(r, normalized_slope, dy, x, mean, inverse)
        for weight, gradient in zip((self.beta, self.gamma), sums, strict=True):
            if weight is not None:
                r.gradient(weight, gradient)
        if not (r.training and self.trainable):
            return r.map(scaled, dy, inverse, gamma)
        others = x.features / x.shape[-1]
        scale = 1.0 if self.gamma is None else self.gamma
        means = [over_all_features(r, r.map(scaled_mean_of, one, r.rows, others, scale), x.shape) for one in sums]
        return r.map(input_gradient, dy, x, mean, inverse, gamma, *means)

    def _move(self, r: Recorder, state: Tensor, now: Tensor) -> None:
        """Assign a moving statistic; where the layer is used twice, it goes on from the first use."""
        before = dict(r.assignments).get(state, state)
        r.assign(state, r.map(moved, before, now, self.momentum, 1.0 - self.momentum))


@hookimpl
def register_layers(register: Any) -> None:
    statistics = {
        "moving_mean_initializer": "glorot_uniform",
        "moving_variance_initializer": {"name": "constant", "config": {"value": 2.5}},
    }
    register(
        "BatchNormalization",
        BatchNormalization,
        examples=(
            {"momentum": 0.6, "epsilon": 0.02, **statistics},
            {"center": False, "scale": False, "input_shape": [4, 3], **statistics},
        ),
    )
