"""Uniform between two bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Initializer, hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units import RandomStream


class RandomUniform(Initializer):
    """Uniform between two bounds.

    Formula: U(minval, maxval).

    Args:
        minval: lower bound, included. Default -0.05.
        maxval: upper bound. Default 0.05.

    Raises:
        ConfigError: minval is above maxval.

    Source: Keras 3, initializers/random_initializers.py.

    >>> RandomUniform(-1, 1)
    RandomUniform(minval=-1, maxval=1)
    """

    positions = ("minval", "maxval", "seed")

    def __init__(self, minval: float = -0.05, maxval: float = 0.05) -> None:
        if minval > maxval:
            raise ConfigError(f"RandomUniform: minval is at most maxval, got {minval!r} and {maxval!r}")
        self.minval, self.maxval = float(minval), float(maxval)

    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        return random.uniform(shape, self.minval, self.maxval)


@hookimpl
def register_initializers(register: Any) -> None:
    register("random_uniform", RandomUniform, aliases=("uniform",), examples=({"minval": -0.2, "maxval": 0.6},))
