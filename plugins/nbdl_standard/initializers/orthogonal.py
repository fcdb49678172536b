"""A matrix whose rows, or columns if there are fewer of them, are orthogonal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Initializer, hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units import RandomStream


class Orthogonal(Initializer):
    """A matrix whose rows, or columns if there are fewer of them, are orthogonal.

    Formula: gain·Q of the QR decomposition of a matrix of normal numbers, with the signs that make R's diagonal
    positive; axes before the last count as rows.

    Args:
        gain: length of the orthogonal rows or columns. Default 1; in Keras 1 it was `scale`, 1.1.

    Raises:
        ConfigError: the weight is a vector.

    The last bits are those of the machine's LAPACK.

    Source: Saxe, McClelland and Ganguli 2014; Keras 3, initializers/random_initializers.py.

    >>> Orthogonal(gain=2.0)
    Orthogonal(gain=2.0)
    """

    renamed = {"scale": "gain"}

    positions = ("gain", "seed")

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = float(gain)

    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        import numpy as np

        if len(shape) < 2:
            raise ConfigError(f"Orthogonal is for weights of two axes or more, this one has shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        numbers = random.normal((max(rows, columns), min(rows, columns)), 0.0, 1.0).astype(np.float64)
        q, r = np.linalg.qr(numbers)
        q *= np.sign(np.diagonal(r))
        q = q if rows >= columns else q.T
        return np.ascontiguousarray(self.gain * q, np.float32).reshape(shape)


@hookimpl
def register_initializers(register: Any) -> None:
    register("orthogonal", Orthogonal, aliases=("OrthogonalInitializer",), examples=({"gain": 1.5},))
