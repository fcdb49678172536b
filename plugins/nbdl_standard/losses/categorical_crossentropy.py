"""Categorical crossentropy, for one-hot targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Loss, Pair, hookimpl
from nbdl.program import same
from nbdl.units import Scalar
from nbdl_standard.losses.from_logits import FromLogits

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program import Recorder, Tensor

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


class OfShares(Loss):
    """The sum of a scalar function of one-hot targets and q = p/Σp, the predictions as shares of their sum.

    `functions` are of y, p, Σp and the loss's parameters: the value, and its derivative by q.
    """

    over_columns = True
    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        y, total = self.prepare(r, y, p.features), r.sum(same, p, over="features")
        return r.sum(self.functions[0], y, p, total, *self.parameters.values(), over="features")

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        y, total = self.prepare(r, y, p.features), r.sum(same, p, over="features")
        g = r.map(self.functions[1], y, p, total, *self.parameters.values())
        return r.map(d_share, g, total, r.sum(dot_share, g, p, total, over="features"))

    def check_targets(self, y: np.ndarray, output_shape: tuple[int, ...]) -> str:
        return check_one_hot(self.unit_name, y, output_shape)


def check_one_hot(name: str, y: np.ndarray, output_shape: tuple[int, ...]) -> str:
    """Why a loss that takes one-hot targets cannot use these and what to do, or an empty string."""
    classes = output_shape[-1]
    needs = f"loss {name!r} needs one-hot targets (or probabilities) of {classes} columns"
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


class SoftmaxCrossentropy(Pair):
    """Softmax and crossentropy as one formula of the softmax's input z.

    Formula: Σᵢ yᵢ·(ln Σⱼ e^(zⱼ - m) - (zᵢ - m)); its derivative is p·Σy - y.
    """

    def values(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        shifted, total = saved
        y = self.loss.prepare(r, y, z.features)
        return r.sum(from_logits, y, shifted, r.map(logarithm, total), over="features")

    def gradient(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        y = self.loss.prepare(r, y, z.features)
        return r.map(logits_gradient, p, y, r.sum(same, y, over="features"))


class CategoricalCrossentropy(FromLogits, OfShares):
    """Crossentropy between one-hot targets (or distributions) and predicted probabilities.

    Formula: -Σᵢ yᵢ·ln qᵢ with q = p/Σp kept in [ε, 1 - ε], ε = 1e-7. Of logits, and after a softmax, it is one formula,
    stable for logits of any size.

    Args:
        from_logits: whether predictions are logits; the model then ends without a softmax. (PyTorch's
            CrossEntropyLoss always takes logits.)
        label_smoothing: s from 0 to 1; targets become y·(1 - s) + s/classes.

    Raises:
        ConfigError: `label_smoothing` is not from 0 to 1.
        DataError: targets that are not one-hot or distributions over the classes.

    Source: Keras 3, losses/losses.py.

    >>> CategoricalCrossentropy()
    CategoricalCrossentropy()
    """

    functions = (log_share, d_log)
    pairs = {"softmax": SoftmaxCrossentropy}

    positions = ("from_logits", "label_smoothing", "axis", "reduction", "name", "dtype")

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        super().__init__(from_logits, label_smoothing)
        self.parameters = {}


@hookimpl
def register_losses(register: Any) -> None:
    examples = ({"label_smoothing": 0.2}, {"from_logits": True, "label_smoothing": 0.1})
    register("categorical_crossentropy", CategoricalCrossentropy, examples=examples)
