"""Nadam: Adam whose momentum looks ahead."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

from nbdl import hookimpl
from nbdl_standard.optimizers.moments import MomentsOptimizer


def update(
    w: float,
    g: float,
    m: float,
    v: float,
    ahead: float,
    now: float,
    beta_1: float,
    beta_2: float,
    correction: float,
    epsilon: float,
) -> tuple[float, float, float]:
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (g * g - v) * (1.0 - beta_2)
    return w - (ahead * m + now * g) / (math.sqrt(v * correction) + epsilon), m, v


# Π (1 - ½·0.96ⁱ) over i = 1 … t, by t; from here on its factors are 1 in float64.
PRODUCTS = tuple(accumulate((1.0 - 0.5 * 0.96**i for i in range(1, 901)), lambda a, b: a * b, initial=1.0))


class Nadam(MomentsOptimizer):
    """Adam whose momentum looks ahead, as Nesterov's does.

    Formula: m ← β₁·m + (1 - β₁)·g; v ← β₂·v + (1 - β₂)·g²; uₜ = β₁·(1 - ½·0.96ᵗ), Uₜ = Π uᵢ over i = 1 … t;
    m̂ = uₜ₊₁·m/(1 - Uₜ₊₁) + (1 - uₜ)·g/(1 - Uₜ); w ← w - η·m̂/(√(v/(1 - β₂ᵗ)) + ε).

    Args:
        learning_rate: η, a number or a schedule. Default 0.001 (Keras 1 and PyTorch: 0.002).
        beta_1: β₁. Default 0.9.
        beta_2: β₂. Default 0.999.
        epsilon: ε. Default 1e-7 (Keras 1 and PyTorch: 1e-8).

    Keras 1 and PyTorch have 0.96 to the power of t·`schedule_decay`, 0.004 by default; in Keras 3 u is thus at β₁
    250 times sooner.

    Source: Dozat 2016; Keras 3, optimizers/nadam.py.

    >>> round(Nadam(1.0).per_step(1)["ahead"], 6)
    0.627878
    """

    slots = ("momentum", "velocity")

    def per_step(self, step: Any) -> dict[str, Any]:
        rate, product = self.rate(step), self._product(step)
        u, u_next = (self.beta_1 * (1.0 - 0.5 * 0.96**t) for t in (step, step + 1))
        return {
            "ahead": rate * u_next / (1.0 - product * u_next),
            "now": rate * (1.0 - u) / (1.0 - product),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "correction": 1.0 / (1.0 - self.beta_2**step),
            "epsilon": self.epsilon,
        }

    def _product(self, step: Any) -> Any:
        """U of a step or of an array of them."""
        last = len(PRODUCTS) - 1
        if not hasattr(step, "__len__"):
            return self.beta_1**step * PRODUCTS[min(int(step), last)]
        import numpy as np

        return self.beta_1**step * np.take(PRODUCTS, np.minimum(step, last).astype(int))

    def update_function(self) -> Any:
        return update


@hookimpl
def register_optimizers(register: Any) -> None:
    register("Nadam", Nadam, examples=({"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},))
