"""The arithmetic: distances, floors, verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity.cases import AFTER_ALL, AFTER_ONE, DRAWS, Array

CHAOTIC = 10.0  # times the floor is what a miss may be where the floor itself misses the goal
LEAST = 10.0 * AFTER_ALL  # what weights must move by: of ones that stay where they are the goal would say nothing
SIGMAS = 5.0  # by which two samples of one distribution may differ


@dataclass
class Trajectory:
    """One training: the loss of each step, weights before, after one step and after all, and predictions."""

    losses: Array
    start: list[Array]
    first: list[Array]
    last: list[Array]
    predictions: Array
    names: list[str]


@dataclass(frozen=True)
class Measure:
    """How far nbdl is from the truth, the floor, and the goal."""

    value: float
    floor: float | None
    goal: float

    @property
    def met(self) -> bool:
        """NaN never is."""
        return self.value <= self.goal

    @property
    def chaotic(self) -> bool:
        """Whether the truth misses the goal against itself, by about as much."""
        return self.floor is not None and self.floor > self.goal and self.value <= CHAOTIC * self.floor


@dataclass
class Result:
    """A case's measures by name, and what to say of them."""

    title: str
    family: str
    measures: dict[str, Measure] = field(default_factory=dict)
    against: str = "Keras"
    worst: str = ""
    moved: float | None = None  # how far training took the tensor that went farthest, relatively
    explained: str = ""
    error: str = ""

    @property
    def verdict(self) -> str:
        """ "ok", "floor", "explained", "MISS", "WEAK" (the weights hardly moved) or "ERROR"."""
        if self.error:
            return "ERROR"
        missed = [measure for measure in self.measures.values() if not measure.met]
        weak = self.moved is not None and not self.moved >= LEAST
        if not missed and not weak:
            return "ok"
        if missed and not weak and all(measure.chaotic for measure in missed):
            return "floor"
        return "explained" if self.explained else "MISS" if missed else "WEAK"

    @property
    def failed(self) -> bool:
        """Whether `--check` refuses it."""
        return self.verdict in ("MISS", "WEAK", "ERROR")

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        measures = {name: vars(measure) for name, measure in self.measures.items()}
        return {**vars(self), "measures": measures, "verdict": self.verdict}


def distance(ours: Array, truth: Array) -> float:
    """‖Δ‖ / ‖truth‖; 0 where both are 0."""
    difference = float(np.linalg.norm(np.asarray(ours, np.float64) - np.asarray(truth, np.float64)))
    length = float(np.linalg.norm(np.asarray(truth, np.float64)))
    return difference / length if length else difference


def worst(ours: list[Array], truth: list[Array]) -> tuple[float, int]:
    """The largest distance and where it is; NaN is larger than all else."""
    each = [distance(one, other) for one, other in zip(ours, truth, strict=True)]
    if not each:
        return 0.0, -1
    at = int(np.argmax(np.nan_to_num(each, nan=np.inf)))
    return each[at], at


def relative(ours: Array, truth: Array) -> Array:
    """|Δ| / |truth|, number by number."""
    return np.abs(ours - truth) / np.maximum(np.abs(truth), 1e-6)


def distances(ours: Trajectory, truth: Trajectory) -> dict[str, float]:
    """Weights after one step and after all, the loss of the first step, and the worst of all steps' losses."""
    if not len(truth.losses):
        return {"predictions": distance(ours.predictions, truth.predictions)}
    if len(ours.losses) != len(truth.losses):
        raise ValueError(f"{len(ours.losses)} steps beside {len(truth.losses)}")
    losses = relative(ours.losses, truth.losses)
    return {
        "weights, 1 step": worst(ours.first, truth.first)[0],
        "weights, 50 steps": worst(ours.last, truth.last)[0],
        "loss, 1 step": float(losses[0]),
        "loss, 50 steps": float(np.max(losses)),
        "predictions": distance(ours.predictions, truth.predictions),
    }


def goal(name: str) -> float:
    """The goal of a measure of training."""
    return AFTER_ONE if name.endswith("1 step") else AFTER_ALL


def trained(ours: Trajectory, truth: Trajectory, floor: tuple[Trajectory, Trajectory]) -> dict[str, Measure]:
    """The measures of a training."""
    floors = distances(*floor)
    goals = {name: AFTER_ONE if not len(truth.losses) else goal(name) for name in floors}
    return {name: Measure(value, floors[name], goals[name]) for name, value in distances(ours, truth).items()}


def drawn(ours: Array, truth: Array) -> dict[str, Measure]:
    """Two samples of, it is hoped, one distribution: mean and spread in standard errors, bounds and shape relatively.

    Bounds are compared where the truth has some: its largest number is less than three standard deviations out.
    """
    a, b = ours.astype(np.float64), truth.astype(np.float64)
    n, spread = b.size, float(b.std())
    sure = 1e-6 * (float(np.abs(b).max()) + 1e-30)  # where nothing is random, rounding is left
    standardised = (b - b.mean()) / (spread + 1e-30)
    # The variance of a sample's variance follows from the fourth moment.
    tail = np.sqrt(max(float((standardised**4).mean()) - 1.0, 0.0))
    measures = {
        "mean, σ": Measure(abs(a.mean() - b.mean()) / (spread * np.sqrt(2 / n) + sure), None, SIGMAS),
        "variance, σ": Measure(
            abs(a.var() - b.var()) / (spread**2 * tail * np.sqrt(2 / n) + sure * (spread + sure)), None, SIGMAS
        ),
    }
    bounded = float(np.abs(standardised).max()) < 3.0
    gaps = [abs(f(a) - f(b)) / (spread + sure) for f in (np.min, np.max)] if bounded else [0.0]
    measures["bounds"] = Measure(float(max(gaps)), None, 0.01)
    first, second = (float(np.linalg.svd(one.reshape(DRAWS), compute_uv=False)[0]) for one in (a, b))
    measures["largest singular value"] = Measure(abs(first - second) / (second + sure), None, 0.06)
    return measures
