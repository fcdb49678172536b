"""SGD: stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import Optimizer, hookimpl
from nbdl.units import Range


def plain(w: float, g: float, learning_rate: float) -> float:
    return w - learning_rate * g


def heavy_ball(w: float, g: float, v: float, learning_rate: float, momentum: float) -> tuple[float, float]:
    v = momentum * v - learning_rate * g
    return w + v, v


def nesterov(w: float, g: float, v: float, learning_rate: float, momentum: float) -> tuple[float, float]:
    v = momentum * v - learning_rate * g
    return w + momentum * v - learning_rate * g, v


class SGD(Optimizer):
    """Stochastic gradient descent.

    Formula: w ← w - η·g; with momentum v ← μ·v - η·g, w ← w + v; Nesterov: w ← w + μ·v - η·g.

    Args:
        learning_rate: η, a number or a schedule. Default 0.01.
        momentum: μ, 0 ≤ μ ≤ 1. Default 0.
        nesterov: whether momentum looks ahead. Default False.

    PyTorch scales differently: v ← μ·v + g, w ← w - η·v. scikit-learn's defaults are η = 0.001, μ = 0.9, Nesterov.

    Source: Keras 3, optimizers/sgd.py; Sutskever et al. 2013.

    >>> SGD(lr=0.1).learning_rate
    0.1
    """

    slots = ("velocity",)
    ranges: ClassVar = {"momentum": Range(0.0, 1.0)}

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False) -> None:
        self.learning_rate, self.momentum, self.nesterov = learning_rate, float(momentum), bool(nesterov)

    def per_step(self, step: Any) -> dict[str, Any]:
        scalars = {"learning_rate": self.rate(step)}
        if self.momentum:
            scalars["momentum"] = self.momentum
        return scalars

    def used_slots(self) -> tuple[str, ...]:
        return self.slots if self.momentum else ()

    def update_function(self) -> Any:
        if not self.momentum:
            return plain
        return nesterov if self.nesterov else heavy_ball


@hookimpl
def register_optimizers(register: Any) -> None:
    examples = (
        {"momentum": 0.8, "decay": 0.1},
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1},
        {"learning_rate": 0.1, "clipnorm": 1.0, "gradient_accumulation_steps": 2},
    )
    register("SGD", SGD, examples=examples)
