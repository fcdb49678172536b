"""Ftrl: "follow the regularized leader", for sparse weights."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nbdl import Optimizer, hookimpl
from nbdl.units import Range
from nbdl_standard.ranges import NOT_NEGATIVE


def leader(z: float, root: float, learning_rate: float, l1: float, l2: float, beta: float) -> float:
    return (min(max(z, -l1), l1) - z) / ((root + beta) / learning_rate + 2.0 * l2)


def update(
    w: float, g: float, a: float, z: float, learning_rate: float, l1: float, l2: float, shrinkage: float, beta: float
) -> tuple[float, float, float]:
    root = math.sqrt(a + g * g)
    z = z + g + 2.0 * shrinkage * w - (root - math.sqrt(a)) / learning_rate * w
    return leader(z, root, learning_rate, l1, l2, beta), a + g * g, z


def update_power(
    w: float,
    g: float,
    a: float,
    z: float,
    learning_rate: float,
    l1: float,
    l2: float,
    shrinkage: float,
    beta: float,
    power: float,
) -> tuple[float, float, float]:
    root = (a + g * g) ** power
    z = z + g + 2.0 * shrinkage * w - (root - a**power) / learning_rate * w
    return leader(z, root, learning_rate, l1, l2, beta), a + g * g, z


class Ftrl(Optimizer):
    """Follow the regularized leader: sums of gradients, from which the weights are computed anew each step.

    Formula: a' = a + g²; z ← z + g + 2·λₛ·w - (a'⁻ᵖ - a⁻ᵖ)/η·w; w ← (clip(z, -λ₁, λ₁) - z)/((a'⁻ᵖ + β)/η + 2·λ₂);
    a ← a'.

    Args:
        learning_rate: η, a number or a schedule, never 0. Default 0.001.
        learning_rate_power: p, not positive. Default -0.5.
        initial_accumulator_value: what a starts from, not negative. Default 0.1.
        l1_regularization_strength: λ₁, not negative. Default 0.
        l2_regularization_strength: λ₂, not negative. Default 0.
        l2_shrinkage_regularization_strength: λₛ, not negative: a penalty on the size of w alone. Default 0.
        beta: β of the paper. Default 0.

    Raises:
        ConfigError: an argument is out of its range.

    Source: McMahan et al. 2013; Keras 3, optimizers/ftrl.py.

    >>> Ftrl().first_value("accumulator"), Ftrl().first_value("linear")
    (0.1, 0.0)
    """

    slots = ("accumulator", "linear")
    ranges: ClassVar = {
        "learning_rate_power": Range(-math.inf, 0.0, "is not positive"),
        "initial_accumulator_value": NOT_NEGATIVE,
        "l1_regularization_strength": NOT_NEGATIVE,
        "l2_regularization_strength": NOT_NEGATIVE,
        "l2_shrinkage_regularization_strength": NOT_NEGATIVE,
    }

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
    ) -> None:
        self.learning_rate, self.learning_rate_power = learning_rate, float(learning_rate_power)
        self.initial_accumulator_value, self.beta = float(initial_accumulator_value), float(beta)
        self.l1_regularization_strength = float(l1_regularization_strength)
        self.l2_regularization_strength = float(l2_regularization_strength)
        self.l2_shrinkage_regularization_strength = float(l2_shrinkage_regularization_strength)

    def first_value(self, slot: str) -> float:
        return self.initial_accumulator_value if slot == "accumulator" else 0.0

    def per_step(self, step: Any) -> dict[str, Any]:
        scalars = {
            "learning_rate": self.rate(step),
            "l1": self.l1_regularization_strength,
            "l2": self.l2_regularization_strength,
            "shrinkage": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
        return scalars if self._is_root() else {**scalars, "power": -self.learning_rate_power}

    def update_function(self) -> Any:
        return update if self._is_root() else update_power

    def _is_root(self) -> bool:
        return self.learning_rate_power == -0.5  # a general power takes 20 times as long


@hookimpl
def register_optimizers(register: Any) -> None:
    examples = (
        {"learning_rate": 0.1},
        {
            "learning_rate": 0.1, "learning_rate_power": -0.4, "initial_accumulator_value": 0.5, "beta": 0.3,
            "l1_regularization_strength": 0.02, "l2_regularization_strength": 0.3,
            "l2_shrinkage_regularization_strength": 0.1,
        },
    )  # fmt: skip
    register("Ftrl", Ftrl, examples=examples)
