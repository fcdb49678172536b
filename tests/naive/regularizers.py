"""Regularizers: a number of w, and its derivative."""

from __future__ import annotations

import numpy as np

from naive.common import EPSILON, Array
from nbdl.testing.truths import Truth


def penalty(w: Array, l1: float = 0.0, l2: float = 0.0) -> float:
    return l1 * float(np.abs(w).sum()) + l2 * float((w**2).sum())


def penalty_gradient(w: Array, l1: float = 0.0, l2: float = 0.0) -> Array:
    return l1 * np.sign(w) + 2 * l2 * w


def cosines(w: Array, mode: str) -> tuple[list[Array], list[tuple[int, int]]]:
    """Unit vectors, and the pairs of them."""
    vectors = list(w if mode == "rows" else w.T)
    pairs = [(i, j) for i in range(len(vectors)) for j in range(i)]
    return [vector / max(np.sqrt((vector**2).sum()), EPSILON) for vector in vectors], pairs


def orthogonal(w: Array, factor: float = 0.01, mode: str = "rows") -> float:
    units, pairs = cosines(w, mode)
    return factor * float(np.mean([abs(units[i] @ units[j]) for i, j in pairs]))


def orthogonal_gradient(w: Array, factor: float = 0.01, mode: str = "rows") -> Array:
    """By differences."""
    gradient, step = np.zeros_like(w), 1e-6
    for place in np.ndindex(*w.shape):
        moved = np.zeros_like(w)
        moved[place] = step
        gradient[place] = (orthogonal(w + moved, factor, mode) - orthogonal(w - moved, factor, mode)) / (2 * step)
    return gradient


REGULARIZERS = {
    "l1": Truth(lambda w, l1=0.01: penalty(w, l1=l1), lambda w, l1=0.01: penalty_gradient(w, l1=l1)),
    "l2": Truth(lambda w, l2=0.01: penalty(w, l2=l2), lambda w, l2=0.01: penalty_gradient(w, l2=l2)),
    "l1_l2": Truth(penalty, penalty_gradient),
    "orthogonal_regularizer": Truth(orthogonal, orthogonal_gradient),
}
