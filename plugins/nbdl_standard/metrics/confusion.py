"""What metrics of right and wrong decisions share: a prediction above a threshold is positive, a target above 0.

Keras counts every target but 0 as positive, -1 too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric
from nbdl.errors import ConfigError
from nbdl.units import is_number
from nbdl_standard.metrics.largest import LEFT_OUT, k_largest
from nbdl_standard.numbers import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from nbdl.program import Recorder, Tensor


def true_positive(y: float, p: float, threshold: float, column: float, class_id: float) -> float:
    return 1.0 if y > 0.0 and p > threshold and (class_id < 0.0 or column == class_id) else 0.0


def false_positive(y: float, p: float, threshold: float, column: float, class_id: float) -> float:
    return 1.0 if not y > 0.0 and p > threshold and (class_id < 0.0 or column == class_id) else 0.0


def false_negative(y: float, p: float, threshold: float, column: float, class_id: float) -> float:
    return 1.0 if y > 0.0 and not p > threshold and (class_id < 0.0 or column == class_id) else 0.0


def true_negative(y: float, p: float, threshold: float, column: float, class_id: float) -> float:
    return 1.0 if not y > 0.0 and not p > threshold and (class_id < 0.0 or column == class_id) else 0.0


def columns(r: Recorder, y: Tensor, p: Tensor) -> Tensor:
    """Targets with a column for each prediction: integer labels become one-hot."""
    return r.one_hot(y, p.features) if y.features == 1 < p.features else y


def check_class(metric: Metric, class_id: int | None, p: Tensor) -> None:
    """Refuse a `class_id` that is no column of the predictions."""
    if class_id is not None and not 0 <= class_id < p.features:
        raise ConfigError(
            f"{type(metric).__name__}: class_id is a column, 0 to {p.features - 1} here, got {class_id!r}"
        )


def ratio(part: float, whole: float) -> float:
    """part/whole, and 0 of nothing."""
    return float(part / whole) if whole else 0.0


def cuts(thresholds: Any, who: str, default: float) -> tuple[float, ...]:
    """The thresholds of a metric, from a number or a list.

    Raises:
        ConfigError: there is none, or one is not from 0 to 1.
    """
    if thresholds is None:
        return (default,)
    values = tuple(thresholds) if hasattr(thresholds, "__len__") else (thresholds,)
    if not values or not all(is_number(one) and 0.0 <= one <= 1.0 for one in values):
        raise ConfigError(f"{who}: thresholds is a number from 0 to 1, or a list of such, got {thresholds!r}")
    return tuple(map(float, values))


class ConfusionMetric(Metric):
    """Base of metrics that count decisions over all rows and columns; itself the number of one kind of them.

    Several thresholds give a figure each.

    Class attributes:
        counted: what is counted: scalar functions of this module.
    """

    counted: tuple[Any, ...] = ()
    cuts: tuple[float, ...] = (0.5,)
    top_k: int | None = None
    class_id: int | None = None

    def __init__(self, thresholds: float | Sequence[float] | None = None) -> None:
        self.cuts = cuts(thresholds, type(self).__name__, 0.5)

    def counts_classes(self, outputs: int) -> bool:
        return True

    @property
    def decides(self) -> bool:
        return self.cuts == (0.5,)

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> tuple[Tensor, ...]:
        y = columns(r, y, p)
        check_class(self, self.class_id, p)
        chosen = p if self.top_k is None else k_largest(r, p, self.top_k, type(self).__name__)
        column, class_id = numbers(p.features), -1.0 if self.class_id is None else self.class_id
        return tuple(
            r.sum(count, y, chosen, cut, column, class_id, over="features")
            for cut in self.cuts
            for count in self.counted
        )

    def result(self, sums: np.ndarray, rows: float) -> float | np.ndarray:
        import numpy as np

        found = [self.of_one(counts) for counts in sums.reshape(len(self.cuts), -1)]
        return found[0] if len(found) == 1 else np.array(found)

    def of_one(self, counts: np.ndarray) -> float:
        """The figure of one threshold, from what was counted."""
        return float(counts[0])


class RatioMetric(ConfusionMetric):
    """Base of the share of the first of two kinds of decisions."""

    greater_is_better = True

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, top_k: int | None = None, class_id: int | None = None
    ) -> None:
        self.cuts = cuts(thresholds, type(self).__name__, 0.5 if top_k is None else LEFT_OUT)
        self.top_k, self.class_id = top_k, class_id

    def of_one(self, counts: np.ndarray) -> float:
        return ratio(counts[0], counts[0] + counts[1])
