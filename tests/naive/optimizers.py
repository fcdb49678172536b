"""Optimizers: the weights after some steps."""

from __future__ import annotations

import math

import numpy as np

from naive.common import Array
from nbdl.testing.truths import Truth


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
