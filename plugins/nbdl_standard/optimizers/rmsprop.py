"""RMSprop: steps divided by a running mean of the gradient's size."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nbdl import Optimizer, hookimpl
from nbdl.units import Range
from nbdl_standard.ranges import NOT_NEGATIVE


def update(w: float, g: float, v: float, learning_rate: float, rho: float, epsilon: float) -> tuple[float, float]:
    v = rho * v + (1.0 - rho) * g * g
    return w - learning_rate * g / math.sqrt(v + epsilon), v


def update_momentum(
    w: float, g: float, v: float, m: float, learning_rate: float, rho: float, epsilon: float, momentum: float
) -> tuple[float, float, float]:
    v = rho * v + (1.0 - rho) * g * g
    m = momentum * m + learning_rate * g / math.sqrt(v + epsilon)
    return w - m, v, m


def centered(
    w: float, g: float, v: float, a: float, learning_rate: float, rho: float, epsilon: float
) -> tuple[float, float, float]:
    v = rho * v + (1.0 - rho) * g * g
    a = rho * a + (1.0 - rho) * g
    return w - learning_rate * g / math.sqrt(max(v - a * a, 0.0) + epsilon), v, a


def centered_momentum(
    w: float,
    g: float,
    v: float,
    m: float,
    a: float,
    learning_rate: float,
    rho: float,
    epsilon: float,
    momentum: float,
) -> tuple[float, float, float, float]:
    v = rho * v + (1.0 - rho) * g * g
    a = rho * a + (1.0 - rho) * g
    m = momentum * m + learning_rate * g / math.sqrt(max(v - a * a, 0.0) + epsilon)
    return w - m, v, m, a


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradient.

    Formula: v ← ρ·v + (1 - ρ)·g²; w ← w - η·g/√(v + ε); with momentum m ← μ·m + η·g/√(v + ε), w ← w - m. Centered:
    a ← ρ·a + (1 - ρ)·g, and v - a² (0 where rounding makes it negative) takes the place of v in the step.

    Args:
        learning_rate: η, a number or a schedule. Default 0.001 (PyTorch 0.01).
        rho: ρ. Default 0.9 (PyTorch 0.99).
        momentum: μ. Default 0.
        epsilon: ε, inside the root as in Keras 3 (Keras 1 and PyTorch add it outside). Default 1e-7 (Keras 1: 1e-8).
        centered: whether steps are divided by the gradient's variance rather than its square. Default False.

    v starts at 0, so the first step is η/√(1 - ρ), about 3.16·η.

    Source: Hinton, Coursera lecture 6e; Keras 3, optimizers/rmsprop.py.

    >>> RMSprop().per_step(1)["rho"]
    0.9
    """

    slots = ("velocity", "momentum", "average_gradient")
    ranges: ClassVar = {"rho": Range(0.0, 1.0), "epsilon": NOT_NEGATIVE}
    none_means_default = ("epsilon",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
    ) -> None:
        self.learning_rate, self.centered = learning_rate, bool(centered)
        self.rho, self.momentum, self.epsilon = float(rho), float(momentum), float(epsilon)

    def per_step(self, step: Any) -> dict[str, Any]:
        scalars = {"learning_rate": self.rate(step), "rho": self.rho, "epsilon": self.epsilon}
        if self.momentum:
            scalars["momentum"] = self.momentum
        return scalars

    def used_slots(self) -> tuple[str, ...]:
        return tuple(slot for slot, used in zip(self.slots, (True, self.momentum, self.centered), strict=True) if used)

    def update_function(self) -> Any:
        if self.centered:
            return centered_momentum if self.momentum else centered
        return update_momentum if self.momentum else update


@hookimpl
def register_optimizers(register: Any) -> None:
    examples = (
        {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.7},
        {"centered": True, "clipvalue": 0.5, "use_ema": True, "ema_overwrite_frequency": 2},
        {"learning_rate": 0.01, "centered": True, "momentum": 0.7},
    )
    register("RMSprop", RMSprop, default=True, examples=examples)
