"""Adadelta: steps in the ratio of the sizes of recent steps and recent gradients."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nbdl import Optimizer, hookimpl
from nbdl.units import Range
from nbdl_standard.ranges import NOT_NEGATIVE


def update(
    w: float, g: float, a: float, d: float, learning_rate: float, rho: float, epsilon: float
) -> tuple[float, float, float]:
    a = rho * a + (1.0 - rho) * g * g
    step = -math.sqrt(d + epsilon) / math.sqrt(a + epsilon) * g
    d = rho * d + (1.0 - rho) * step * step
    return w + learning_rate * step, a, d


class Adadelta(Optimizer):
    """Steps in the ratio of the sizes of recent steps and recent gradients.

    Formula: a ← ρ·a + (1 - ρ)·g²; δ = -√(d + ε)/√(a + ε)·g; d ← ρ·d + (1 - ρ)·δ²; w ← w + η·δ.

    Args:
        learning_rate: η, a number or a schedule. Default 0.001, as in Keras 3, which is slow; the paper, Keras 1 and
            PyTorch have 1.
        rho: ρ. Default 0.95 (PyTorch 0.9).
        epsilon: ε. Default 1e-7 (Keras 1: 1e-8, PyTorch 1e-6).

    Source: Zeiler 2012; Keras 3, optimizers/adadelta.py.

    >>> Adadelta(1.0).per_step(1)["learning_rate"]
    1.0
    """

    slots = ("accumulated_grad", "accumulated_delta_var")
    ranges: ClassVar = {"rho": Range(0.0, 1.0), "epsilon": NOT_NEGATIVE}
    none_means_default = ("epsilon",)

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7) -> None:
        self.learning_rate, self.rho, self.epsilon = learning_rate, float(rho), float(epsilon)

    def per_step(self, step: Any) -> dict[str, Any]:
        return {"learning_rate": self.rate(step), "rho": self.rho, "epsilon": self.epsilon}

    def update_function(self) -> Any:
        return update


@hookimpl
def register_optimizers(register: Any) -> None:
    register("Adadelta", Adadelta, examples=({"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-3},))
