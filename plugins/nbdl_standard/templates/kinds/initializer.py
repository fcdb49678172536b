"""my_unit: uniform first values, the smaller the more inputs there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Initializer, hookimpl
from nbdl.units import fans

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units import RandomStream


class MyUnit(Initializer):
    """Uniform first values, the smaller the more inputs there are.

    Formula: uniform in [-a, a), with a = gain/√(fan in).

    Args:
        gain: the factor, 1 for layers without an activation. Default 1.

    Source: PyTorch, torch.nn.Linear.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = float(gain)

    # Your values: float32 of that shape. Draw from `random` alone, so that a seed gives the same bits.
    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        limit = self.gain / fans(shape)[0] ** 0.5
        return random.uniform(shape, -limit, limit)


@hookimpl
def register_initializers(register: Any) -> None:
    register("my_unit", MyUnit, examples=({"gain": 0.5},))
