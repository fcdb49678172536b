"""Activations: y of x, and dx of x and dy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf, erfc, log_softmax

from naive.common import Array
from nbdl.testing.truths import Truth


def elementwise(f: Callable[..., Array], slope: Callable[..., Array]) -> Truth:
    """An activation from y = f(x) and its derivative."""
    return Truth(f, lambda x, dy, **arguments: dy * slope(x, **arguments))


def step(condition: Any) -> Array:
    return np.where(condition, 1.0, 0.0)


def sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def sigmoid_slope(x: Array) -> Array:
    return sigmoid(x) * sigmoid(-x)


def tanh_slope(x: Array) -> Array:
    return 1 / np.cosh(x) ** 2


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def relu(x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    largest = math.inf if max_value is None else max_value
    return np.where(x > threshold, np.minimum(x, largest), negative_slope * (x - threshold))


def relu_slope(x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    largest = math.inf if max_value is None else max_value
    return np.where(x > threshold, step(x < largest), negative_slope)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def elu_slope(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0)))


def celu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def celu_slope(x: Array, alpha: float = 1.0) -> Array:
    return np.exp(np.minimum(x, 0) / alpha)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def squareplus_slope(x: Array, b: float = 4.0) -> Array:
    return (1 + x / np.sqrt(x * x + b)) / 2


def soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def shrink_slope(x: Array, threshold: float = 0.5) -> Array:
    return step(np.abs(x) > threshold)


def gelu(x: Array, approximate: bool = False) -> Array:
    if approximate:
        return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


def gelu_slope(x: Array, approximate: bool = False) -> Array:
    if approximate:
        u, du = (math.sqrt(2 / math.pi) * v for v in (x + 0.044715 * x**3, 1 + 3 * 0.044715 * x**2))
        return 0.5 * (1 + np.tanh(u)) + 0.5 * x * tanh_slope(u) * du
    return 0.5 * erfc(-x / math.sqrt(2)) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def mish_slope(x: Array) -> Array:
    return np.tanh(softplus(x)) + x * tanh_slope(softplus(x)) * sigmoid(x)


def hard_sigmoid(x: Array, slope: float = 1 / 6) -> Array:
    return np.clip(slope * x + 0.5, 0, 1)


def hard_sigmoid_slope(x: Array, slope: float = 1 / 6) -> Array:
    return np.where(np.abs(x) < 0.5 / slope, slope, 0.0)


def hard_silu_slope(x: Array) -> Array:
    return np.where(np.abs(x) < 3, (2 * x + 3) / 6, step(x > 0))


def by_jacobian(dy: Array, jacobian: Callable[[int], Array]) -> Array:
    """dx of each row from the matrix of ∂yᵢ/∂xⱼ."""
    return np.array([row @ jacobian(i) for i, row in enumerate(dy)])


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_gradient(x: Array, dy: Array) -> Array:
    y = softmax(x)
    return by_jacobian(dy, lambda i: np.diag(y[i]) - np.outer(y[i], y[i]))


def log_softmax_gradient(x: Array, dy: Array) -> Array:
    y = softmax(x)
    return by_jacobian(dy, lambda i: np.eye(len(y[i])) - np.outer(np.ones(len(y[i])), y[i]))


def sparsemax(x: Array) -> Array:
    """By sorting, as in the paper."""
    rows = []
    for row in x:
        ordered = np.sort(row)[::-1]
        means = (np.cumsum(ordered) - 1) / np.arange(1, len(row) + 1)
        rows.append(np.maximum(row - means[ordered > means][-1], 0))
    return np.array(rows)


def sparsemax_gradient(x: Array, dy: Array) -> Array:
    s = step(sparsemax(x) > 0)
    return by_jacobian(dy, lambda i: np.diag(s[i]) - np.outer(s[i], s[i]) / s[i].sum())


def glu(x: Array) -> Array:
    a, b = np.split(x, 2, axis=1)
    return a * sigmoid(b)


def glu_gradient(x: Array, dy: Array) -> Array:
    a, b = np.split(x, 2, axis=1)
    return np.concatenate([dy * sigmoid(b), dy * a * sigmoid_slope(b)], axis=1)


ACTIVATIONS = {
    "linear": elementwise(lambda x: x, lambda x: np.ones_like(x)),
    "sigmoid": elementwise(sigmoid, sigmoid_slope),
    "tanh": elementwise(np.tanh, tanh_slope),
    "relu": elementwise(relu, relu_slope),
    "relu6": elementwise(lambda x: np.clip(x, 0, 6), lambda x: step((x > 0) & (x < 6))),
    "leaky_relu": elementwise(
        lambda x, negative_slope=0.2: np.where(x >= 0, x, negative_slope * x),
        lambda x, negative_slope=0.2: np.where(x >= 0, 1.0, negative_slope),
    ),
    "elu": elementwise(elu, elu_slope),
    "celu": elementwise(celu, celu_slope),
    "selu": elementwise(lambda x: SELU_SCALE * elu(x, SELU_ALPHA), lambda x: SELU_SCALE * elu_slope(x, SELU_ALPHA)),
    "softplus": elementwise(softplus, sigmoid),
    "softsign": elementwise(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "squareplus": elementwise(lambda x, b=4.0: (x + np.sqrt(x * x + b)) / 2, squareplus_slope),
    "soft_shrink": elementwise(soft_shrink, shrink_slope),
    "hard_shrink": elementwise(lambda x, threshold=0.5: np.where(np.abs(x) > threshold, x, 0.0), shrink_slope),
    "tanh_shrink": elementwise(lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2),
    "threshold": elementwise(
        lambda x, threshold, default_value: np.where(x > threshold, x, default_value),
        lambda x, threshold, default_value: step(x > threshold),
    ),
    "sparse_plus": elementwise(
        lambda x: np.where(x >= 1, x, np.maximum(x + 1, 0) ** 2 / 4), lambda x: np.clip((x + 1) / 2, 0, 1)
    ),
    "sparse_sigmoid": elementwise(lambda x: np.clip((x + 1) / 2, 0, 1), lambda x: np.where(np.abs(x) < 1, 0.5, 0.0)),
    "silu": elementwise(lambda x: x * sigmoid(x), lambda x: sigmoid(x) + x * sigmoid_slope(x)),
    "gelu": elementwise(gelu, gelu_slope),
    "mish": elementwise(lambda x: x * np.tanh(softplus(x)), mish_slope),
    "exponential": elementwise(np.exp, np.exp),
    "hard_sigmoid": elementwise(hard_sigmoid, hard_sigmoid_slope),
    "hard_silu": elementwise(lambda x: x * hard_sigmoid(x), hard_silu_slope),
    "hard_tanh": elementwise(lambda x: np.clip(x, -1, 1), lambda x: step(np.abs(x) <= 1)),
    "log_sigmoid": elementwise(lambda x: -softplus(-x), lambda x: sigmoid(-x)),
    "softmax": Truth(softmax, softmax_gradient),
    "log_softmax": Truth(lambda x: log_softmax(x, axis=1), log_softmax_gradient),
    "sparsemax": Truth(sparsemax, sparsemax_gradient),
    "glu": Truth(glu, glu_gradient),
}
