"""What weights get: regularizers, constraints, initializers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbdl import Constraint, Initializer
from nbdl.errors import ConfigError
from nbdl.units.random import fans
from planted.defect import Defect, entry


def not_below_zero(w: float) -> float:
    return w if not w < 0.0 else 0.0


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


def topless(w: float, top: float = 1.0) -> float:
    return w if w < 1.0 else 1.0 + 0.0 * w


def infinite_projection(w: float) -> float:
    return w * 1e38


class Narrow(Initializer):
    def __call__(self, shape: Any, random: Any) -> Any:
        limit = math.sqrt(3.0 / fans(shape)[0])
        return random.uniform(shape, -limit, limit)


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


class Shared(Initializer):
    """Draws from the generator that the whole program shares."""

    def __call__(self, shape: Any, random: Any) -> Any:
        np.random.uniform()
        return random.uniform(shape, -1.0, 1.0)


HEALTHY = {
    "a regularizer": entry("regularizers", penalty, twice),
    "a constraint": entry("constraints", not_below_zero),
    "a constraint over columns": entry("constraints", Columns),
    "an initializer": entry("initializers", Narrow),
}

DEFECTS = [
    Defect("half of a penalty's derivative", "derivative", entry("regularizers", penalty, half_slope)),
    Defect("a penalty that swallows NaN", "NaN in, NaN out", entry("regularizers", positive_penalty, step_slope)),
    Defect("a division by a weight", "finite stays finite", entry("regularizers", inverse, inverse)),
    Defect(
        "a penalty that is not its truth", "is its formula",
        entry("regularizers", penalty, half_slope, truth=(lambda w: (w**2).sum(), lambda w: 2 * w)),
    ),
    Defect("a projection that swallows NaN", "NaN in, NaN out", entry("constraints", swallowing_projection)),
    Defect("an argument that no function reads", "arguments matter", entry("constraints", topless)),
    Defect("a projection that overflows", "finite stays finite", entry("constraints", infinite_projection)),
    Defect(
        "a projection that is not its truth", "is its formula", entry("constraints", not_below_zero, truth=np.abs)
    ),
    Defect("an unseeded random", "initial values", entry("initializers", Dicing)),
    Defect("a draw from the program's own generator", "initial values", entry("initializers", Shared)),
    Defect("the same numbers for every seed", "initial values", entry("initializers", Seedless)),
    Defect("values right on square shapes only", "initial values", entry("initializers", Squarish)),
    Defect("a matrix that is refused", "initial values", entry("initializers", Choosy)),
    Defect("float64 values", "initial values", entry("initializers", Doubles)),
    Defect(
        "rows taken for columns", "is its formula",
        entry(
            "initializers", FanOut,
            truth=lambda shape: (-math.sqrt(3 / shape[0]), math.sqrt(3 / shape[0]), 0.0, 1 / shape[0]),
        ),
    ),
]  # fmt: skip
