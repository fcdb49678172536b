"""Layers that move numbers: Reshape, Permute, RepeatVector, Embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from naive.common import Array
from nbdl.testing.truths import Truth


def embedded(x: Array, weights: list[Array], **arguments: Any) -> Array:
    return np.stack([[weights[0][int(number)] for number in row] for row in x.reshape(len(x), -1)])


SHAPES = {
    "Reshape": Truth(lambda x, weights, target_shape: x.reshape(len(x), *target_shape)),
    "Permute": Truth(lambda x, weights, dims: np.transpose(x, (0, *dims))),
    "RepeatVector": Truth(lambda x, weights, n: np.stack([x] * n, axis=1)),
    "Embedding": Truth(embedded),
}
