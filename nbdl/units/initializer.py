"""Initializer: the first values of a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.units.unit import Unit

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units.random import RandomStream


class Initializer(Unit):
    """The first values of a weight."""

    kind = "initializers"

    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        """Values of that shape; all randomness comes from `random`, so a seed gives the same bits."""
        raise self.unwritten("__call__")
