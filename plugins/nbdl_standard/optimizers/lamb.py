"""Lamb: Adam whose step for each weight is as long as the weight asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.program import square
from nbdl_standard.optimizers.moments import MomentsOptimizer

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def direction(
    g: float, m: float, v: float, beta_1: float, beta_2: float, first: float, second: float, epsilon: float
) -> float:
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (g * g - v) * (1.0 - beta_2)
    return m * first / (math.sqrt(v * second) + epsilon)


def update(
    w: float,
    g: float,
    m: float,
    v: float,
    beta_1: float,
    beta_2: float,
    first: float,
    second: float,
    epsilon: float,
    size: float,
) -> tuple[float, float, float]:
    step = size * direction(g, m, v, beta_1, beta_2, first, second, epsilon)
    return w - step, m + (g - m) * (1.0 - beta_1), v + (g * g - v) * (1.0 - beta_2)


def trust(learning_rate: float, weight: float, step: float) -> float:
    return learning_rate * math.sqrt(weight / step) if weight > 0.0 and step > 0.0 else learning_rate


class Lamb(MomentsOptimizer):
    """Adam's direction, with a step in the ratio of the norms of each weight and of its direction: for large batches.

    Formula: m ← β₁·m + (1 - β₁)·g; v ← β₂·v + (1 - β₂)·g²; u = m/(1 - β₁ᵗ)/(√(v/(1 - β₂ᵗ)) + ε);
    w ← w - η·‖w‖/‖u‖·u, where a norm of 0 makes the ratio 1.

    Args:
        learning_rate: η, a number or a schedule. Default 0.001.
        beta_1: β₁. Default 0.9.
        beta_2: β₂. Default 0.999.
        epsilon: ε. Default 1e-7.

    As in Keras `weight_decay` shrinks the weight before all this; in the paper it is part of u.

    Source: You et al. 2020; Keras 3, optimizers/lamb.py.

    >>> trust(0.1, 4.0, 1.0), trust(0.1, 0.0, 1.0)
    (0.2, 0.1)
    """

    slots = ("momentum", "velocity")
    per_weight = True

    def per_step(self, step: Any) -> dict[str, Any]:
        return {
            "learning_rate": self.rate(step),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "first": 1.0 / (1.0 - self.beta_1**step),
            "second": 1.0 / (1.0 - self.beta_2**step),
            "epsilon": self.epsilon,
        }

    def record(
        self, r: Recorder, w: Tensor, g: Tensor, slots: Mapping[str, Tensor], scalars: Mapping[str, Tensor]
    ) -> tuple[Any, Sequence[Tensor]]:
        rate, *moments = scalars.values()
        u = r.map(direction, g, *slots.values(), *moments)
        return update, [*moments, r.map(trust, rate, r.total(square, w), r.total(square, u))]


@hookimpl
def register_optimizers(register: Any) -> None:
    register("Lamb", Lamb, examples=({"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.95, "weight_decay": 0.1},))
