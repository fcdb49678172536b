"""Activations: scalar functions and hand-written bodies."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace
from typing import Any

import numpy as np

from nbdl import Activation
from nbdl.errors import ConfigError
from nbdl.program.functions import same, times
from nbdl.units.entry import Owner
from planted import shared
from planted.defect import Defect, Function, Registered, entry


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


class HalfPairs(Pairs):
    derivative = half_pairs_dx


def first_eight(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] if j < 8 else 0.0


def leaking(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + 0.0 * x[max(i - 1, 0), j]


def adding_to(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] += x[i, j]


def gap_slope(x: float, y: float) -> float:
    return 0.0 if 5.0 < x < 15.0 else -math.expm1(-y)


def with_body(body: Function) -> type[Body]:
    return type("Bodied", (Body,), {"body": staticmethod(body)})


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


def smooth(x: float) -> float:
    """Formula: y = ln(1 + e^x).

    Source: nowhere.
    """
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def smooth_slope(x: float, y: float) -> float:
    return -math.expm1(-y)


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


def signed_square(x: float) -> float:
    return x * abs(x)


def twice_x(x: float, y: float) -> float:
    return 2.0 * x


def cut_off_slope(x: float, y: float) -> float:
    return -math.expm1(-y) if abs(x) < 16.0 else 0.0


def carrying_on(x: Any, y: Any) -> None:
    total = x[0, 0] * 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total += x[i, j]
            y[i, j] = x[i, j] + 0.1 * total


def sharing(x: Any, y: Any) -> None:
    whole = x.shape[0] // x.shape[0]
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] * whole


class Steep(Activation):
    """y = slope·x, whose config loses the slope where it is the default."""

    def __init__(self, slope: float = 1.0) -> None:
        self.slope = slope

    def get_config(self) -> dict[str, Any]:
        return {} if self.slope == 1.0 else {"slope": self.slope}

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(times, x, self.slope), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(times, dy, self.slope)


class Bare(Activation):
    def forward(self, r: Any, x: Any) -> Any:
        return r.map(same, x), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(same, dy)


def bent(x: float, alpha: float = 1.0) -> float:
    return x if x > 0.0 else alpha * math.expm1(x)


def bent_slope(x: float, y: float, alpha: float = 1.0) -> float:
    return 1.0 if x > 0.0 else y + alpha


def unbent_slope(x: float, y: float, alpha: float = 1.0) -> float:
    return 1.0 if x > 0.0 else y + 1.0


class Constant(Forgetful):
    def get_config(self) -> dict[str, Any]:
        return {"scale": 1.0}


def reaching(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] + (0.0 * x[i, j + 1] if j >= 32 else 0.0)


class ForwardOnCuda(WrongOnCuda):
    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.kernel(copying, dy, shapes=[x.shape])


def bodied(body: Function) -> Any:
    return entry("activations", with_body(body))


SMOOTH = entry("activations", smooth, smooth_slope)
TWICE = entry("activations", shared.f, shared.df, name="planted_twice", doc=inspect.getdoc(shared))
THRICE = entry("activations", shared.other, shared.other_slope, doc=inspect.getdoc(shared))
FORGETFUL = entry("activations", type("Kept", (Forgetful,), {}), name="planted_forgetful", examples=({"scale": 3.0},))

HEALTHY = {
    "an activation of two functions": SMOOTH,
    "an activation with its module's docstring": TWICE,
    "an activation with a body": bodied(copying),
    "an activation of another width": entry("activations", Pairs),
    "an activation with an argument": entry("activations", bent, bent_slope),
    "an activation with a truth": entry("activations", with_body(copying), truth=lambda x: x),
}

DEFECTS = [
    Defect("a derivative that is 0.1 % off", "derivative", entry("activations", smooth, shifted_slope)),
    Defect("a derivative right for positive inputs only", "derivative", entry("activations", signed_square, twice_x)),
    Defect("a derivative right for the default alone", "derivative", entry("activations", bent, unbent_slope)),
    Defect("a derivative cut off at large inputs", "derivative", entry("activations", smooth, cut_off_slope)),
    Defect("a derivative that is 0 between 5 and 15", "derivative", entry("activations", smooth, gap_slope)),
    Defect("a derivative right for eight features only", "derivative", bodied(first_eight)),
    Defect("NaN that leaks into the next row", "NaN in, NaN out", bodied(leaking)),
    Defect("a derivative for half of the inputs", "derivative", entry("activations", HalfPairs)),
    Defect(
        "softplus's derivative as 1 - exp(-y)", "accurate in float32", entry("activations", smooth, cancelling_slope)
    ),
    Defect("ln(1 + exp(x)) as it is written", "accurate in float32", entry("activations", naive_smooth, smooth_slope)),
    Defect(
        "NaN that becomes 0", "NaN in, NaN out", entry("activations", swallowing, swallowing_slope, kinks=(0.0,))
    ),
    Defect("NaN that becomes 0 in a body", "NaN in, NaN out", bodied(swallowing_body)),
    Defect("exp(x), which overflows", "finite stays finite", entry("activations", exponential, exponential_slope)),
    Defect("a float64 constant", "float32 only", bodied(doubling)),
    Defect("integers larger than 64 bits", "compiled is plain Python", bodied(wrapping)),
    Defect("a result that depends on the row's number", "any batch size", bodied(counting_rows)),
    Defect("a result that depends on the part of a batch", "any partition", bodied(counting_rows)),
    Defect("an order-dependent sum", "rows in any order", bodied(carrying_on)),
    Defect("a division by the number of rows", "empty batch", bodied(sharing)),
    Defect("a look at the first row", "empty batch", bodied(carrying_on)),
    Defect("a result that is added to what memory held", "compiled is plain Python", bodied(adding_to)),
    Defect("a mutated input", "inputs are left alone", bodied(changing)),
    Defect("a body that reads beyond wide rows", "inputs are left alone", bodied(reaching)),
    Defect("a CUDA body forward, none backward", "CUDA is the CPU", entry("activations", ForwardOnCuda)),
    Defect("a CUDA body right for one feature only", "CUDA is the CPU", entry("activations", WrongOnCuda)),
    Defect(
        "a config that loses an argument", "config comes back",
        entry("activations", Forgetful, examples=({"scale": 3.0},)),
    ),
    Defect("a config that loses an argument that no example gives", "config comes back", entry("activations", Steep)),
    Defect("a config that is always the same", "arguments matter", entry("activations", Constant)),
    Defect("a config that remembers another value", "config comes back", entry("activations", Misremembering)),
    Defect(
        "a file that loses an argument", "comes back from a file", FORGETFUL, lambda: Registered(FORGETFUL)
    ),
    Defect(
        "a function that is not its truth", "is its formula",
        entry("activations", exponential, exponential_slope, truth=lambda x: np.exp(x) - 1e-3),
    ),
    Defect("a net that learns backwards", "trains", entry("activations", smooth, backwards)),
    Defect(
        "a misspelt option", "registered rightly", replace(SMOOTH, options={"exmples": ({},)})
    ),
    Defect(
        "an expected failure of no check", "registered rightly",
        replace(SMOOTH, options={"expected_failures": {"derivatives": "misspelt"}}),
    ),
    Defect("another unit's docstring", "documented", THRICE, lambda: Registered(TWICE)),
    Defect(
        "a unit of nbdl's own without a source", "documented",
        replace(entry("activations", Bare, doc="Bare.\n\nFormula: y = x."), owner=Owner("standard", "nbdl", "")),
    ),
    Defect("a missing docstring", "documented", entry("activations", Bare, doc=None)),
]  # fmt: skip
