"""F-beta: the harmonic mean of precision and recall, recall β times as important."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Metric, hookimpl
from nbdl.errors import ConfigError
from nbdl.program import same, times
from nbdl.units import Range
from nbdl_standard.metrics.confusion import columns

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program import Recorder, Tensor

EPSILON = 1e-7  # Keras's backend.epsilon()
AVERAGES = (None, "macro", "micro", "weighted")


def is_largest(p: float, largest: float) -> float:
    return 1.0 if p >= largest and abs(p) > 1e-9 else 0.0


def is_above(p: float, threshold: float) -> float:
    return 1.0 if p > threshold else 0.0


def not_below_zero(y: float) -> float:
    return max(y, 0.0)


class FBetaScore(Metric):
    """The harmonic mean of precision and recall, with recall β times as important, over all rows of the epoch.

    Formula: of a column, (1 + β²)·precision·recall/(β²·precision + recall), with ε = 1e-7 added to each denominator.

    Args:
        average: None (default), a figure for each column; "macro", their mean; "micro", the score of all columns
            counted as one; or "weighted", the mean by the columns' positive targets.
        beta: above 0. Default 1.
        threshold: positive is p > threshold. Default None: a row's largest prediction alone, unless that is 0.

    Integer labels count as one-hot rows.

    Raises:
        ConfigError: an argument is out of range.

    Source: Keras 3, metrics/f_score_metrics.py.

    >>> FBetaScore("macro", beta=2.0).average
    'macro'
    """

    greater_is_better = True
    ranges: ClassVar = {
        "beta": Range(math.ulp(0.0), wanted="is above 0"),
        "threshold": Range(math.ulp(0.0), 1.0, "is above 0 and at most 1", optional=True),
    }

    def __init__(self, average: str | None = None, beta: float = 1.0, threshold: float | None = None) -> None:
        if average not in AVERAGES:
            raise ConfigError(
                f"{type(self).__name__}: average is one of {', '.join(map(str, AVERAGES))}, got {average!r}"
            )
        self.average, self.beta, self.threshold = average, float(beta), threshold

    def counts_classes(self, outputs: int) -> bool:
        return True

    @property
    def decides(self) -> bool:
        return self.threshold in (None, 0.5)

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> tuple[Tensor, ...]:
        y = r.map(not_below_zero, columns(r, y, p))
        if self.threshold is None:
            positive = r.map(is_largest, p, r.sum(same, p, over="features", reduction="max"))
        else:
            positive = r.map(is_above, p, self.threshold)
        if self.average == "micro":
            return tuple(
                r.sum(function, *operands, over="features")
                for function, operands in ((times, (positive, y)), (same, (positive,)), (same, (y,)))
            )
        return r.map(times, positive, y), positive, y

    def result(self, sums: np.ndarray, rows: float) -> float | np.ndarray:
        import numpy as np

        found, positive, there = sums.reshape(3, -1)
        precision, recall = found / (positive + EPSILON), found / (there + EPSILON)
        square = self.beta**2
        scores = (1.0 + square) * precision * recall / (square * precision + recall + EPSILON)
        if self.average == "weighted":
            return float((scores * there).sum() / (there.sum() + EPSILON))
        return np.asarray(scores) if self.average is None else float(np.mean(scores))


@hookimpl
def register_metrics(register: Any) -> None:
    register(
        "fbeta_score",
        FBetaScore,
        examples=({"average": "weighted", "beta": 2.0}, {"average": "micro", "beta": 0.5, "threshold": 0.3}),
    )
