"""Layers: those with weights, with states, and with random numbers."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import numpy as np

from nbdl import Layer
from nbdl.engine.cpu import lowered, schedule
from nbdl.program.functions import add, same, times
from planted.activations import counting_rows, exponential, swallowing, wrapping
from planted.defect import Defect, Function, entry


def rectified(x: float, a: float) -> float:
    return x if x > 0.0 else a * x


def rectified_dx(dy: float, x: float, a: float) -> float:
    return dy if x > 0.0 else a * dy


def rectified_da(dy: float, x: float) -> float:
    return 0.0 * dy if x > 0.0 else dy * x


class Rectified(Layer):
    def build(self, b: Any, shape: Any) -> Any:
        self.alpha = b.weight("alpha", shape, "zeros")
        return shape

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(rectified, x, self.alpha), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        r.gradient(self.alpha, r.sum(rectified_da, dy, x))
        return r.map(rectified_dx, dy, x, self.alpha)


class Multiply(Layer):
    """A product with a weight; subclasses break it."""

    def __init__(self, width: int = 4) -> None:
        self.width = width

    def build(self, b: Any, shape: Any) -> Any:
        self.w = b.weight("w", (shape[-1], self.width), "glorot_uniform")
        return (self.width,)

    def forward(self, r: Any, x: Any) -> Any:
        return r.gemm(x, self.w), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        r.gradient(self.w, r.gemm(x, dy, transpose_a=True))
        return r.gemm(dy, self.w, transpose_b=True)


class Residual(Multiply):
    def __init__(self) -> None:
        super().__init__()

    def build(self, b: Any, shape: Any) -> Any:
        self.w = b.weight("w", (shape[-1], shape[-1]), "glorot_uniform")
        return shape

    def forward(self, r: Any, x: Any) -> Any:
        kept = r.map(times, x, -1.0)
        return r.map(add, kept, r.gemm(kept, self.w)), kept

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        r.gradient(self.w, r.gemm(saved, dy, transpose_a=True))
        slope = r.map(times, dy, -1.0)
        return r.map(add, slope, r.gemm(slope, self.w, transpose_b=True))


class Transposed(Multiply):
    """Right for square weights only."""

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        r.gradient(self.w, r.gemm(dy, x, transpose_a=True))
        return r.gemm(dy, self.w, transpose_b=True)


class Plain(Layer):
    """Does nothing; subclasses do it wrong."""

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(same, x), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(same, dy)


class SwallowingLayer(Plain):
    def forward(self, r: Any, x: Any) -> Any:
        return r.map(swallowing, x), None


class OverflowingLayer(Plain):
    def forward(self, r: Any, x: Any) -> Any:
        return r.map(exponential, x), None


def dropped(x: float, u: float) -> float:
    return x if u >= 0.4 else 0.0 * x


class Unscaled(Plain):
    """Dropout that forgets to scale."""

    def forward(self, r: Any, x: Any) -> Any:
        if not r.training:
            return r.map(same, x), None
        u = r.uniform(x)
        return r.map(dropped, x, u), u

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(dropped, dy, saved)


class Dice(Plain):
    """Random numbers of its own."""

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(times, x, random.random()), None


class Scaled(Unscaled):
    """Dropout, which makes the variance larger."""

    def forward(self, r: Any, x: Any) -> Any:
        y, u = super().forward(r, x)
        return (r.map(times, y, 1.0 / 0.6) if r.training else y), u

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(times, super().backward(r, x, y, dy, saved), 1.0 / 0.6)


def by_hand(body: Function) -> Function:
    return lambda r, x: r.kernel(body, x, shapes=[x.shape])


def assigning(value: Function) -> type[Plain]:
    """A layer that does nothing but assign a state."""

    class Assigning(Plain):
        def build(self, b: Any, shape: Any) -> Any:
            self.state = b.state("state", shape, "zeros")
            return shape

        def forward(self, r: Any, x: Any) -> Any:
            if r.training:
                r.assign(self.state, r.sum(same, value(r, x)))
            return super().forward(r, x)

    return Assigning


class Slipping(Plain):
    """Takes a rate, and forgets it."""

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = 0.5


class Undocumented(Plain):
    """Does nothing. Source: nowhere."""


def clipped(x: float) -> float:
    return min(max(x, -15.0), 15.0)


class Clipped(Plain):
    """Cuts off beyond 15, and forgets that in the derivative."""

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(clipped, x), None


class Unseeded(Plain):
    """Draws from NumPy's own generator."""

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(times, x, float(np.random.normal())), None


def scaled(a: float, b: float) -> float:
    return a * b + a


def by_the_first(dy: float, b: float) -> float:
    return dy * b + dy


class Two(Layer):
    """a·b + a of two inputs; subclasses break it."""

    takes_several = True

    def build(self, b: Any, shape: Any, other: Any) -> Any:
        return shape

    def forward(self, r: Any, x: Any, other: Any) -> Any:
        return r.map(scaled, x, other), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(by_the_first, dy, x[1]), r.map(times, dy, x[0])


class Swapped(Two):
    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        first, second = super().backward(r, x, y, dy, saved)
        return second, first


class Forgetful(Two):
    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(times, dy, x[1]), r.map(times, dy, x[0])


class Halves(Layer):
    """Cut a row in two; subclasses break it."""

    def build(self, b: Any, shape: Any) -> Any:
        return (shape[-1] // 2,), (shape[-1] - shape[-1] // 2,)

    def forward(self, r: Any, x: Any) -> Any:
        half = x.shape[-1] // 2
        return (r.slice(x, 0, half), r.slice(x, half, x.shape[-1])), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.concat(*dy)


class Crossed(Halves):
    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.concat(*dy[::-1])


def fewer_tiles_for_threads() -> Any:
    """The scheduler cuts another number of tiles where there are threads."""
    chunks = schedule.Partition._chunks

    def fewer(self: Any) -> int:
        return max(1, chunks(self) - (lowered.PARALLEL_STAGE_US == 0.0))

    return mock.patch.object(schedule.Partition, "_chunks", fewer)


RECTIFIED = entry("layers", Rectified, kinks=(0.0,))

HEALTHY = {
    "a layer": RECTIFIED,
    "a layer of two inputs": entry("layers", Two),
    "a layer of two outputs": entry("layers", Halves),
    "a residual layer": entry("layers", Residual),
    "a layer of one output": entry("layers", Multiply, examples=({"width": 1},)),
    "a product": entry("layers", Multiply, examples=({"width": 2},), truth=lambda x, weights, width=4: x @ weights[0]),
}

DEFECTS = [
    Defect("a wrong derivative, right on square shapes only", "derivative", entry("layers", Transposed)),
    Defect("gradients of two inputs in the wrong order", "derivative", entry("layers", Swapped)),
    Defect("a term missing from the gradient of one of two inputs", "derivative", entry("layers", Forgetful)),
    Defect("gradients of two outputs in the wrong order", "derivative", entry("layers", Crossed)),
    Defect("a derivative right at ordinary inputs only", "derivative", entry("layers", Clipped)),
    Defect("NaN that becomes 0 in a layer", "NaN in, NaN out", entry("layers", SwallowingLayer)),
    Defect("a layer that overflows", "finite stays finite", entry("layers", OverflowingLayer)),
    Defect("a number from `random`", "same each time", entry("layers", Dice)),
    Defect("an unseeded number of NumPy's", "same each time", entry("layers", Unseeded)),
    Defect("a constructor that ignores an argument", "arguments matter", entry("layers", Slipping)),
    Defect("dropout that does not scale", "draws only from the stream", entry("layers", Unscaled)),
    Defect(
        "dropout that says it keeps the variance", "draws only from the stream",
        entry("layers", Scaled, self_normalizing=True),
    ),
    Defect(
        "a number from `random` in a state", "same each time",
        entry("layers", assigning(lambda r, x: r.map(times, x, random.random()))),
    ),
    Defect(
        "a state that overflows", "finite stays finite",
        entry("layers", assigning(lambda r, x: r.map(exponential, x))),
    ),
    Defect(
        "integers larger than 64 bits in a state", "compiled is plain Python",
        entry("layers", assigning(by_hand(wrapping))),
    ),
    Defect(
        "a state that depends on the part of a batch", "any partition",
        entry("layers", assigning(by_hand(counting_rows))),
    ),
    Defect(
        "a layer that is not its truth", "is its formula",
        entry("layers", Multiply, truth=lambda x, weights: -x @ weights[0]),
    ),
    Defect("a sum whose parts follow the threads", "same bits on any threads", RECTIFIED, fewer_tiles_for_threads),
    Defect("a docstring without a formula", "documented", entry("layers", Undocumented, doc=Undocumented.__doc__)),
]  # fmt: skip
