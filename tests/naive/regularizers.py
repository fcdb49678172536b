"""Regularizers: a number of w, and its derivative."""

from __future__ import annotations

import numpy as np

from naive.common import Array
from nbdl.testing.truths import Truth


def penalty(w: Array, l1: float = 0.0, l2: float = 0.0) -> float:
    return l1 * float(np.abs(w).sum()) + l2 * float((w**2).sum())


def penalty_gradient(w: Array, l1: float = 0.0, l2: float = 0.0) -> Array:
    return l1 * np.sign(w) + 2 * l2 * w


REGULARIZERS = {
    "l1": Truth(lambda w, l1=0.01: penalty(w, l1=l1), lambda w, l1=0.01: penalty_gradient(w, l1=l1)),
    "l2": Truth(lambda w, l2=0.01: penalty(w, l2=l2), lambda w, l2=0.01: penalty_gradient(w, l2=l2)),
    "l1_l2": Truth(penalty, penalty_gradient),
}
