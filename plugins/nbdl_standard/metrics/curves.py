"""What metrics of all thresholds share: how many positive and other targets have a prediction at each level.

With n thresholds tᵢ = i/(n - 1) the level of a prediction is the number of thresholds below it, from 0 to n - 1; a
prediction below 0 counts as 0, one above 1 as 1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from nbdl import Metric
from nbdl.program import same
from nbdl.units import Range
from nbdl_standard.metrics.confusion import check_class, columns
from nbdl_standard.numbers import numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nbdl.program import Recorder, Tensor

    Floats = NDArray[np.float64]


def level_of(p: float, last: float) -> float:
    """The level of a prediction; NaN stays."""
    if p < 0.0:
        return 0.0
    if p > 1.0:
        return last
    return p * last


def histogram(y: Any, p: Any, levels: Any, width: Any, counts: Any) -> None:
    """Row by row, how many positive targets have each level, and then how many others."""
    half = counts.shape[1] // 2
    last = levels[0, 0] - 1.0
    for i in range(p.shape[0]):
        for j in range(2 * half):
            counts[i, j] = 0.0
        for j in range(p.shape[1]):
            level = level_of(p[i, j], last)
            place = int(math.ceil(level)) if level > 0.0 else 0  # noqa: RUF046 - a float, once compiled
            if not y[i, j] > 0.0:
                place += half
            counts[i, place] += 1.0 + 0.0 * level


def histogram_cuda(row: int, thread: int, threads: int, y: Any, p: Any, levels: Any, width: Any, counts: Any) -> None:
    """The same, where each thread counts some of the levels: every one looks at all predictions."""
    half, columns = int(levels[0]), int(width[0])
    last, start = levels[0] - 1.0, row * 2 * half
    j = thread
    while j < 2 * half:
        counts[start + j] = 0.0
        j += threads
    column = row * columns
    while column < (row + 1) * columns:
        level = level_of(p[column], last)
        place = int(math.ceil(level)) if level > 0.0 else 0  # noqa: RUF046 - a float, once compiled
        if not y[column] > 0.0:
            place += half
        if place % threads == thread:
            counts[start + place] += 1.0 + 0.0 * level
        column += 1


def in_column(x: float, column: float, class_id: float) -> float:
    return x if column == class_id else 0.0


def ratios(parts: Floats, wholes: Floats) -> Floats:
    """part/whole, and 0 of nothing."""
    import numpy as np

    return np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes != 0.0)


class Decisions(NamedTuple):
    """How many decisions of each kind there are at each threshold."""

    true_positives: Floats
    false_positives: Floats
    false_negatives: Floats
    true_negatives: Floats


class CurveMetric(Metric):
    """Base of metrics of all thresholds, for predictions from 0 to 1; targets above 0 are positive."""

    greater_is_better = True
    ranges: ClassVar = {"num_thresholds": Range(2, wanted="is an integer above 1", whole=True)}
    num_thresholds = 200
    class_id: int | None = None

    def counts_classes(self, outputs: int) -> bool:
        return True

    @property
    def decides(self) -> bool:
        return True

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        y = columns(r, y, p)
        check_class(self, self.class_id, p)
        if self.class_id is not None:
            column = numbers(p.features)
            y, p = (r.sum(in_column, x, column, self.class_id, over="features") for x in (y, p))
        sizes = r.map(same, float(self.num_thresholds)), r.map(same, float(p.features))
        counts: Tensor = r.kernel(
            histogram, y, p, *sizes, shapes=[(2 * self.num_thresholds,)], name="histogram", cuda=histogram_cuda
        )
        return counts

    def decisions(self, sums: np.ndarray, ends: bool = False) -> Decisions:
        """Count the decisions at each threshold t, where p > t is positive.

        Args:
            ends: move the first threshold just below 0, so that all is positive there.
        """
        import numpy as np

        positive, negative = sums.reshape(2, -1)

        def above(counts: Floats) -> Floats:
            at_least = np.append(counts[::-1].cumsum()[::-1], 0.0)
            return np.append(at_least[0] if ends else at_least[1], at_least[2:])

        tp, fp = above(positive), above(negative)
        return Decisions(tp, fp, positive.sum() - tp, negative.sum() - fp)


class BestMetric(CurveMetric):
    """Base of metrics that look for the best value of one ratio where another is large enough.

    Class attributes:
        best, enough: of each ratio, the decisions that are its part, and those that make up the rest.
    """

    best: ClassVar[tuple[str, str]]
    enough: ClassVar[tuple[str, str]]
    wanted: float

    def look_for(self, wanted: float, num_thresholds: int, class_id: int | None) -> None:
        """Keep the arguments: what the second ratio is at least."""
        self.wanted = wanted
        self.num_thresholds = num_thresholds
        self.class_id = class_id

    def result(self, sums: np.ndarray, rows: float) -> float:
        decisions = self.decisions(sums)._asdict()
        best, enough = (
            ratios(decisions[part], decisions[part] + decisions[rest]) for part, rest in (self.best, self.enough)
        )
        return float(best[enough >= self.wanted].max(initial=0.0))
