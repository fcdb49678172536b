"""One value everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Initializer, hookimpl

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units import RandomStream


class Constant(Initializer):
    """One value everywhere.

    Formula: w = value.

    Args:
        value: the value. Default 0.

    Source: Keras 3, initializers/constant_initializers.py.

    >>> Constant(0.5)
    Constant(value=0.5)
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = float(value)

    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        import numpy as np

        return np.full(shape, self.value, np.float32)


@hookimpl
def register_initializers(register: Any) -> None:
    register("constant", Constant, examples=({"value": 0.3},))
