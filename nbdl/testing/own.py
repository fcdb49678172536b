"""The suite's own units, so that it needs no plugin: what nets are made of around the unit under test."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nbdl.program.functions import same
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.testing.probe import Array
from nbdl.units.activation import Activation
from nbdl.units.builder import Builder
from nbdl.units.initializer import Initializer
from nbdl.units.layer import Layer, Shape
from nbdl.units.loss import Loss
from nbdl.units.optimizer import Optimizer
from nbdl.units.schedule import Schedule


class Spread(Initializer):
    """Small random values."""

    def __call__(self, shape: Shape, random: Any) -> Array:
        return np.asarray(random.uniform(shape, -0.5, 0.5))


class Product(Layer):
    """x·W + b."""

    def __init__(self, width: int, follow: Any = None, **units: Any) -> None:
        self.width, self.activation, self.units = width, follow, units

    def build(self, b: Builder, shape: Shape) -> Shape:
        units = {"initializer": Spread(), **self.units}
        self.w = b.weight("w", (math.prod(shape), self.width), **units)
        self.b = b.weight("b", (self.width,), Spread())
        return (self.width,)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.gemm(x, self.w, bias=self.b), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        r.gradient(self.w, r.gemm(x, dy, transpose_a=True))
        r.gradient(self.b, r.sum(same, dy))
        return r.gemm(dy, self.w, transpose_b=True)


def _square(y: float, p: float) -> float:
    return (p - y) * (p - y)


def _slope(y: float, p: float) -> float:
    return 2.0 * (p - y)


class Squares(Loss):
    """The mean of squares."""

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.mean(_square, y, p)

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(_slope, y, p)


class Squashed(Activation):
    """1/(1 + e^-x), for losses that take probabilities or what is positive."""

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.map(_squash, x), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.map(_squash_slope, y, dy)


def _squash(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def _squash_slope(y: float, dy: float) -> float:
    return dy * y * (1.0 - y)


class Descent(Optimizer):
    """w - rate·g."""

    def __init__(self, learning_rate: float = 0.05) -> None:
        self.learning_rate = learning_rate

    def per_step(self, step: int) -> dict[str, float]:
        return {"rate": self.rate(step)}

    def update_function(self) -> Callable[..., Any]:
        return _descend


class Bounded(Descent):
    """Steps of the rate at most, for losses with slopes of any size."""

    def update_function(self) -> Callable[..., Any]:
        return _bounded


def _bounded(w: float, g: float, rate: float) -> float:
    return w - rate * g / (1.0 + abs(g))


class Falling(Schedule):
    """A rate that falls."""

    def __call__(self, step: int) -> float:
        return 0.1 / (1.0 + step)


def _descend(w: float, g: float, rate: float) -> float:
    return w - rate * g
