"""All ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Initializer, hookimpl

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units import RandomStream


class Ones(Initializer):
    """All ones.

    Formula: w = 1.

    Source: Keras 3, initializers/constant_initializers.py.

    >>> Ones()
    Ones()
    """

    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        import numpy as np

        return np.ones(shape, np.float32)


@hookimpl
def register_initializers(register: Any) -> None:
    register("ones", Ones, aliases=("one",))
