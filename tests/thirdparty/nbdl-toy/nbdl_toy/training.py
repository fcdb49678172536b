"""What else a net needs, so that nbdl can train with this package alone: first values and an update rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbdl import Initializer, Optimizer, hookimpl

if TYPE_CHECKING:
    import numpy as np

    from nbdl.initializing import Stream


class ToySpread(Initializer):
    """Uniform in [-1, 1)."""

    def __call__(self, shape: tuple[int, ...], random: Stream) -> np.ndarray:
        return random.uniform(shape, -1.0, 1.0)


def update(w: float, g: float, rate: float) -> float:
    return w - rate * g


class ToyDescent(Optimizer):
    """Plain descent.

    Args:
        learning_rate: size of a step.
    """

    def __init__(self, learning_rate: float = 0.5) -> None:
        self.learning_rate = learning_rate

    def per_step(self, step: int) -> dict[str, float]:
        return {"rate": self.rate(step)}

    def update_function(self) -> Callable[..., float]:
        return update


@hookimpl
def register_initializers(register: Callable[..., None]) -> None:
    register("toy_spread", ToySpread)


@hookimpl
def register_optimizers(register: Callable[..., None]) -> None:
    register("toy_descent", ToyDescent)
