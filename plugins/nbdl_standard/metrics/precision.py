"""Precision: the share of positive decisions that are right."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.metrics.confusion import RatioMetric, false_positive, true_positive


class Precision(RatioMetric):
    """The share of positive decisions that are right.

    Formula: TP/(TP + FP), over all rows and columns of the epoch; 0 if nothing is positive. Positive is
    p > threshold, and y > 0.

    Args:
        thresholds: a number from 0 to 1, or a list of them for a figure each. Default 0.5; with `top_k` none.
        top_k: only a row's k largest predictions can be positive. Default None: all.
        class_id: count in this column only. Default None: in all.

    Integer labels count as one-hot rows. Keras 1 had the mean over batches, which misleads.

    Raises:
        ConfigError: an argument is out of range.

    Source: Keras 3, metrics/confusion_metrics.py.

    >>> Precision(0.7).thresholds
    0.7
    """

    counted = (true_positive, false_positive)


@hookimpl
def register_metrics(register: Any) -> None:
    register("precision", Precision, examples=({"thresholds": 0.3, "class_id": 1}, {"top_k": 2}))
