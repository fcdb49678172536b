"""Categorical focal crossentropy, for one-hot targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Pair, hookimpl
from nbdl.program import same
from nbdl_standard.losses.categorical_crossentropy import EPSILON, OfShares, clip, logarithm
from nbdl_standard.losses.from_logits import FromLogits

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor

TINY = 1e-30  # 0 to a negative power would be infinite


def focal(y: float, p: float, total: float, alpha: float, gamma: float) -> float:
    q = clip(p / total)
    return -alpha * y * (1.0 - q) ** gamma * math.log(q)


def d_focal(y: float, p: float, total: float, alpha: float, gamma: float) -> float:
    q = clip(p / total)
    inside = 1.0 if EPSILON < p / total < 1.0 - EPSILON else 0.0 * p
    return inside * alpha * y * (gamma * (1.0 - q) ** (gamma - 1.0) * math.log(q) - (1.0 - q) ** gamma / q)


def from_logits(y: float, p: float, shifted: float, log_total: float, alpha: float, gamma: float) -> float:
    return alpha * y * max(1.0 - p, TINY) ** gamma * (log_total - shifted)


def by_logarithm(y: float, p: float, shifted: float, log_total: float, alpha: float, gamma: float) -> float:
    rest = max(1.0 - p, TINY)
    return alpha * y * (gamma * rest ** (gamma - 1.0) * p * (shifted - log_total) - rest**gamma)


def logits_gradient(g: float, p: float, total: float) -> float:
    return g - p * total


class SoftmaxFocalCrossentropy(Pair):
    """Softmax and focal crossentropy as one formula of the softmax's input z.

    Formula: Σᵢ α·yᵢ·(1 - pᵢ)^γ·(ln Σⱼ e^(zⱼ - m) - (zᵢ - m)); its derivative is gᵢ - pᵢ·Σⱼ gⱼ, with gᵢ that by ln pᵢ.
    """

    def _record(self, r: Recorder, y: Tensor, p: Tensor, saved: Any) -> tuple[Any, ...]:
        shifted, total = saved
        y = self.loss.prepare(r, y, p.features)
        return y, p, shifted, r.map(logarithm, total), *self.parameters

    def __init__(self, loss: CategoricalFocalCrossentropy) -> None:
        super().__init__(loss)
        self.parameters = tuple(loss.parameters.values())

    def values(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return r.sum(from_logits, *self._record(r, y, p, saved), over="features")

    def gradient(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        g = r.map(by_logarithm, *self._record(r, y, p, saved))
        return r.map(logits_gradient, g, p, r.sum(same, g, over="features"))


class CategoricalFocalCrossentropy(FromLogits, OfShares):
    """Categorical crossentropy that weighs down what is already predicted well.

    Formula: -Σᵢ α·yᵢ·(1 - qᵢ)^γ·ln qᵢ with q = p/Σp kept in [ε, 1 - ε], ε = 1e-7.

    Args:
        alpha: one weight for all classes; `class_weight` of `fit` weighs classes differently.
        gamma: 0 or more; 0 gives α times categorical crossentropy.
        from_logits: whether predictions are logits; the model then ends without a softmax.
        label_smoothing: s from 0 to 1; targets become y·(1 - s) + s/classes.

    Raises:
        ConfigError: `label_smoothing` is not from 0 to 1.
        DataError: targets that are not one-hot or distributions over the classes.

    Of logits, and after a softmax, it is one formula that loses no digits; Keras's is cut off at ε.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection; Keras 3, losses/losses.py.
    """

    functions = (focal, d_focal)
    pairs = {"softmax": SoftmaxFocalCrossentropy}

    positions = ("alpha", "gamma", "from_logits", "label_smoothing", "axis", "reduction", "name", "dtype")

    def __init__(
        self, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(from_logits, label_smoothing)
        self.parameters = {"alpha": float(alpha), "gamma": float(gamma)}


@hookimpl
def register_losses(register: Any) -> None:
    register(
        "categorical_focal_crossentropy",
        CategoricalFocalCrossentropy,
        examples=({"alpha": 0.5, "gamma": 1.5, "label_smoothing": 0.1}, {"from_logits": True, "gamma": 3.0}),
    )
