"""Losses."""

from __future__ import annotations

import math
from typing import Any

from nbdl import Loss, elementwise_pair
from nbdl.program.functions import per, times
from planted.defect import Defect, entry


def counted(y: float, p: float) -> float:
    """Formula: p - y·ln p, for p above 0.

    Source: nowhere.
    """
    return p - y * math.log(p + 1e-7)


def counted_slope(y: float, p: float) -> float:
    return 1.0 - y / (p + 1e-7)


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


PAIR = {"sigmoid": elementwise_pair(logits, wrong_logits_slope)}
UNSTABLE = {"sigmoid": elementwise_pair(unstable_logits, wrong_logits_slope)}

HEALTHY = {
    "a loss": entry("losses", LossOf),
    "a loss of what is positive": entry("losses", counted, counted_slope, targets="positive", predictions="positive"),
}

DEFECTS = [
    Defect("the gradient of a sum beside a mean", "derivative", entry("losses", NotDivided)),
    Defect("a wrong derivative of a pair", "derivative", entry("losses", binary, binary_slope, pairs=PAIR)),
    Defect(
        "a logarithm of what may be negative", "derivative", entry("losses", NotOfLogits, predictions="probabilities")
    ),
    Defect("a pair that is another formula", "pair is one formula", entry("losses", binary, binary_slope, pairs=PAIR)),
    Defect("a pair that overflows", "pair is one formula", entry("losses", binary, binary_slope, pairs=UNSTABLE)),
    Defect("a loss that swallows NaN", "NaN in, NaN out", entry("losses", SwallowingLoss)),
    Defect(
        "a logarithm of 0", "finite stays finite",
        entry("losses", bare_logarithm, bare_logarithm_slope, predictions="probabilities"),
    ),
    Defect("a loss that is climbed", "trains", entry("losses", Uphill)),
    Defect(
        "a loss that is not its truth", "is its formula",
        entry(
            "losses", NotDivided,
            truth=(lambda y, p: ((p - y) ** 2).mean(axis=1), lambda y, p: 2 * (p - y) / p.shape[1]),
        ),
    ),
]  # fmt: skip
