"""Uniform, scaled by fan in and fan out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Initializer, hookimpl
from nbdl.initializing import fans

if TYPE_CHECKING:
    import numpy as np

    from nbdl.initializing import Stream


class GlorotUniform(Initializer):
    """Uniform, scaled by fan in and fan out.

    Formula: U(-a, a) with a = √(6/(fan in + fan out)).

    Source: Keras 3, initializers/random_initializers.py.

    >>> GlorotUniform()
    GlorotUniform()
    """

    def __call__(self, shape: tuple[int, ...], random: Stream) -> np.ndarray:
        fan_in, fan_out = fans(shape)
        limit = math.sqrt(6.0 / (fan_in + fan_out))
        return random.uniform(shape, -limit, limit)


@hookimpl
def register_initializers(register: Any) -> None:
    register("glorot_uniform", GlorotUniform)
