"""Slow, obvious NumPy truths for the standard units: what the compiled ones are compared with. Float64 throughout."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from nbdl.testing.truths import Truth

Array = NDArray[np.float64]
EPSILON = 1e-7


# -- activations ------------------------------------------------------------------------------------------


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


# -- losses -----------------------------------------------------------------------------------------------


def clipped(p: Array) -> Array:
    return np.clip(p, EPSILON, 1 - EPSILON)


def binary(y: Array, p: Array) -> Array:
    return np.mean(-(y * np.log(clipped(p)) + (1 - y) * np.log(1 - clipped(p))), axis=1)


def categorical(y: Array, p: Array) -> Array:
    return -(y * np.log(clipped(p / p.sum(axis=1, keepdims=True)))).sum(axis=1)


def categorical_gradient(y: Array, p: Array) -> Array:
    """Through q = p/Σp: the derivative of Σ -y·ln q."""
    total = p.sum(axis=1, keepdims=True)
    return -y / p + y.sum(axis=1, keepdims=True) / total


def one_hot(labels: Array, classes: int) -> Array:
    return np.eye(classes)[labels.reshape(-1).astype(int)]


LOSSES = {
    "mean_squared_error": Truth(lambda y, p: np.mean((y - p) ** 2, axis=1), lambda y, p: 2 * (p - y) / y.shape[1]),
    "binary_crossentropy": Truth(binary, lambda y, p: (p - y) / (p * (1 - p)) / y.shape[1]),
    "categorical_crossentropy": Truth(categorical, categorical_gradient),
    "sparse_categorical_crossentropy": Truth(
        lambda y, p: categorical(one_hot(y, p.shape[1]), p),
        lambda y, p: categorical_gradient(one_hot(y, p.shape[1]), p),
    ),
}


# -- regularizers -----------------------------------------------------------------------------------------


def penalty(w: Array, l1: float = 0.0, l2: float = 0.0) -> float:
    return l1 * float(np.abs(w).sum()) + l2 * float((w**2).sum())


def penalty_gradient(w: Array, l1: float = 0.0, l2: float = 0.0) -> Array:
    return l1 * np.sign(w) + 2 * l2 * w


REGULARIZERS = {
    "l1": Truth(lambda w, l1=0.01: penalty(w, l1=l1), lambda w, l1=0.01: penalty_gradient(w, l1=l1)),
    "l2": Truth(lambda w, l2=0.01: penalty(w, l2=l2), lambda w, l2=0.01: penalty_gradient(w, l2=l2)),
    "l1_l2": Truth(penalty, penalty_gradient),
}


# -- optimizers: the weights after some steps -------------------------------------------------------------


def sgd(
    w: Array, gradients: list[Array], learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False
) -> Array:
    v = np.zeros_like(w)
    for g in gradients:
        v = momentum * v - learning_rate * g
        w = w + (momentum * v - learning_rate * g if nesterov else v)
    return w


def rmsprop(
    w: Array, gradients: list[Array], learning_rate: float = 0.001, rho: float = 0.9, momentum: float = 0.0,
    epsilon: float = 1e-7,
) -> Array:  # fmt: skip
    v, m = np.zeros_like(w), np.zeros_like(w)
    for g in gradients:
        v = rho * v + (1 - rho) * g**2
        m = momentum * m + learning_rate * g / np.sqrt(v + epsilon)
        w = w - m
    return w


def adam(
    w: Array, gradients: list[Array], learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Array:  # fmt: skip
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        alpha = learning_rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        w = w - alpha * m / (np.sqrt(v) + epsilon)
    return w


OPTIMIZERS = {"SGD": Truth(sgd), "RMSprop": Truth(rmsprop), "Adam": Truth(adam)}


# -- metrics ----------------------------------------------------------------------------------------------


def first_largest(rows: Array) -> list[int]:
    """The first column that has the largest value of its row."""
    found = []
    for row in rows:
        best = 0
        for column in range(1, len(row)):
            if row[column] > row[best]:
                best = column
        found.append(best)
    return found


def categorical_accuracy(y: Array, p: Array) -> float:
    return float(np.mean([a == b for a, b in zip(first_largest(y), first_largest(p), strict=True)]))


def sparse_accuracy(y: Array, p: Array) -> float:
    return float(np.mean([int(a) == b for a, b in zip(y.reshape(-1), first_largest(p), strict=True)]))


def binary_accuracy(y: Array, p: Array, threshold: float = 0.5) -> float:
    return float(np.mean((y > threshold) == (p > threshold)))


def accuracy(y: Array, p: Array) -> float:
    if p.shape[1] == 1:
        return binary_accuracy(y, p)
    return sparse_accuracy(y, p) if y.shape[1] == 1 else categorical_accuracy(y, p)


METRICS = {
    "accuracy": Truth(accuracy),
    "categorical_accuracy": Truth(categorical_accuracy),
    "sparse_categorical_accuracy": Truth(sparse_accuracy),
    "binary_accuracy": Truth(binary_accuracy),
}


# -- initializers: lowest, highest, mean, variance --------------------------------------------------------


def even(limit: float) -> tuple[float, float, float, float]:
    return -limit, limit, 0.0, limit**2 / 3


INITIALIZERS = {
    "zeros": Truth(lambda shape: (0.0, 0.0, 0.0, 0.0)),
    "ones": Truth(lambda shape: (1.0, 1.0, 1.0, 0.0)),
    "constant": Truth(lambda shape, value=0.0: (value, value, value, 0.0)),
    "glorot_uniform": Truth(lambda shape: even(math.sqrt(6 / (shape[0] + shape[1])))),
    "he_uniform": Truth(lambda shape: even(math.sqrt(6 / shape[0]))),
}


# -- layers -----------------------------------------------------------------------------------------------


def dense(x: Array, weights: list[Array], units: int, activation: Any = None, use_bias: bool = True) -> Array:
    z = x @ weights[0] + (weights[1] if use_bias else 0.0)
    return z if activation is None else ACTIVATIONS[activation].value(z)


LAYERS = {
    "Dense": Truth(dense),
    "Flatten": Truth(lambda x, weights: x.reshape(len(x), -1)),
    "Activation": Truth(lambda x, weights, activation: ACTIVATIONS[activation].value(x)),
    "Input": Truth(lambda x, weights, shape: x),
    "Dropout": Truth(lambda x, weights, rate, scaling="inverted": x if scaling == "inverted" else x * (1 - rate)),
}

TRUTHS: dict[tuple[str, str], Truth] = {
    (kind, name): truth
    for kind, units in {
        "activations": ACTIVATIONS, "losses": LOSSES, "regularizers": REGULARIZERS, "optimizers": OPTIMIZERS,
        "metrics": METRICS, "initializers": INITIALIZERS, "layers": LAYERS,
    }.items()
    for name, truth in units.items()
}  # fmt: skip


# -- a whole training step --------------------------------------------------------------------------------


class TwoLayers:
    """x → tanh(x·A + a) → softmax(·B + b), trained on crossentropy with Adam."""

    def __init__(self, weights: list[NDArray[Any]]) -> None:
        self.weights = [weight.astype(np.float64) for weight in weights]
        self.m = [np.zeros_like(weight) for weight in self.weights]
        self.v = [np.zeros_like(weight) for weight in self.weights]
        self.steps = 0

    def forward(self, x: Array) -> tuple[Array, Array]:
        a, bias_a, b, bias_b = self.weights
        hidden = np.tanh(x @ a + bias_a)
        return hidden, softmax(hidden @ b + bias_b)

    def loss(self, x: Array, y: Array, penalty_on_first: float = 0.0) -> float:
        p = self.forward(x)[1]
        return float(-(y * np.log(p)).sum(axis=1).mean() + penalty_on_first * (self.weights[0] ** 2).sum())

    def step(self, x: Array, y: Array, row_weights: Array, learning_rate: float = 0.001, l2: float = 0.0) -> None:
        """One step of Adam on the mean of the weighted rows' losses, with l2 on the first kernel."""
        hidden, p = self.forward(x)
        dz = (p - y) * row_weights[:, None] / len(x)
        dh = (dz @ self.weights[2].T) * (1 - hidden**2)
        gradients = [x.T @ dh + 2 * l2 * self.weights[0], dh.sum(axis=0), hidden.T @ dz, dz.sum(axis=0)]
        self.steps += 1
        alpha = learning_rate * math.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        for number, g in enumerate(gradients):
            self.m[number] = 0.9 * self.m[number] + 0.1 * g
            self.v[number] = 0.999 * self.v[number] + 0.001 * g**2
            self.weights[number] = self.weights[number] - alpha * self.m[number] / (np.sqrt(self.v[number]) + 1e-7)
