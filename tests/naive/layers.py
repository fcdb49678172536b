"""Layers: y in inference of x and the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from naive.activations import ACTIVATIONS
from naive.common import Array
from naive.shapes import SHAPES
from nbdl.testing.truths import Truth


def dense(x: Array, weights: list[Array], units: int, activation: Any = None, use_bias: bool = True) -> Array:
    z = x @ weights[0] + (weights[1] if use_bias else 0.0)
    return z if activation is None else ACTIVATIONS[activation].value(z)


def dot(x: Array, weights: list[Array], axes: Any, normalize: bool = False) -> Array:
    length = np.sqrt((x**2).sum(axis=-1, keepdims=True)) if normalize else 1.0
    first, second = np.moveaxis(x / length, 1, 0)
    return np.asarray((first * second).sum(axis=-1, keepdims=True))


def normalized(x: Array, mean: Any, variance: Any, epsilon: float, gamma: Any = 1.0, beta: Any = 0.0) -> Array:
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def batch_normalization(
    x: Array, weights: list[Array], epsilon: float = 1e-3, center: bool = True, scale: bool = True, **others: Any
) -> Array:
    *trained, mean, variance = weights
    gamma = trained.pop(0) if scale else 1.0
    return normalized(x, mean, variance, epsilon, gamma, trained[0] if center else 0.0)


def layer_normalization(
    x: Array, weights: list[Array], epsilon: float = 1e-3, center: bool = True, scale: bool = True, **others: Any
) -> Array:
    gamma, beta = weights[0] if scale else 1.0, weights[-1] if center else 0.0
    axes = tuple(range(1, x.ndim))
    return normalized(x, x.mean(axes, keepdims=True), x.var(axes, keepdims=True), epsilon, gamma, beta)


def rms_normalization(x: Array, weights: list[Array], epsilon: float = 1e-6, **others: Any) -> Array:
    return normalized(x, 0.0, (x**2).mean(tuple(range(1, x.ndim)), keepdims=True), epsilon, weights[0])


def normalization(
    x: Array, weights: list[Array], mean: Any = 0, variance: Any = 1, invert: bool = False, **_: Any
) -> Array:
    deviation = np.sqrt(variance)
    return np.array(mean) + x * deviation if invert else (x - mean) / deviation


def maxout_dense(x: Array, weights: list[Array], units: int, nb_feature: int = 4, use_bias: bool = True) -> Array:
    biases = weights[1::2] if use_bias else [np.zeros(units)] * nb_feature
    return np.max([x @ w + b for w, b in zip(weights[:: 1 + use_bias], biases, strict=True)], axis=0)


LAYERS = {
    **SHAPES,
    "Add": Truth(lambda x, weights: x[:, 0] + x[:, 1]),  # of several inputs, which lie along the second axis
    "Subtract": Truth(lambda x, weights: x[:, 0] - x[:, 1]),
    "Multiply": Truth(lambda x, weights: x[:, 0] * x[:, 1]),
    "Average": Truth(lambda x, weights: x.mean(axis=1)),
    "Maximum": Truth(lambda x, weights: x.max(axis=1)),
    "Minimum": Truth(lambda x, weights: x.min(axis=1)),
    "Concatenate": Truth(lambda x, weights, axis=-1: np.concatenate([x[:, 0], x[:, 1]], axis)),
    "Dot": Truth(dot),
    "Lambda": Truth(lambda x, weights, function: ACTIVATIONS[function].value(x[:, 0])),
    "Dense": Truth(dense),
    "Flatten": Truth(lambda x, weights: x.reshape(len(x), -1)),
    "Activation": Truth(lambda x, weights, activation: ACTIVATIONS[activation].value(x)),
    "ReLU": Truth(lambda x, weights, **arguments: ACTIVATIONS["relu"].value(x, **arguments)),
    "LeakyReLU": Truth(lambda x, weights: ACTIVATIONS["leaky_relu"].value(x, negative_slope=0.3)),
    "PReLU": Truth(lambda x, weights, **arguments: np.where(x > 0, x, weights[0] * x)),
    "ELU": Truth(lambda x, weights, **arguments: ACTIVATIONS["elu"].value(x, **arguments)),
    "Softmax": Truth(lambda x, weights: ACTIVATIONS["softmax"].value(x)),
    "Input": Truth(lambda x, weights, shape: x),
    "Identity": Truth(lambda x, weights: x),
    "ThresholdedReLU": Truth(lambda x, weights: np.where(x > 1.0, x, 0.0)),
    "ActivityRegularization": Truth(lambda x, weights, l1=0.0, l2=0.0: x),
    "Dropout": Truth(lambda x, weights, rate, scaling="inverted": x if scaling == "inverted" else x * (1 - rate)),
    "BatchNormalization": Truth(batch_normalization),
    "LayerNormalization": Truth(layer_normalization),
    "RMSNormalization": Truth(rms_normalization),
    "UnitNormalization": Truth(lambda x, weights: x / np.linalg.norm(x, axis=1, keepdims=True)),
    "Normalization": Truth(normalization),
    "Rescaling": Truth(lambda x, weights, scale, offset=0.0: x * scale + offset),
    "GaussianNoise": Truth(lambda x, weights, stddev: x),
    "GaussianDropout": Truth(lambda x, weights, rate: x),
    "AlphaDropout": Truth(lambda x, weights, rate: x),
    "MaxoutDense": Truth(maxout_dense),
}
