"""A whole training step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naive.activations import softmax
from naive.common import Array


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
