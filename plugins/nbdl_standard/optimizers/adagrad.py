"""Adagrad: steps divided by the root of all squared gradients so far."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nbdl import Optimizer, hookimpl
from nbdl_standard.ranges import NOT_NEGATIVE


def update(w: float, g: float, a: float, learning_rate: float, epsilon: float) -> tuple[float, float]:
    a = a + g * g
    return w - learning_rate * g / math.sqrt(a + epsilon), a


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients.

    Formula: a ← a + g²; w ← w - η·g/√(a + ε).

    Args:
        learning_rate: η, a number or a schedule. Default 0.001 (Keras 1 and PyTorch: 0.01).
        initial_accumulator_value: what a starts from, not negative. Default 0.1 (Keras 1 and PyTorch: 0).
        epsilon: ε, inside the root as in Keras 3 (Keras 1 and PyTorch add it outside). Default 1e-7 (Keras 1: 1e-8,
            PyTorch 1e-10).

    Raises:
        ConfigError: `initial_accumulator_value` is negative.

    Source: Duchi et al. 2011; Keras 3, optimizers/adagrad.py.

    >>> Adagrad().first_value("accumulator")
    0.1
    """

    slots = ("accumulator",)
    ranges: ClassVar = {"initial_accumulator_value": NOT_NEGATIVE, "epsilon": NOT_NEGATIVE}
    none_means_default = ("epsilon",)

    def __init__(
        self, learning_rate: Any = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7
    ) -> None:
        self.learning_rate, self.epsilon = learning_rate, float(epsilon)
        self.initial_accumulator_value = float(initial_accumulator_value)

    def first_value(self, slot: str) -> float:
        return self.initial_accumulator_value

    def per_step(self, step: Any) -> dict[str, Any]:
        return {"learning_rate": self.rate(step), "epsilon": self.epsilon}

    def update_function(self) -> Any:
        return update


@hookimpl
def register_optimizers(register: Any) -> None:
    register("Adagrad", Adagrad, examples=({"learning_rate": 0.1, "initial_accumulator_value": 0.0, "epsilon": 1e-3},))
