"""Categorical crossentropy, for one-hot targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Loss, Pair, hookimpl
from nbdl.engine.functions import same

if TYPE_CHECKING:
    import numpy as np

    from nbdl.engine.program import Recorder, Tensor

EPSILON = 1e-7
TOLERANCE = 0.01  # for a row's sum; the gradient takes the sum as it is


def clip(p: float) -> float:
    return min(max(p, EPSILON), 1.0 - EPSILON)


def log_share(y: float, p: float, total: float) -> float:
    return -y * math.log(clip(p / total))


def d_log(y: float, p: float, total: float) -> float:
    q = p / total
    return -y / q if EPSILON < q < 1.0 - EPSILON else 0.0 * p


def d_share(g: float, total: float, dot: float) -> float:
    return (g - dot) / total


def dot_share(g: float, p: float, total: float) -> float:
    return g * p / total


def logarithm(x: float) -> float:
    return math.log(x)


def from_logits(y: float, shifted: float, log_total: float) -> float:
    return y * (log_total - shifted)


def logits_gradient(p: float, y: float, total: float) -> float:
    return p * total - y


class SoftmaxCrossentropy(Pair):
    """Softmax and crossentropy as one formula of the softmax's input z.

    Formula: Σᵢ yᵢ·(ln Σⱼ e^(zⱼ - m) - (zᵢ - m)); its derivative is p·Σy - y.
    """

    def values(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        shifted, total = saved
        return r.sum(from_logits, y, shifted, r.map(logarithm, total), over="features")

    def gradient(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return r.map(logits_gradient, p, y, r.sum(same, y, over="features"))


class CategoricalCrossentropy(Loss):
    """Crossentropy between one-hot targets (or distributions) and predicted probabilities.

    Formula: -Σᵢ yᵢ·ln qᵢ with q = p/Σp kept in [ε, 1 - ε], ε = 1e-7. After a softmax the two are one formula, stable
    for any size of its input.

    Source: Keras 3, losses/losses.py.

    >>> CategoricalCrossentropy().get_config()
    {}
    """

    pairs = {"softmax": SoftmaxCrossentropy}

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.sum(log_share, y, p, r.sum(same, p, over="features"), over="features")

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        total = r.sum(same, p, over="features")
        g = r.map(d_log, y, p, total)
        return r.map(d_share, g, total, r.sum(dot_share, g, p, total, over="features"))

    def check_targets(self, y: np.ndarray, output_shape: tuple[int, ...]) -> str:
        classes = output_shape[-1]
        needs = f"loss 'categorical_crossentropy' needs one-hot targets (or probabilities) of {classes} columns"
        remedy = f"For integer labels use loss='sparse_categorical_crossentropy' or to_categorical(y, {classes})"
        if y.shape[1:] != output_shape:
            return f"{needs}; y has shape {y.shape}. {remedy}"
        rows = y.reshape(len(y), -1)
        wrong = (rows.min(axis=1) < 0) | (abs(rows.sum(axis=1) - 1.0) > TOLERANCE)
        if not wrong.any():
            return ""
        row = int(wrong.argmax())
        what = f"has {rows[row].min():g}" if rows[row].min() < 0 else f"adds up to {rows[row].sum():g}"
        return f"{needs}; row {row} of y (counted from 0) {what}, not probabilities that add up to 1. {remedy}"


@hookimpl
def register_losses(register: Any) -> None:
    register("categorical_crossentropy", CategoricalCrossentropy)
