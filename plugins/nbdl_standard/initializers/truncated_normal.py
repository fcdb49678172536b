"""Normal, without what is more than two deviations from the mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl_standard.initializers.random_normal import RandomNormal

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units import RandomStream


class TruncatedNormal(RandomNormal):
    """Normal, without what is more than two deviations from the mean.

    Formula: N(mean, stddev²) where |w - mean| ≤ 2·stddev; the deviation of what is left is 0.8796·stddev.

    Args:
        mean: default 0.
        stddev: the deviation before the cut; Keras 1's `scale`. Default 0.05.

    Raises:
        ConfigError: stddev is negative.

    Source: Keras 3, initializers/random_initializers.py.

    >>> TruncatedNormal(stddev=0.1)
    TruncatedNormal(stddev=0.1)
    """

    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        return random.truncated_normal(shape, self.mean, self.stddev)


@hookimpl
def register_initializers(register: Any) -> None:
    register("truncated_normal", TruncatedNormal, examples=({"mean": 0.5, "stddev": 0.1},))
