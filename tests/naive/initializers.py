"""Initializers: lowest, highest, mean and variance of the values of a shape."""

from __future__ import annotations

import math

from nbdl.testing.truths import Truth


def even(limit: float) -> tuple[float, float, float, float]:
    return -limit, limit, 0.0, limit**2 / 3


INITIALIZERS = {
    "zeros": Truth(lambda shape: (0.0, 0.0, 0.0, 0.0)),
    "ones": Truth(lambda shape: (1.0, 1.0, 1.0, 0.0)),
    "constant": Truth(lambda shape, value=0.0: (value, value, value, 0.0)),
    "glorot_uniform": Truth(lambda shape: even(math.sqrt(6 / (shape[0] + shape[1])))),
    "he_uniform": Truth(lambda shape: even(math.sqrt(6 / shape[0]))),
}
