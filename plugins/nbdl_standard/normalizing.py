"""What normalising layers share: their formulas, and the axes that they go over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.program import same

if TYPE_CHECKING:
    from nbdl import Layer
    from nbdl.program import Recorder, Shape, Tensor


def distance_squared(x: float, mean: float) -> float:
    return (x - mean) * (x - mean)


def reciprocal_root(variance: float, epsilon: float) -> float:
    return 1.0 / math.sqrt(variance + epsilon)


def normalized(x: float, mean: float, inverse: float, gamma: float, beta: float) -> float:
    return (x - mean) * inverse * gamma + beta


def normalized_slope(dy: float, x: float, mean: float, inverse: float) -> float:
    return dy * ((x - mean) * inverse)


def normalized_slope_scaled(dy: float, x: float, mean: float, inverse: float, gamma: float) -> float:
    return dy * gamma * ((x - mean) * inverse)


def input_gradient(
    dy: float, x: float, mean: float, inverse: float, gamma: float, mean_dy: float, mean_slope: float
) -> float:
    # The statistics follow x: a constant and a multiple of the normalised x are taken out of dy·gamma.
    return inverse * (dy * gamma - mean_dy - (x - mean) * inverse * mean_slope)


def axes_of(layer: Layer, axis: Any, shape: Shape) -> tuple[int, ...]:
    """Return the axes of a row, counted from 0, that Keras's `axis` names, where the rows are axis 0.

    Raises:
        ConfigError: `axis` is not an integer or a list of them, there is no such axis, or one is named twice.
    """
    count, found = len(shape) + 1, set[int]()
    who = f"{type(layer).__name__} {layer.name!r}"
    for one in axis if isinstance(axis, Sequence) and not isinstance(axis, str) else [axis]:
        if isinstance(one, bool) or not hasattr(one, "__index__"):
            raise ConfigError(f"{who}: axis is an integer or a list of integers, got {axis!r}")
        if not -count < one < count or one == 0:
            raise ConfigError(
                f"{who}: axis={axis!r} is none of an input of shape "
                f"(None, {', '.join(map(str, shape))}), where the rows are axis 0"
            )
        place = (one if one > 0 else one + count) - 1
        if place in found:
            raise ConfigError(f"{who}: axis={axis!r} names axis {place + 1} twice")
        found.add(place)
    return tuple(sorted(found))


def whole_rows(layer: Layer, axis: Any, shape: Shape) -> None:
    """Refuse an `axis` that leaves some of a row's axes out.

    Raises:
        ConfigError: it does.
    """
    if len(axes_of(layer, axis, shape)) != len(shape):
        raise ConfigError(
            f"{type(layer).__name__} {layer.name!r} normalises whole rows, and axis={axis!r} is a part of rows of "
            f"shape {shape}: add Flatten() before it, or give axis={list(range(1, len(shape) + 1))}"
        )


def over_all_features(r: Recorder, vector: Tensor, shape: Shape) -> Tensor:
    """A vector for the last axis, repeated over the axes before it: one value for each feature of a row."""
    from nbdl.program import Tensor

    features = math.prod(shape)
    if vector.features == features:
        return vector
    empty = r.map(_nothing, Tensor((features,), False, "index", "column"))
    grid = r.map(_second, r.reshape(empty, (features // vector.features, vector.features)), vector)
    return r.reshape(grid, (features,))


def _nothing(column: float) -> float:
    return 0.0 * column


def _second(nothing: float, b: float) -> float:
    return nothing + b


def total(r: Recorder, function: Any, x: Tensor, *operands: Tensor) -> Tensor:
    """The sum of a scalar function over the rows and all axes but the last: a vector for the last axis."""
    by_feature = r.sum(function, x, *operands)
    last = x.shape[-1]
    return by_feature if by_feature.features == last else r.sum(same, r.reshape(by_feature, (x.features // last, last)))
