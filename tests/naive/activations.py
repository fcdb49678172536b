"""Activations: y of x, and dx of x and dy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import erf

from naive.common import Array
from nbdl.testing.truths import Truth


def sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_gradient(x: Array, dy: Array) -> Array:
    y = softmax(x)
    rows = []
    for row, slope in zip(y, dy, strict=True):
        jacobian = np.diag(row) - np.outer(row, row)
        rows.append(jacobian @ slope)
    return np.array(rows)


def relu(x: Array, negative_slope: float = 0.0, max_value: float = math.inf, threshold: float = 0.0) -> Array:
    return np.where(x > threshold, np.minimum(x, max_value), negative_slope * (x - threshold))


def relu_slope(x: Array, negative_slope: float = 0.0, max_value: float = math.inf, threshold: float = 0.0) -> Array:
    return np.where(x > threshold, np.where(x < max_value, 1.0, 0.0), negative_slope)


def elementwise(f: Callable[..., Array], slope: Callable[..., Array]) -> Truth:
    """An activation from y = f(x) and its derivative."""
    return Truth(f, lambda x, dy, **arguments: dy * slope(x, **arguments))


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


ACTIVATIONS = {
    "linear": elementwise(lambda x: x, lambda x: np.ones_like(x)),
    "sigmoid": elementwise(sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "tanh": elementwise(np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "relu": elementwise(relu, relu_slope),
    "softplus": elementwise(lambda x: np.logaddexp(0, x), sigmoid),
    "softsign": elementwise(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "softmax": Truth(softmax, softmax_gradient),
}
