"""Losses: one value per row of y and p, and its derivative by p."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from naive.common import EPSILON, Array, clipped, one_hot
from nbdl.testing.truths import Truth


def mean(value: Callable[..., Array], slope: Callable[..., Array]) -> Truth:
    """The mean over a row of a function of each element."""
    return Truth(
        lambda y, p, **options: np.mean(value(y, p, **options), axis=1),
        lambda y, p, **options: slope(y, p, **options) / y.shape[1],
    )


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def through_softmax(dp: Array, p: Array) -> Array:
    return p * (dp - (dp * p).sum(axis=1, keepdims=True))


# -- each output by itself ----------------------------------------------------------------------------------


def binary(y: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0) -> Array:
    y = y * (1 - label_smoothing) + label_smoothing / 2
    p = clipped(sigmoid(p) if from_logits else p)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def binary_slope(y: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0) -> Array:
    y = y * (1 - label_smoothing) + label_smoothing / 2
    return sigmoid(p) - y if from_logits else (p - y) / (p * (1 - p))


def focal_weights(y: Array, apply_class_balancing: bool, alpha: float) -> Array:
    return y * alpha + (1 - y) * (1 - alpha) if apply_class_balancing else np.ones_like(y)


def binary_focal(
    y: Array, p: Array, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
    from_logits: bool = False, label_smoothing: float = 0.0,
) -> Array:  # fmt: skip
    y = y * (1 - label_smoothing) + label_smoothing / 2
    p = sigmoid(p) if from_logits else p
    right = y * p + (1 - y) * (1 - p)
    return focal_weights(y, apply_class_balancing, alpha) * (1 - right) ** gamma * binary(y, p)


def binary_focal_slope(
    y: Array, p: Array, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
    from_logits: bool = False, label_smoothing: float = 0.0,
) -> Array:  # fmt: skip
    y = y * (1 - label_smoothing) + label_smoothing / 2
    inner = 1.0
    if from_logits:
        p = sigmoid(p)
        inner = p * (1 - p)
    right = y * p + (1 - y) * (1 - p)
    slope = -gamma * (1 - right) ** (gamma - 1) * (2 * y - 1) * binary(y, p) + (1 - right) ** gamma * binary_slope(y, p)
    return focal_weights(y, apply_class_balancing, alpha) * slope * inner


def msle(y: Array, p: Array) -> Array:
    return np.log(np.maximum(p, EPSILON) + 1) - np.log(np.maximum(y, EPSILON) + 1)


def signs(y: Array) -> Array:
    return np.where(y == 0, -1.0, y)


def hinge(y: Array, p: Array) -> Array:
    return np.maximum(1 - signs(y) * p, 0)


def huber(y: Array, p: Array, delta: float = 1.0) -> Array:
    e = np.abs(p - y)
    return np.where(e <= delta, e**2 / 2, delta * e - delta**2 / 2)


# -- a row as a whole ---------------------------------------------------------------------------------------


def categorical(y: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0) -> Array:
    y = y * (1 - label_smoothing) + label_smoothing / y.shape[1]
    p = softmax(p) if from_logits else p
    return -(y * np.log(clipped(p / p.sum(axis=1, keepdims=True)))).sum(axis=1)


def categorical_gradient(y: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0) -> Array:
    """Through q = p/Σp: the derivative of Σ -y·ln q."""
    y = y * (1 - label_smoothing) + label_smoothing / y.shape[1]
    if from_logits:
        return softmax(p) * y.sum(axis=1, keepdims=True) - y
    total = p.sum(axis=1, keepdims=True)
    return -y / p + y.sum(axis=1, keepdims=True) / total


def categorical_focal(
    y: Array, p: Array, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0
) -> Array:
    y = y * (1 - label_smoothing) + label_smoothing / y.shape[1]
    p = softmax(p) if from_logits else p
    q = clipped(p / p.sum(axis=1, keepdims=True))
    return (alpha * (1 - q) ** gamma * -y * np.log(q)).sum(axis=1)


def categorical_focal_gradient(
    y: Array, p: Array, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0
) -> Array:
    y = y * (1 - label_smoothing) + label_smoothing / y.shape[1]
    q = softmax(p) if from_logits else p / p.sum(axis=1, keepdims=True)
    dq = alpha * y * (gamma * (1 - q) ** (gamma - 1) * np.log(q) - (1 - q) ** gamma / q)
    if from_logits:
        return through_softmax(dq, q)
    return (dq - (dq * q).sum(axis=1, keepdims=True)) / p.sum(axis=1, keepdims=True)


def counted(y: Array, ignore_class: int | None) -> Array:
    """What a row counts: 0 or 1."""
    return (y[:, 0] != ignore_class).astype(float)


def sparse(y: Array, p: Array, ignore_class: int | None = None, **options: Any) -> Array:
    return categorical(one_hot(y, p.shape[1]), p, **options) * counted(y, ignore_class)


def sparse_gradient(y: Array, p: Array, ignore_class: int | None = None, **options: Any) -> Array:
    return categorical_gradient(one_hot(y, p.shape[1]), p, **options) * counted(y, ignore_class)[:, None]


def generalized(y: Array, p: Array, q: float = 0.5) -> Array:
    return (1 - p[np.arange(len(p)), y[:, 0].astype(int)] ** q) / q


def categorical_hinge(y: Array, p: Array) -> Array:
    return np.maximum(((1 - y) * p).max(axis=1) - (y * p).sum(axis=1) + 1, 0)


def categorical_hinge_gradient(y: Array, p: Array) -> Array:
    largest = np.eye(y.shape[1])[((1 - y) * p).argmax(axis=1)]
    return (categorical_hinge(y, p) > 0)[:, None] * (largest * (1 - y) - y)


def divergence(y: Array, p: Array) -> Array:
    y, p = np.clip(y, EPSILON, 1), np.clip(p, EPSILON, 1)
    return (y * np.log(y / p)).sum(axis=1)


def unit(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), EPSILON)


def cosine(y: Array, p: Array) -> Array:
    return -(unit(y) * unit(p)).sum(axis=1)


def cosine_gradient(y: Array, p: Array) -> Array:
    return (-unit(y) - cosine(y, p)[:, None] * unit(p)) / np.linalg.norm(p, axis=1, keepdims=True)


LOSSES = {
    "mean_squared_error": mean(lambda y, p: (y - p) ** 2, lambda y, p: 2 * (p - y)),
    "mean_absolute_error": mean(lambda y, p: np.abs(y - p), lambda y, p: np.sign(p - y)),
    "mean_absolute_percentage_error": mean(
        lambda y, p: 100 * np.abs(y - p) / np.maximum(np.abs(y), EPSILON),
        lambda y, p: 100 * np.sign(p - y) / np.maximum(np.abs(y), EPSILON),
    ),
    "mean_squared_logarithmic_error": mean(
        lambda y, p: msle(y, p) ** 2, lambda y, p: np.where(p > EPSILON, 2 * msle(y, p) / (p + 1), 0)
    ),
    "hinge": mean(hinge, lambda y, p: -signs(y) * (hinge(y, p) > 0)),
    "squared_hinge": mean(lambda y, p: hinge(y, p) ** 2, lambda y, p: -2 * signs(y) * hinge(y, p)),
    "poisson": mean(lambda y, p: p - y * np.log(p + EPSILON), lambda y, p: 1 - y / (p + EPSILON)),
    "log_cosh": mean(lambda y, p: np.log(np.cosh(p - y)), lambda y, p: np.tanh(p - y)),
    "huber": mean(huber, lambda y, p, delta=1.0: np.clip(p - y, -delta, delta)),
    "binary_crossentropy": mean(binary, binary_slope),
    "binary_focal_crossentropy": mean(binary_focal, binary_focal_slope),
    "categorical_crossentropy": Truth(categorical, categorical_gradient),
    "categorical_focal_crossentropy": Truth(categorical_focal, categorical_focal_gradient),
    "sparse_categorical_crossentropy": Truth(sparse, sparse_gradient),
    "categorical_generalized_cross_entropy": Truth(
        generalized, lambda y, p, q=0.5: -one_hot(y, p.shape[1]) * p ** (q - 1)
    ),
    "categorical_hinge": Truth(categorical_hinge, categorical_hinge_gradient),
    "kl_divergence": Truth(divergence, lambda y, p: -y / p),
    "cosine_similarity": Truth(cosine, cosine_gradient),
}
