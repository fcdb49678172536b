"""Adam: RMSprop with momentum, both corrected for their start at zero."""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl
from nbdl_standard.optimizers.moments import MomentsOptimizer


def update(
    w: float, g: float, m: float, v: float, alpha: float, beta_1: float, beta_2: float, epsilon: float
) -> tuple[float, float, float]:
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (g * g - v) * (1.0 - beta_2)
    return w - alpha * m / (math.sqrt(v) + epsilon), m, v


def amsgrad(
    w: float, g: float, m: float, v: float, h: float, alpha: float, beta_1: float, beta_2: float, epsilon: float
) -> tuple[float, float, float, float]:
    m = m + (g - m) * (1.0 - beta_1)
    v = v + (g * g - v) * (1.0 - beta_2)
    h = max(v, h)
    return w - alpha * m / (math.sqrt(h) + epsilon), m, v, h


class Adam(MomentsOptimizer):
    """RMSprop with momentum, both corrected for their start at zero.

    Formula: m ← β₁·m + (1 - β₁)·g; v ← β₂·v + (1 - β₂)·g²; α = η·√(1 - β₂ᵗ)/(1 - β₁ᵗ); w ← w - α·m/(√v + ε).
    With amsgrad h ← max(h, v) takes the place of v in the last.

    Args:
        learning_rate: η, a number or a schedule. Default 0.001.
        beta_1: β₁. Default 0.9.
        beta_2: β₂. Default 0.999.
        epsilon: ε, added to √v without correction ("epsilon hat", as in Keras; PyTorch corrects √v first).
            Default 1e-7 (Keras 1, PyTorch and scikit-learn: 1e-8).
        amsgrad: whether steps are divided by the largest v so far. Default False.

    Source: Kingma & Ba 2015; Reddi et al. 2018; Keras 3, optimizers/adam.py.

    >>> round(Adam().per_step(1)["alpha"], 9)
    0.000316228
    """

    slots = ("momentum", "velocity", "velocity_hat")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon)
        self.amsgrad = bool(amsgrad)

    def per_step(self, step: Any) -> dict[str, Any]:
        correction = (1.0 - self.beta_2**step) ** 0.5 / (1.0 - self.beta_1**step)
        return {
            "alpha": self.rate(step) * correction,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self.amsgrad else self.slots[:2]

    def update_function(self) -> Any:
        return amsgrad if self.amsgrad else update


@hookimpl
def register_optimizers(register: Any) -> None:
    examples = (
        {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
        {
            "amsgrad": True, "weight_decay": 0.1, "global_clipnorm": 2.0, "use_ema": True, "ema_momentum": 0.8,
            "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2,
        },
    )  # fmt: skip
    register("Adam", Adam, examples=examples)
