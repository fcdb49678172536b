"""What several truths are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
EPSILON = 1e-7


def one_hot(labels: Array, classes: int) -> Array:
    return np.eye(classes)[labels.reshape(-1).astype(int)]


def clipped(p: Array) -> Array:
    return np.clip(p, EPSILON, 1 - EPSILON)
