"""MyUnit: descent along the mean of the last gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbdl import Optimizer, hookimpl


# Your rule, of a weight, its gradient, the slots and the scalars; it returns the new weight and the new slots.
def update(w: float, g: float, m: float, learning_rate: float, beta: float) -> tuple[float, float]:
    m = beta * m + (1.0 - beta) * g
    return w - learning_rate * m, m


class MyUnit(Optimizer):
    """Descent along the mean of the last gradients.

    Formula: m ← β·m + (1 - β)·g; w ← w - η·m.

    Args:
        learning_rate: η, a number or a schedule. Default 0.1.
        beta: β, 0 ≤ β < 1. Default 0.9.

    Source: Polyak 1964, with the mean in place of the sum.
    """

    slots = ("mean",)  # numbers kept for each weight, 0 at first

    def __init__(self, learning_rate: Any = 0.1, beta: float = 0.9) -> None:
        self.learning_rate, self.beta = learning_rate, float(beta)

    # The scalars of one step, in the order in which `update` takes them.
    def per_step(self, step: Any) -> dict[str, Any]:
        return {"learning_rate": self.rate(step), "beta": self.beta}

    def update_function(self) -> Callable[..., Any]:
        return update


@hookimpl
def register_optimizers(register: Any) -> None:
    register("MyUnit", MyUnit, examples=({"beta": 0.5, "weight_decay": 0.1},))
