"""Normal, not cut anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Initializer, hookimpl
from nbdl_standard.ranges import NOT_NEGATIVE

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units import RandomStream


class RandomNormal(Initializer):
    """Normal, not cut anywhere.

    Formula: N(mean, stddev²).

    Args:
        mean: default 0.
        stddev: the deviation; Keras 1's `scale`. Default 0.05.

    Raises:
        ConfigError: stddev is negative.

    Source: Keras 3, initializers/random_initializers.py.

    >>> RandomNormal(stddev=0.1)
    RandomNormal(stddev=0.1)
    """

    renamed = {"scale": "stddev"}

    ranges: ClassVar = {"stddev": NOT_NEGATIVE}
    positions = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05) -> None:
        self.mean, self.stddev = float(mean), float(stddev)

    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        return random.normal(shape, self.mean, self.stddev)


@hookimpl
def register_initializers(register: Any) -> None:
    register("random_normal", RandomNormal, aliases=("normal",), examples=({"mean": 0.5, "stddev": 0.1},))
