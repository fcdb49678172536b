"""Optimizers, schedules and metrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nbdl import Metric, Optimizer, Schedule
from nbdl.program.functions import per
from planted.defect import Defect, Function, entry
from planted.losses import squared


def decaying(start: float, share: float) -> type[Schedule]:
    class Decaying(Schedule):
        def __init__(self, rate: float = start) -> None:
            self.rate = rate

        def __call__(self, step: int) -> float:
            return self.rate * share**step

    return Decaying


def descend(w: float, g: float, rate: float) -> float:
    return w - rate * g


def with_update(update: Function, *names: str, by: dict[str, float] | None = None) -> type[Optimizer]:
    class Planted(Optimizer):
        slots = names

        def __init__(self, learning_rate: float = 0.01) -> None:
            self.learning_rate = learning_rate

        def per_step(self, step: int) -> dict[str, float]:
            return {"rate": self.rate(step), **(by or {})}

        def update_function(self) -> Function:
            return update

    return Planted


class Unbeaten(Optimizer):
    """Hands beta to a rule that does not look at it."""

    def __init__(self, learning_rate: float = 0.01, beta: float = 0.9) -> None:
        self.learning_rate, self.beta = learning_rate, beta

    def per_step(self, step: int) -> dict[str, float]:
        return {"rate": self.rate(step), "beta": self.beta}

    def update_function(self) -> Function:
        return unbeaten


def unbeaten(w: float, g: float, rate: float, beta: float) -> float:
    return w - rate * g


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


def distance(y: float, p: float) -> float:
    return abs(y - p)


class Distance(Metric):
    def update(self, r: Any, y: Any, p: Any) -> Any:
        return r.mean(distance, y, p)


class MeanOfMeans(Distance):
    """Divides by the rows of the batch, and again by all rows."""

    def update(self, r: Any, y: Any, p: Any) -> Any:
        return r.map(per, super().update(r, y, p), r.rows)

    def result(self, sums: Any, rows: int) -> float:
        return float(sums[0])


class Squared(Distance):
    def update(self, r: Any, y: Any, p: Any) -> Any:
        return r.mean(squared, y, p)


REALS = {"targets": "reals", "predictions": "reals"}

HEALTHY = {
    "a schedule": entry("schedules", decaying(0.1, 0.9)),
    "an optimizer": entry("optimizers", with_update(descend)),
    "a metric": entry("metrics", Distance, **REALS),
    "a metric of a function": entry("metrics", distance, **REALS),
}

DEFECTS = [
    Defect("a rule that swallows NaN", "NaN in, NaN out", entry("optimizers", with_update(clipping))),
    Defect("a division by an empty slot", "finite stays finite", entry("optimizers", with_update(dividing, "v"))),
    Defect("steps uphill", "trains", entry("optimizers", with_update(ascending))),
    Defect("steps that make weights larger", "descends", entry("optimizers", with_update(ascending))),
    Defect("more values than slots", "slots come back", entry("optimizers", with_update(heavy, "v"))),
    Defect(
        "a scalar that is NaN", "slots come back", entry("optimizers", with_update(descend, by={"x": math.nan}))
    ),
    Defect("an argument that the rule ignores", "arguments matter", entry("optimizers", Unbeaten)),
    Defect("weight decay that is taken and not done", "takes the common arguments", entry("optimizers", Undecayed)),
    Defect("calls counted for steps", "takes the common arguments", entry("optimizers", Counting)),
    Defect(
        "slots that change places", "is its formula",
        entry("optimizers", with_update(swapped, "m", "v"), truth=unswapped),
    ),
    Defect("a mean of means", "any batches, one figure", entry("metrics", MeanOfMeans, **REALS)),
    Defect(
        "a metric that is not its truth", "is its formula",
        entry("metrics", Squared, **REALS, truth=lambda y, p: np.abs(y - p).mean()),
    ),
    Defect("one rate for an array of steps", "a rate for each step", entry("schedules", Stretched)),
    Defect("a rate below 0", "a rate for each step", entry("schedules", decaying(-0.1, 0.9))),
    Defect("a rate that overflows", "a rate for each step", entry("schedules", decaying(0.1, 2.0))),
]  # fmt: skip
