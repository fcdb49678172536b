"""RMSprop: steps divided by a running mean of the gradient's size."""

from __future__ import annotations

import math
from typing import Any

from nbdl import Optimizer, hookimpl


def update(w: float, g: float, v: float, learning_rate: float, rho: float, epsilon: float) -> tuple[float, float]:
    v = rho * v + (1.0 - rho) * g * g
    return w - learning_rate * g / math.sqrt(v + epsilon), v


def update_momentum(
    w: float, g: float, v: float, m: float, learning_rate: float, rho: float, epsilon: float, momentum: float
) -> tuple[float, float, float]:
    v = rho * v + (1.0 - rho) * g * g
    m = momentum * m + learning_rate * g / math.sqrt(v + epsilon)
    return w - m, v, m


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient.

    Formula: v ← ρ·v + (1 - ρ)·g²; w ← w - η·g/√(v + ε); with momentum m ← μ·m + η·g/√(v + ε), w ← w - m.

    Args:
        learning_rate: η, a number or a schedule. Default 0.001.
        rho: ρ. Default 0.9.
        momentum: μ. Default 0.
        epsilon: ε, inside the root as in Keras 3 (Keras 1 and PyTorch add it outside). Default 1e-7.

    v starts at 0, so the first step is η/√(1 - ρ), about 3.16·η. The older spelling `lr` is accepted.

    Source: Hinton, Coursera lecture 6e; Keras 3, optimizers/rmsprop.py.

    >>> RMSprop().per_step(1)["rho"]
    0.9
    """

    slots = ("velocity", "momentum")
    renamed = {"lr": "learning_rate"}

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7
    ) -> None:
        self.learning_rate = learning_rate
        self.rho, self.momentum, self.epsilon = float(rho), float(momentum), float(epsilon)

    def per_step(self, step: Any) -> dict[str, Any]:
        scalars = {"learning_rate": self.rate(step), "rho": self.rho, "epsilon": self.epsilon}
        if self.momentum:
            scalars["momentum"] = self.momentum
        return scalars

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self.momentum else self.slots[:1]

    def update_function(self) -> Any:
        return update_momentum if self.momentum else update


@hookimpl
def register_optimizers(register: Any) -> None:
    register("RMSprop", RMSprop, default=True, examples=({"learning_rate": 0.01, "rho": 0.8, "momentum": 0.7},))
