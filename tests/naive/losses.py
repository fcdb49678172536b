"""Losses: one value per row of y and p, and its derivative by p."""

from __future__ import annotations

import numpy as np

from naive.common import Array, clipped, one_hot
from nbdl.testing.truths import Truth


def binary(y: Array, p: Array) -> Array:
    return np.mean(-(y * np.log(clipped(p)) + (1 - y) * np.log(1 - clipped(p))), axis=1)


def categorical(y: Array, p: Array) -> Array:
    return -(y * np.log(clipped(p / p.sum(axis=1, keepdims=True)))).sum(axis=1)


def categorical_gradient(y: Array, p: Array) -> Array:
    """Through q = p/Σp: the derivative of Σ -y·ln q."""
    total = p.sum(axis=1, keepdims=True)
    return -y / p + y.sum(axis=1, keepdims=True) / total


LOSSES = {
    "mean_squared_error": Truth(lambda y, p: np.mean((y - p) ** 2, axis=1), lambda y, p: 2 * (p - y) / y.shape[1]),
    "binary_crossentropy": Truth(binary, lambda y, p: (p - y) / (p * (1 - p)) / y.shape[1]),
    "categorical_crossentropy": Truth(categorical, categorical_gradient),
    "sparse_categorical_crossentropy": Truth(
        lambda y, p: categorical(one_hot(y, p.shape[1]), p),
        lambda y, p: categorical_gradient(one_hot(y, p.shape[1]), p),
    ),
}
