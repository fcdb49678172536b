"""NumPy's side of a case, for units that Keras lacks: float64, gradients by central differences, plain descent.

Nothing is derived by hand, so there is nothing to derive wrongly; the nets are small enough.
"""

from __future__ import annotations

import numpy as np

from parity.cases import BATCH, Array, Task, Truth
from parity.compare import Trajectory

STEP = 1e-6  # of the differences: their error is about its square


def gradient(truth: Truth, weights: list[Array], x: Array, y: Array) -> list[Array]:
    """The derivative of the mean loss, weight by weight."""
    gradients = [np.zeros_like(weight) for weight in weights]
    for weight, slope in zip(weights, gradients, strict=True):
        for at in np.ndindex(weight.shape):
            kept, sides = weight[at], []
            for sign in (1.0, -1.0):
                weight[at] = kept + sign * STEP
                sides.append(truth.loss(y, truth.forward(weights, x)).mean())
            weight[at], slope[at] = kept, (sides[0] - sides[1]) / (2 * STEP)
    return gradients


def train(truth: Truth, task: Task, start: list[Array]) -> Trajectory:
    """All steps, from the given weights."""
    x, y = (one.astype(np.float64).reshape(-1, BATCH, *one.shape[1:]) for one in (task.x, task.y))
    weights = [weight.astype(np.float64) for weight in start]
    losses, first = [], []
    for step in range(len(x)):
        losses.append(truth.loss(y[step], truth.forward(weights, x[step])).mean())
        rate = truth.rate(step)
        for weight, slope in zip(weights, gradient(truth, weights, x[step], y[step]), strict=True):
            weight -= rate * slope
        if step == 0:
            first = [weight.copy() for weight in weights]
    return Trajectory(
        np.array(losses), start, first, weights, truth.forward(weights, task.probe.astype(np.float64)), []
    )
