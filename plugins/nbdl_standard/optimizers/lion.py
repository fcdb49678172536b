"""Lion: steps of one size, in the direction of the momentum's sign."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from nbdl import Optimizer, hookimpl
from nbdl.program import sign
from nbdl.units import Range
from nbdl_standard.ranges import BELOW_ONE


def update(w: float, g: float, m: float, learning_rate: float, beta_1: float, beta_2: float) -> tuple[float, float]:
    step = sign(beta_1 * m + (1.0 - beta_1) * g)
    return w - learning_rate * step, beta_2 * m + (1.0 - beta_2) * g


class Lion(Optimizer):
    """Steps of one size, in the direction of the momentum's sign.

    Formula: w ← w - η·sign(β₁·m + (1 - β₁)·g); m ← β₂·m + (1 - β₂)·g; sign(0) = 0.

    Args:
        learning_rate: η, a number or a schedule; 3 to 10 times smaller than Adam's. Default 0.001.
        beta_1: β₁, 0 < β₁ < 1: with 0 the momentum would do nothing. Default 0.9.
        beta_2: β₂. Default 0.99.

    Raises:
        ConfigError: `beta_1` is not in its range.

    Source: Chen et al. 2023; Keras 3, optimizers/lion.py.

    >>> update(1.0, -5.0, 0.0, 0.1, 0.9, 0.5)
    (1.1, -2.5)
    """

    slots = ("momentum",)
    ranges: ClassVar = {"beta_1": Range(math.ulp(0.0), BELOW_ONE.high, "lies above 0 and below 1"), "beta_2": BELOW_ONE}

    def __init__(self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99) -> None:
        self.learning_rate, self.beta_1, self.beta_2 = learning_rate, float(beta_1), float(beta_2)

    def per_step(self, step: Any) -> dict[str, Any]:
        return {"learning_rate": self.rate(step), "beta_1": self.beta_1, "beta_2": self.beta_2}

    def update_function(self) -> Any:
        return update


@hookimpl
def register_optimizers(register: Any) -> None:
    register("Lion", Lion, examples=({"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.7},))
