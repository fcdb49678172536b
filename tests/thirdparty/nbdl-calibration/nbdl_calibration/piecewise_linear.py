"""Calibration: each feature through a piecewise-linear curve of its own, with kernels written by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl import Builder, Recorder, Tensor
    from nbdl.program import Shape


# Kernel bodies: plain functions over arrays, of some rows of the batch or of some rows of a result; `nbdl.kernels` says
# what they may do. Below each is the same for a GPU, where arrays are flat and all threads of a block share a row.


def share(x: float, low: float, high: float) -> float:
    """How much of the way from low to high x has gone: 0 before it, 1 behind it."""
    return min(max((x - low) / (high - low), 0.0), 1.0)


def interpolate(x: Any, keypoints: Any, values: Any, sizes: Any, y: Any, segments: Any) -> None:
    """y, and the number of the segment in which each x lies: the first or last for an x that is outside."""
    last = keypoints.shape[0] - 2
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            at = 0
            while at < last and x[i, j] >= keypoints[at + 1, 0]:
                at += 1
            part = share(x[i, j], keypoints[at, 0], keypoints[at + 1, 0])
            y[i, j] = values[j, at] + part * (values[j, at + 1] - values[j, at])
            segments[i, j] = float(at)


def interpolate_cuda(
    row: int, thread: int, threads: int,
    x: Any, keypoints: Any, values: Any, sizes: Any, y: Any, segments: Any,
) -> None:  # fmt: skip
    features, count = int(sizes[0]), int(sizes[1])
    j = thread
    while j < features:
        e, at = row * features + j, 0
        while at < count - 2 and x[e] >= keypoints[at + 1]:
            at += 1
        part, v = share(x[e], keypoints[at], keypoints[at + 1]), j * count + at
        y[e] = values[v] + part * (values[v + 1] - values[v])
        segments[e] = float(at)
        j += threads


def slope(x: float, low: float, high: float, first: float, second: float) -> float:
    """The derivative of a segment; outside the keypoints the curve is level."""
    return 0.0 if x < low or x > high else (second - first) / (high - low)


def differentiate(x: Any, segments: Any, keypoints: Any, values: Any, sizes: Any, dy: Any, dx: Any) -> None:
    """dx."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            at = int(segments[i, j])
            low, high = keypoints[at, 0], keypoints[at + 1, 0]
            dx[i, j] = dy[i, j] * slope(x[i, j], low, high, values[j, at], values[j, at + 1])


def differentiate_cuda(
    row: int, thread: int, threads: int,
    x: Any, segments: Any, keypoints: Any, values: Any, sizes: Any, dy: Any, dx: Any,
) -> None:  # fmt: skip
    features, count = int(sizes[0]), int(sizes[1])
    j = thread
    while j < features:
        e = row * features + j
        at = int(segments[e])
        v = j * count + at
        dx[e] = dy[e] * slope(x[e], keypoints[at], keypoints[at + 1], values[v], values[v + 1])
        j += threads


def add_up(x: Any, segments: Any, keypoints: Any, sizes: Any, dy: Any, gradient: Any, first: int) -> None:
    """The gradient of the values, for the features from `first` on: over all rows, in the order of the batch."""
    for j in range(gradient.shape[0]):
        for k in range(gradient.shape[1]):
            gradient[j, k] = 0.0
    for i in range(x.shape[0]):
        for j in range(gradient.shape[0]):
            feature = first + j
            at = int(segments[i, feature])
            part = share(x[i, feature], keypoints[at, 0], keypoints[at + 1, 0])
            gradient[j, at] += dy[i, feature] * (1.0 - part)
            gradient[j, at + 1] += dy[i, feature] * part


def add_up_cuda(
    first: int, end: int, rows: int, thread: int, threads: int,
    x: Any, segments: Any, keypoints: Any, sizes: Any, dy: Any, gradient: Any,
) -> None:  # fmt: skip
    features, count = int(sizes[0]), int(sizes[1])
    j = first + thread
    while j < end:
        for k in range(count):
            gradient[j * count + k] = 0.0
        for row in range(rows):
            e = row * features + j
            at = int(segments[e])
            part, g = share(x[e], keypoints[at], keypoints[at + 1]), j * count + at
            gradient[g] += dy[e] * (1.0 - part)
            gradient[g + 1] += dy[e] * part
        j += threads


class PiecewiseLinear(Layer):
    """Each feature through a learned curve: straight lines between keypoints, level outside them.

    Formula: y[j] = v[j, k] + (v[j, k+1] - v[j, k])·t with t = (x[j] - p[k])/(p[k+1] - p[k]) for p[k] ≤ x[j] ≤ p[k+1];
    y[j] = v[j, first] below the first keypoint, v[j, last] above the last. v has the shape (features, keypoints).

    Args:
        keypoints: p, where the curve may bend: two numbers or more, in ascending order, the same for all features.
        values_initializer: first values of v.
        values_regularizer: penalty on v, added to the loss.
        values_constraint: projection of v after each update.

    Inputs need not be scaled, as long as the keypoints span them. At a keypoint the derivative is that of the segment
    above it.

    Raises:
        ConfigError: there are less than two keypoints, or they do not ascend.

    Source: Gupta et al. 2016, Monotonic Calibrated Interpolated Look-Up Tables; TensorFlow Lattice, PWLCalibration.

    >>> import numpy as np, nbdl
    >>> model = nbdl.Sequential([PiecewiseLinear([0.0, 1.0, 3.0], input_dim=1)])
    >>> model.set_weights([np.array([[10.0, 20.0, 0.0]])])
    >>> model.predict([[-1.0], [0.5], [2.0]]).tolist()
    [[10.0], [15.0], [10.0]]
    """

    def __init__(
        self,
        keypoints: Sequence[float],
        values_initializer: Any = "glorot_uniform",
        values_regularizer: Any = None,
        values_constraint: Any = None,
    ) -> None:
        self.keypoints = [float(point) for point in keypoints]
        ascending = all(low < high for low, high in pairwise(self.keypoints))
        if len(self.keypoints) < 2 or not ascending or not all(map(math.isfinite, self.keypoints)):
            raise ConfigError(f"PiecewiseLinear: keypoints are two numbers or more, ascending, got {self.keypoints}")
        self.values_initializer = self.unit("initializers", values_initializer)
        self.values_regularizer = self.unit("regularizers", values_regularizer)
        self.values_constraint = self.unit("constraints", values_constraint)

    def build(self, b: Builder, shape: Shape) -> Shape:
        self.values = b.weight(
            "values",
            (math.prod(shape), len(self.keypoints)),
            self.values_initializer,
            self.values_regularizer,
            self.values_constraint,
        )
        return shape

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        operands = r.table(self.keypoints), self.values, r.table(self.values.shape)
        y, segments = r.kernel(
            interpolate, x, *operands, shapes=[x.shape, x.shape], name="interpolate", cuda=interpolate_cuda
        )
        return y, segments

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        keypoints, sizes = r.table(self.keypoints), r.table(self.values.shape)
        gradient = r.kernel(
            add_up, x, saved, keypoints, sizes, dy,
            shapes=[self.values.shape], rows=False, name="add up", cuda=add_up_cuda,
            reduction="sum",
        )  # fmt: skip
        r.gradient(self.values, gradient)
        dx: Tensor = r.kernel(
            differentiate, x, saved, keypoints, self.values, sizes, dy,
            shapes=[x.shape], name="differentiate", cuda=differentiate_cuda,
        )  # fmt: skip
        return dx


KEYPOINTS = (-1.25, -0.25, 0.5, 1.5)


@hookimpl
def register_layers(register: Any) -> None:
    register(
        "PiecewiseLinear",
        PiecewiseLinear,
        examples=({"keypoints": KEYPOINTS}, {"keypoints": KEYPOINTS, "values_constraint": "unit_norm"}),
        kinks=KEYPOINTS,
    )
