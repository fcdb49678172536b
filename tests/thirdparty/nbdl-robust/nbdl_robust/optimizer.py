"""Yogi."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nbdl import Optimizer, hookimpl


def update(
    w: float, g: float, m: float, v: float, alpha: float, beta_1: float, beta_2: float, epsilon: float
) -> tuple[float, float, float]:
    s = g * g
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (math.copysign(1.0, s - v) if s != v else 0.0) * s * (1.0 - beta_2)
    return w - alpha * m / (math.sqrt(v) + epsilon), m, v


class Yogi(Optimizer):
    """Adam whose second moment moves by g² at most, so a single large gradient is not forgotten at once.

    Formula: m ← β₁·m + (1 - β₁)·g; v ← v + (1 - β₂)·sign(g² - v)·g²; α = η·√(1 - β₂ᵗ)/(1 - β₁ᵗ);
    w ← w - α·m/(√v + ε). m starts at 0, v at v₀.

    Args:
        learning_rate: η, a number or a schedule. Default 0.01.
        beta_1: β₁. Default 0.9.
        beta_2: β₂. Default 0.999.
        epsilon: ε. Default 0.001.
        initial_accumulator_value: v₀, 0 or more. Default 1e-6.

    Source: Zaheer et al. 2018, Adaptive Methods for Nonconvex Optimization.

    >>> round(Yogi(beta_1=0.5).per_step(1)["alpha"], 9)
    0.000632456
    """

    slots = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-3,
        initial_accumulator_value: float = 1e-6,
    ) -> None:
        self.learning_rate = learning_rate
        self.beta_1, self.beta_2, self.epsilon = float(beta_1), float(beta_2), float(epsilon)
        self.initial_accumulator_value = float(initial_accumulator_value)

    def per_step(self, step: Any) -> dict[str, Any]:
        correction = (1.0 - self.beta_2**step) ** 0.5 / (1.0 - self.beta_1**step)
        return {
            "alpha": self.rate(step) * correction,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }

    def first_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "velocity" else 0.0

    def update_function(self) -> Callable[..., Any]:
        return update


@hookimpl
def register_optimizers(register: Callable[..., None]) -> None:
    register("Yogi", Yogi, examples=({"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-2},))
