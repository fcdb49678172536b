"""Recall: the share of positive targets that are found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl_standard.metrics.confusion import ConfusionMetric, false_negative, one_threshold, ratio, true_positive
from nbdl_standard.metrics.largest import LEFT_OUT

if TYPE_CHECKING:
    import numpy as np


class Recall(ConfusionMetric):
    """The share of positive targets that are found.

    Formula: TP/(TP + FN), over all rows and columns of the epoch; 0 if no target is positive. Positive is
    p > threshold, and y ≠ 0.

    Args:
        thresholds: one number from 0 to 1. Default 0.5; with `top_k` none. (Keras takes lists; a metric here is one
            figure.)
        top_k: only a row's k largest predictions can be positive. Default None: all.
        class_id: count in this column only. Default None: in all.

    Integer labels count as one-hot rows. Keras 1 had the mean over batches, which misleads.

    Raises:
        ConfigError: an argument is out of range.

    Source: Keras 3, metrics/confusion_metrics.py.

    >>> Recall(0.7).threshold
    0.7
    """

    greater_is_better = True
    counted = (true_positive, false_negative)

    def __init__(self, thresholds: float | None = None, top_k: int | None = None, class_id: int | None = None) -> None:
        self.threshold = one_threshold(thresholds, "Recall", 0.5 if top_k is None else LEFT_OUT)
        self.top_k, self.class_id = top_k, class_id

    def result(self, sums: np.ndarray, rows: int) -> float:
        return ratio(sums[0], sums[0] + sums[1])


@hookimpl
def register_metrics(register: Any) -> None:
    register("recall", Recall, examples=({"thresholds": 0.3, "class_id": 1}, {"top_k": 2}))
