"""Layers: y in inference of x and the weights."""

from __future__ import annotations

from typing import Any

from naive.activations import ACTIVATIONS
from naive.common import Array
from nbdl.testing.truths import Truth


def dense(x: Array, weights: list[Array], units: int, activation: Any = None, use_bias: bool = True) -> Array:
    z = x @ weights[0] + (weights[1] if use_bias else 0.0)
    return z if activation is None else ACTIVATIONS[activation].value(z)


LAYERS = {
    "Dense": Truth(dense),
    "Flatten": Truth(lambda x, weights: x.reshape(len(x), -1)),
    "Activation": Truth(lambda x, weights, activation: ACTIVATIONS[activation].value(x)),
    "Input": Truth(lambda x, weights, shape: x),
    "Dropout": Truth(lambda x, weights, rate, scaling="inverted": x if scaling == "inverted" else x * (1 - rate)),
}
