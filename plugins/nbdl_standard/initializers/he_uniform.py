"""Uniform, scaled by fan in, for rectifiers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Initializer, hookimpl
from nbdl.initializing import fans

if TYPE_CHECKING:
    import numpy as np

    from nbdl.initializing import Stream


class HeUniform(Initializer):
    """Uniform, scaled by fan in, for rectifiers.

    Formula: U(-a, a) with a = √(6/fan in).

    Source: Keras 3, initializers/random_initializers.py.

    >>> HeUniform()
    HeUniform()
    """

    def __call__(self, shape: tuple[int, ...], random: Stream) -> np.ndarray:
        limit = math.sqrt(6.0 / fans(shape)[0])
        return random.uniform(shape, -limit, limit)


@hookimpl
def register_initializers(register: Any) -> None:
    register("he_uniform", HeUniform)
