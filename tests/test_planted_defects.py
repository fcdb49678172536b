"""Every check of the suite must catch a unit with the defect it is there for, and pass one without."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from nbdl import Activation, Constraint, Initializer, Layer, Loss, Metric, Optimizer, Schedule, elementwise_pair
from nbdl.engine import cpu, schedule
from nbdl.engine.functions import add, per, same, times
from nbdl.errors import ConfigError
from nbdl.initializing import fans
from nbdl.registry import Entry, Registry, registry
from nbdl.testing import Check, check_plugin, check_unit, checks_for, expected_failure, parametrize_with_checks
from nbdl.testing.conduct import host
from nbdl.testing.probe import Probe, forced
from nbdl.testing.suite import checks
from nbdl.testing.truths import Truth
from nbdl.testing.units import fixed, with_values

Function = Callable[..., Any]


def entry(kind: str, *parts: Any, **options: Any) -> Entry:
    """A unit registered in a registry of its own."""
    own = Registry()
    own._loaded = True
    own._registrar(kind)("planted", *parts, **options)
    return own.get(kind, "planted")


DOC = "Something.\n\nFormula: y = something.\n\nSource: nowhere."


# -- units without defects --------------------------------------------------------------------------------


def rectified(x: float, a: float) -> float:
    return x if x > 0.0 else a * x


def rectified_dx(dy: float, x: float, a: float) -> float:
    return dy if x > 0.0 else a * dy


def rectified_da(dy: float, x: float) -> float:
    return 0.0 * dy if x > 0.0 else dy * x


class Rectified(Layer):
    __doc__ = DOC

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


Multiply.__doc__ = DOC


class Residual(Multiply):
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


Residual.__doc__ = DOC


class Body(Activation):
    """An activation by a hand-written body, which subclasses give; its derivative is 1."""

    body: Function

    def forward(self, r: Any, x: Any) -> Any:
        return r.kernel(type(self).body, x, shapes=[x.shape]), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(same, dy)


def pairs(x: Any, y: Any) -> None:
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = x[i, j] * x[i, y.shape[1] + j]


def pairs_dx(x: Any, dy: Any, dx: Any) -> None:
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dx[i, j] = dy[i, j] * x[i, dy.shape[1] + j]
            dx[i, dy.shape[1] + j] = dy[i, j] * x[i, j]


def half_pairs_dx(x: Any, dy: Any, dx: Any) -> None:
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dx[i, j] = dx[i, dy.shape[1] + j] = dy[i, j] * x[i, dy.shape[1] + j]


class Pairs(Activation):
    """An activation that halves an even number of features."""

    derivative: Function = pairs_dx

    def output_shape(self, shape: Any) -> Any:
        if shape[0] % 2:
            raise ConfigError("an even number is needed")
        return (shape[0] // 2,)

    def forward(self, r: Any, x: Any) -> Any:
        return r.kernel(pairs, x, shapes=[(x.features // 2,)]), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.kernel(type(self).derivative, x, dy, shapes=[x.shape])


Pairs.__doc__ = DOC


class HalfPairs(Pairs):
    __doc__ = DOC
    derivative = half_pairs_dx


def with_body(body: Function) -> type[Body]:
    return type("Bodied", (Body,), {"body": staticmethod(body), "__doc__": DOC})


def copying(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j]


def copying_on_cuda(row: int, thread: int, threads: int, x: Any, y: Any) -> None:
    if thread == 0:
        y[row] = x[row]  # right for one feature alone


class WrongOnCuda(Body):
    def forward(self, r: Any, x: Any) -> Any:
        return r.kernel(copying, x, shapes=[x.shape], cuda=copying_on_cuda), None


WrongOnCuda.__doc__ = DOC


def smooth(x: float) -> float:
    """Formula: y = ln(1 + e^x).

    Source: nowhere.
    """
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def smooth_slope(x: float, y: float) -> float:
    return -math.expm1(-y)


def counted(y: float, p: float) -> float:
    """Formula: p - y·ln p, for p above 0.

    Source: nowhere.
    """
    return p - y * math.log(p + 1e-7)


def counted_slope(y: float, p: float) -> float:
    return 1.0 - y / (p + 1e-7)


def not_below_zero(w: float) -> float:
    return w if not w < 0.0 else 0.0


not_below_zero.__doc__ = DOC


def unit_length(w: float, norm: float) -> float:
    return w / max(norm, 1.0)


def square(w: float) -> float:
    return w * w


def root(x: float) -> float:
    return math.sqrt(x)


class Columns(Constraint):
    """Columns no longer than 1: not elementwise."""

    def project(self, r: Any, w: Any) -> Any:
        return r.map(unit_length, w, r.map(root, r.sum(square, w)))


Columns.__doc__ = DOC


def decaying(start: float, share: float) -> type[Schedule]:
    class Decaying(Schedule):
        __doc__ = DOC

        def __init__(self, rate: float = start) -> None:
            self.rate = rate

        def __call__(self, step: int) -> float:
            return self.rate * share**step

    return Decaying


def descend(w: float, g: float, rate: float) -> float:
    return w - rate * g


def with_update(update: Function, *names: str, by: dict[str, float] | None = None) -> type[Optimizer]:
    class Planted(Optimizer):
        __doc__ = DOC
        slots = names

        def __init__(self, learning_rate: float = 0.01) -> None:
            self.learning_rate = learning_rate

        def per_step(self, step: int) -> dict[str, float]:
            return {"rate": self.rate(step), **(by or {})}

        def update_function(self) -> Function:
            return update

    return Planted


class Undecayed(Optimizer):
    """Takes weight_decay for itself, and does nothing with it."""

    def __init__(self, learning_rate: float = 0.01, weight_decay: float | None = None) -> None:
        self.learning_rate, self.kept = learning_rate, weight_decay

    def per_step(self, step: int) -> dict[str, float]:
        return {"rate": self.rate(step)}

    def update_function(self) -> Function:
        return descend


class Counting(Optimizer):
    """Counts its calls, where it should count updates."""

    def __init__(self, learning_rate: float = 0.01) -> None:
        self.learning_rate, self.calls = learning_rate, 0

    def per_step(self, step: int) -> dict[str, float]:
        self.calls += 1
        return {"rate": self.rate(step) * self.calls}

    def update_function(self) -> Function:
        return descend


class Stretched(Schedule):
    """Right step by step; of an array it takes the last step for all."""

    def __call__(self, step: Any) -> Any:
        return 0.1 / (1.0 + np.max(step))


class Narrow(Initializer):
    __doc__ = DOC

    def __call__(self, shape: Any, random: Any) -> Any:
        limit = math.sqrt(3.0 / fans(shape)[0])
        return random.uniform(shape, -limit, limit)


def distance(y: float, p: float) -> float:
    return abs(y - p)


distance.__doc__ = DOC


class Distance(Metric):
    __doc__ = DOC

    def update(self, r: Any, y: Any, p: Any) -> Any:
        return r.mean(distance, y, p)


HEALTHY = {
    "layer": entry("layers", Rectified, kinks=(0.0,)),
    "residual": entry("layers", Residual),
    "product": entry("layers", Multiply, examples=({"width": 2},)),
    "activation": entry("activations", smooth, smooth_slope),
    "hand-written": entry("activations", with_body(copying)),
    "of another width": entry("activations", Pairs),
    "constraint": entry("constraints", not_below_zero),
    "constraint over columns": entry("constraints", Columns),
    "schedule": entry("schedules", decaying(0.1, 0.9)),
    "optimizer": entry("optimizers", with_update(descend)),
    "initializer": entry("initializers", Narrow),
    "metric": entry("metrics", Distance, targets="reals", predictions="reals"),
    "metric of a function": entry("metrics", distance, targets="reals", predictions="reals"),
    "loss of what is positive": entry("losses", counted, counted_slope, targets="positive", predictions="positive"),
}


@pytest.mark.parametrize("name", list(HEALTHY))
def test_units_without_defects_pass(name: str) -> None:
    check_unit(HEALTHY[name])


# -- defects ----------------------------------------------------------------------------------------------


def shifted_slope(x: float, y: float) -> float:
    return 0.999 * -math.expm1(-y)


def cancelling_slope(x: float, y: float) -> float:
    return 1.0 - math.exp(-y)


def naive_smooth(x: float) -> float:
    return math.log(1.0 + math.exp(x))


def swallowing(x: float) -> float:
    return max(0.0, x)


def swallowing_slope(x: float, y: float) -> float:
    return 1.0 if x > 0.0 else 0.0


def exponential(x: float) -> float:
    return math.exp(x)


def exponential_slope(x: float, y: float) -> float:
    return y


def backwards(x: float, y: float) -> float:
    return 40.0 * math.expm1(-y)


class Transposed(Multiply):
    """Right for square weights only."""

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        r.gradient(self.w, r.gemm(dy, x, transpose_a=True))
        return r.gemm(dy, self.w, transpose_b=True)


def wrapping(x: Any, y: Any) -> None:
    number = 1
    for _ in range(60):
        number = number * 3  # more than 64 bits hold, but not more than Python's integers
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] if number // 1099511627776 > 1000000000 else 0.0


def counting_rows(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + i


def changing(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j]
            x[i, j] = 0.0


def swallowing_body(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] if x[i, j] > 0.0 else 0.0


def doubling(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        total = np.float64(0.0)
        for j in range(x.shape[1]):
            total += x[i, j]
            y[i, j] = total


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

    Assigning.__doc__ = DOC
    return Assigning


class LossOf(Loss):
    """A squared error; subclasses break it."""

    def values(self, r: Any, y: Any, p: Any) -> Any:
        return r.mean(squared, y, p)

    def gradient(self, r: Any, y: Any, p: Any) -> Any:
        return r.map(per, r.map(squared_slope, y, p), float(p.features))


def squared(y: float, p: float) -> float:
    return (p - y) * (p - y)


def squared_slope(y: float, p: float) -> float:
    return 2.0 * (p - y)


class NotDivided(LossOf):
    """The gradient of a sum beside the value of a mean."""

    def gradient(self, r: Any, y: Any, p: Any) -> Any:
        return r.map(squared_slope, y, p)


class Uphill(LossOf):
    def gradient(self, r: Any, y: Any, p: Any) -> Any:
        return r.map(times, super().gradient(r, y, p), -1.0)


def swallowed(y: float, p: float) -> float:
    return (max(1e-7, p) - y) ** 2


class SwallowingLoss(LossOf):
    def values(self, r: Any, y: Any, p: Any) -> Any:
        return r.mean(swallowed, y, p)


def bare_logarithm(y: float, p: float) -> float:
    return -y * math.log(p)


def bare_logarithm_slope(y: float, p: float) -> float:
    return -y / p


class NotOfLogits(LossOf):
    """It says that it takes any numbers, and takes their logarithm."""

    from_logits = True

    def values(self, r: Any, y: Any, p: Any) -> Any:
        return r.mean(bare_logarithm, y, p)

    def gradient(self, r: Any, y: Any, p: Any) -> Any:
        return r.share(bare_logarithm_slope, y, p)


def logits(y: float, z: float) -> float:
    return max(z, 0.0) - y * z + math.log1p(math.exp(-abs(z)))


def unstable_logits(y: float, z: float) -> float:
    return math.log(1.0 + math.exp(z)) - y * z


def wrong_logits_slope(y: float, z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) - 0.9 * y


def binary(y: float, p: float) -> float:
    return -(y * math.log(p) + (1.0 - y) * math.log(1.0 - p))


def binary_slope(y: float, p: float) -> float:
    return (p - y) / (p * (1.0 - p))


def penalty(w: float) -> float:
    return w * w


def half_slope(w: float) -> float:
    return w


def twice(w: float) -> float:
    return 2.0 * w


def positive_penalty(w: float) -> float:
    return w if w > 0.0 else 0.0


def step_slope(w: float) -> float:
    return 1.0 if w > 0.0 else 0.0


def inverse(w: float) -> float:
    return 1.0 / w


def swallowing_projection(w: float) -> float:
    return max(0.0, w)


def infinite_projection(w: float) -> float:
    return w * 1e38


def clipping(w: float, g: float, rate: float) -> float:
    return w - rate * max(-1.0, min(1.0, g))


def dividing(w: float, g: float, v: float, rate: float) -> tuple[float, float]:
    v = v + g * g
    return w - rate * g / math.sqrt(v), v


def ascending(w: float, g: float, rate: float) -> float:
    return w + rate * g


def heavy(w: float, g: float, v: float, rate: float) -> tuple[float, float, float]:
    return w - rate * g, v, v


def swapped(w: float, g: float, m: float, v: float, rate: float) -> tuple[float, float, float]:
    m = 0.9 * m + 0.1 * g
    v = 0.99 * v + 0.01 * g * g
    return w - rate * m / (math.sqrt(v) + 1e-3), v, m


def unswapped(w: Any, gradients: Any) -> Any:
    m, v = np.zeros_like(w), np.zeros_like(w)
    for g in gradients:
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        w = w - 0.01 * m / (np.sqrt(v) + 1e-3)
    return w


class Dicing(Initializer):
    def __call__(self, shape: Any, random: Any) -> Any:
        return np.random.default_rng().uniform(-1, 1, shape).astype(np.float32)


class Squarish(Initializer):
    def __call__(self, shape: Any, random: Any) -> Any:
        return random.uniform(shape[::-1], -1.0, 1.0)


class Doubles(Initializer):
    def __call__(self, shape: Any, random: Any) -> Any:
        return random.uniform(shape, -1.0, 1.0).astype(np.float64)


class Choosy(Initializer):
    """For vectors alone."""

    def __call__(self, shape: Any, random: Any) -> Any:
        if len(shape) > 1:
            raise ConfigError("vectors only")
        return random.uniform(shape, -1.0, 1.0)


class Seedless(Initializer):
    def __call__(self, shape: Any, random: Any) -> Any:
        return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


class FanOut(Narrow):
    def __call__(self, shape: Any, random: Any) -> Any:
        return super().__call__(shape[::-1], random).T


class MeanOfMeans(Distance):
    """Divides by the rows of the batch, and again by all rows."""

    def update(self, r: Any, y: Any, p: Any) -> Any:
        return r.map(per, super().update(r, y, p), r.rows)

    def result(self, sums: Any, rows: int) -> float:
        return float(sums[0])


class Squared(Distance):
    def update(self, r: Any, y: Any, p: Any) -> Any:
        return r.mean(squared, y, p)


class Forgetful(Activation):
    """y = scale·x, whose config forgets the scale."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def get_config(self) -> dict[str, Any]:
        return {}

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(times, x, self.scale), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(times, dy, self.scale)


class Misremembering(Forgetful):
    def get_config(self) -> dict[str, Any]:
        return {"scale": 2.0 * self.scale}


class Undocumented(Plain):
    """Does nothing. Source: nowhere."""


PAIR = {"sigmoid": elementwise_pair(logits, wrong_logits_slope)}
UNSTABLE = {"sigmoid": elementwise_pair(unstable_logits, wrong_logits_slope)}
REALS = {"targets": "reals", "predictions": "reals"}

# check, kind, what is registered; a truth where the check compares with one
DEFECTS: list[tuple[str, Entry, Truth | None]] = [
    ("derivative", entry("activations", smooth, shifted_slope), None),
    ("derivative", entry("activations", HalfPairs), None),
    ("derivative", entry("layers", Transposed), None),
    ("CUDA is the CPU", entry("activations", WrongOnCuda), None),
    ("derivative", entry("losses", NotDivided), None),
    ("derivative", entry("losses", binary, binary_slope, pairs=PAIR), None),
    ("derivative", entry("losses", NotOfLogits, predictions="probabilities"), None),
    ("derivative", entry("regularizers", penalty, half_slope), None),
    ("pair is one formula", entry("losses", binary, binary_slope, pairs=PAIR), None),
    ("pair is one formula", entry("losses", binary, binary_slope, pairs=UNSTABLE), None),
    ("accurate in float32", entry("activations", smooth, cancelling_slope), None),
    ("accurate in float32", entry("activations", naive_smooth, smooth_slope), None),
    ("NaN in, NaN out", entry("activations", swallowing, swallowing_slope, kinks=(0.0,)), None),
    ("NaN in, NaN out", entry("activations", with_body(swallowing_body)), None),
    ("NaN in, NaN out", entry("layers", SwallowingLayer), None),
    ("NaN in, NaN out", entry("losses", SwallowingLoss), None),
    ("NaN in, NaN out", entry("regularizers", positive_penalty, step_slope), None),
    ("NaN in, NaN out", entry("constraints", swallowing_projection), None),
    ("NaN in, NaN out", entry("optimizers", with_update(clipping)), None),
    ("finite stays finite", entry("activations", exponential, exponential_slope), None),
    ("finite stays finite", entry("layers", OverflowingLayer), None),
    ("finite stays finite", entry("losses", bare_logarithm, bare_logarithm_slope, predictions="probabilities"), None),
    ("finite stays finite", entry("regularizers", inverse, inverse), None),
    ("finite stays finite", entry("constraints", infinite_projection), None),
    ("finite stays finite", entry("optimizers", with_update(dividing, "v")), None),
    ("float32 only", entry("activations", with_body(doubling)), None),
    ("compiled is plain Python", entry("activations", with_body(wrapping)), None),
    ("any batch size", entry("activations", with_body(counting_rows)), None),
    ("any partition", entry("activations", with_body(counting_rows)), None),
    ("inputs are left alone", entry("activations", with_body(changing)), None),
    ("documented", entry("layers", Undocumented), None),
    ("config comes back", entry("activations", Forgetful, examples=({"scale": 3.0},)), None),
    ("config comes back", entry("activations", Misremembering), None),
    ("same each time", entry("layers", Dice), None),
    ("draws only from the stream", entry("layers", Unscaled), None),
    ("draws only from the stream", entry("layers", Scaled, self_normalizing=True), None),
    ("same each time", entry("layers", assigning(lambda r, x: r.map(times, x, random.random()))), None),
    ("finite stays finite", entry("layers", assigning(lambda r, x: r.map(exponential, x))), None),
    ("compiled is plain Python", entry("layers", assigning(by_hand(wrapping))), None),
    ("any partition", entry("layers", assigning(by_hand(counting_rows))), None),
    ("initial values", entry("initializers", Dicing), None),
    ("initial values", entry("initializers", Squarish), None),
    ("initial values", entry("initializers", Choosy), None),
    ("initial values", entry("initializers", Doubles), None),
    ("initial values", entry("initializers", Seedless), None),
    ("trains", entry("activations", smooth, backwards), None),
    ("trains", entry("losses", Uphill), None),
    ("trains", entry("optimizers", with_update(ascending)), None),
    ("descends", entry("optimizers", with_update(ascending)), None),
    ("slots come back", entry("optimizers", with_update(heavy, "v")), None),
    ("slots come back", entry("optimizers", with_update(descend, by={"x": math.nan})), None),
    ("any batches, one figure", entry("metrics", MeanOfMeans, **REALS), None),
    ("takes the common arguments", entry("optimizers", Undecayed), None),
    ("takes the common arguments", entry("optimizers", Counting), None),
    ("a rate for each step", entry("schedules", Stretched), None),
    ("a rate for each step", entry("schedules", decaying(-0.1, 0.9)), None),
    ("a rate for each step", entry("schedules", decaying(0.1, 2.0)), None),
    ("is its formula", entry("activations", exponential, exponential_slope), Truth(lambda x: np.exp(x) - 1e-3)),
    ("is its formula", entry("losses", NotDivided),
     Truth(lambda y, p: ((p - y) ** 2).mean(axis=1), lambda y, p: 2 * (p - y) / p.shape[1])),
    ("is its formula", entry("regularizers", penalty, half_slope),
     Truth(lambda w: (w**2).sum(), lambda w: 2 * w)),
    ("is its formula", entry("constraints", not_below_zero), Truth(np.abs)),
    ("is its formula", entry("layers", Multiply), Truth(lambda x, weights: -x @ weights[0])),
    ("is its formula", entry("optimizers", with_update(swapped, "m", "v")), Truth(unswapped)),
    ("is its formula", entry("metrics", Squared, **REALS), Truth(lambda y, p: np.abs(y - p).mean())),
    ("is its formula", entry("initializers", FanOut),
     Truth(lambda shape: (-math.sqrt(3 / shape[0]), math.sqrt(3 / shape[0]), 0.0, 1 / shape[0]))),
]  # fmt: skip


def named(planted: Entry, name: str) -> Check:
    return next(check for check in checks_for(planted) if check.name == name)


@pytest.mark.parametrize(
    ("name", "planted", "truth"), DEFECTS, ids=[f"{number} {d[1].kind}: {d[0]}" for number, d in enumerate(DEFECTS)]
)
def test_a_planted_defect_is_caught(name: str, planted: Entry, truth: Truth | None) -> None:
    truths = None if truth is None else {(planted.kind, planted.name): truth}
    with pytest.raises(AssertionError, match=name):
        named(planted, name)(planted, truths)


def test_right_slots_are_not_caught() -> None:
    def update(w: float, g: float, m: float, v: float, rate: float) -> tuple[float, float, float]:
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g * g
        return w - rate * m / (math.sqrt(v) + 1e-3), m, v

    right = entry("optimizers", with_update(update, "m", "v"))
    named(right, "is its formula")(right, {("optimizers", "planted"): Truth(unswapped)})


def test_tiles_that_follow_the_threads_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    planted, chunks = HEALTHY["layer"], schedule.Partition._chunks  # its gradient is a sum over the rows
    check = named(planted, "same bits on any threads")
    check(planted)

    def fewer(self: Any) -> int:
        return max(1, chunks(self) - (cpu.PARALLEL_STAGE_US == 0.0))

    monkeypatch.setattr(schedule.Partition, "_chunks", fewer)
    with pytest.raises(AssertionError, match="same bits on any threads"):
        check(planted)


def test_writing_over_what_other_tiles_read_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(256, 96)).astype(np.float32)
    weight = fixed("w", np.ones((96, 96), np.float32))

    def record(r: Any, t: Any) -> Any:
        kept = r.map(times, t[0], -1.0)
        return r.map(times, r.map(add, kept, r.gemm(kept, weight.tensor)), 2.0)

    def right() -> bool:
        made = with_values(Probe("residual", record, [x], [weight]))
        with forced("tiles"):
            return np.array_equal(made.run("compiled").output, made.run("plain").output)

    assert right()
    monkeypatch.setattr(schedule._Allocation, "_only_own_parts", lambda *_: True)
    assert not right()


@pytest.fixture
def own_names() -> Iterator[None]:
    """Whatever a test registers is forgotten after it."""
    registry.load()
    before = copy.copy(registry.__dict__)
    registry._entries = {kind: dict(known) for kind, known in registry._entries.items()}
    registry._names = {kind: dict(known) for kind, known in registry._names.items()}
    yield
    registry._entries, registry._names = before["_entries"], before["_names"]


@pytest.mark.usefixtures("own_names")
def test_a_file_that_forgets_is_caught() -> None:
    for unit, caught in ((Forgetful, True), (with_body(copying), False)):
        unit = type("Registered", (unit,), {})
        name = "planted_forgetful" if caught else "planted_faithful"
        options: dict[str, Any] = {"examples": ({"scale": 3.0},)} if caught else {}
        registry._registrar("activations")(name, unit, **options)
        planted = registry.get("activations", name)
        check = named(planted, "comes back from a file")
        if caught:
            with pytest.raises(AssertionError, match="comes back from a file"):
                check(planted)
        else:
            check(planted)


def test_every_check_has_a_planted_defect() -> None:
    caught = {named(planted, name).function for name, planted, _ in DEFECTS}
    elsewhere = {"same bits on any threads", "comes back from a file"}  # by the tests above
    missing = [
        f"{check.name} of {check.kinds[0]}"
        for check in checks()
        if check.function not in caught and check.name not in elsewhere
    ]
    assert not missing


# -- the suite's own doors --------------------------------------------------------------------------------


def test_check_unit_says_all_that_is_wrong() -> None:
    with pytest.raises(AssertionError) as caught:
        check_unit(entry("layers", Dice))
    text = str(caught.value)
    assert "documented" in text
    assert "same each time" in text
    assert "layers planted()" in text


def test_expected_failures() -> None:
    failures = {"draws only from the stream": "on purpose", "documented": "lazy"}
    known = entry("layers", Unscaled, expected_failures=failures)
    check = named(known, "draws only from the stream")
    assert expected_failure(known, check) == "on purpose"
    check_unit(known)
    mended = entry("activations", smooth, smooth_slope, expected_failures={"derivative": "was wrong"})
    with pytest.raises(AssertionError, match="passes, though an expected failure is registered"):
        check_unit(mended)
    marks = parametrize_with_checks([known]).args[1]
    assert {parameter.values[1].name for parameter in marks if parameter.marks} == {
        "draws only from the stream",
        "documented",
    }


def test_a_unit_that_needs_arguments_must_have_examples() -> None:
    class Needy(Plain):
        def __init__(self, size: int) -> None:
            self.size = size

    with pytest.raises(AssertionError, match="needs size: register it with examples"):
        check_unit(entry("layers", Needy))


def test_an_unknown_distribution_is_named() -> None:
    with pytest.raises(AssertionError, match="nobody-wrote-this"):
        check_plugin("nobody-wrote-this")


def test_units_for_files_are_found_by_role() -> None:
    for kind in ("activations", "regularizers", "initializers", "constraints"):
        found, argument = host(kind)
        assert argument.endswith(kind.removesuffix("s"))
        assert found.options["examples"]
