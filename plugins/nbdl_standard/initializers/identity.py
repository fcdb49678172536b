"""The identity matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Initializer, hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units import RandomStream


class Identity(Initializer):
    """The identity matrix.

    Formula: gain on the diagonal, else 0; of a matrix that is not square too.

    Args:
        gain: default 1.

    Raises:
        ConfigError: the weight is no matrix.

    Source: Keras 3, initializers/constant_initializers.py.

    >>> Identity(0.5)
    Identity(gain=0.5)
    """

    renamed = {"scale": "gain"}

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = float(gain)

    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        import numpy as np

        if len(shape) != 2:
            raise ConfigError(f"Identity is for matrices, this weight has shape {shape}")
        return np.float32(self.gain) * np.eye(*shape, dtype=np.float32)


@hookimpl
def register_initializers(register: Any) -> None:
    register("identity", Identity, aliases=("IdentityInitializer",), examples=({"gain": 0.5},))
