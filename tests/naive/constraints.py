"""Constraints: w after the projection of w."""

from __future__ import annotations

import numpy as np

from naive.common import EPSILON, Array
from nbdl.testing.truths import Truth


def norms(w: Array, axis: int) -> Array:
    return np.sqrt((w**2).sum(axis=axis, keepdims=True))


def max_norm(w: Array, max_value: float = 2.0, axis: int = 0) -> Array:
    norm = norms(w, axis)
    return w * np.clip(norm, 0, max_value) / (EPSILON + norm)


def unit_norm(w: Array, axis: int = 0) -> Array:
    return w / (EPSILON + norms(w, axis))


def min_max_norm(w: Array, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int = 0) -> Array:
    norm = norms(w, axis)
    return w * (rate * np.clip(norm, min_value, max_value) + (1 - rate) * norm) / (EPSILON + norm)


CONSTRAINTS: dict[str, Truth] = {
    "max_norm": Truth(max_norm),
    "non_neg": Truth(lambda w: np.maximum(w, 0)),
    "unit_norm": Truth(unit_norm),
    "min_max_norm": Truth(min_max_norm),
}
