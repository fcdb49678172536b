"""Adamax: Adam with the largest recent gradient in place of the root mean square."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.optimizers.moments import MomentsOptimizer


def update(
    w: float,
    g: float,
    m: float,
    u: float,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    correction: float,
    epsilon: float,
) -> tuple[float, float, float]:
    m = m + (g - m) * (1.0 - beta_1)
    u = max(abs(g), beta_2 * u)
    return w - learning_rate * m / (correction * (u + epsilon)), m, u


class Adamax(MomentsOptimizer):
    """Adam with the largest recent gradient in place of the root mean square.

    Formula: m ← β₁·m + (1 - β₁)·g; u ← max(β₂·u, |g|); w ← w - η·m/((1 - β₁ᵗ)·(u + ε)).

    Args:
        learning_rate: η, a number or a schedule. Default 0.001 (Keras 1 and PyTorch: 0.002).
        beta_1: β₁. Default 0.9.
        beta_2: β₂. Default 0.999.
        epsilon: ε. Default 1e-7 (Keras 1 and PyTorch: 1e-8).

    Source: Kingma & Ba 2015, section 7.1; Keras 3, optimizers/adamax.py.

    >>> round(Adamax().per_step(2)["correction"], 9)
    0.19
    """

    slots = ("momentum", "norm")

    def per_step(self, step: Any) -> dict[str, Any]:
        return {
            "learning_rate": self.rate(step),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "correction": 1.0 - self.beta_1**step,
            "epsilon": self.epsilon,
        }

    def update_function(self) -> Any:
        return update


@hookimpl
def register_optimizers(register: Any) -> None:
    register("Adamax", Adamax, examples=({"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},))
