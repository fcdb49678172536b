"""The best recall at thresholds where the precision is large enough."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import hookimpl
from nbdl.units import Range
from nbdl_standard.metrics.curves import BestMetric


class RecallAtPrecision(BestMetric):
    """The best recall at thresholds where the precision is large enough.

    Formula: the largest TP/(TP + FN) over the thresholds i/(n - 1) with TP/(TP + FP) ≥ precision; 0 if there is none.

    Args:
        precision: from 0 to 1.
        num_thresholds: n, above 1. Default 200.
        class_id: count in this column only. Default None: in all.

    Integer labels count as one-hot rows.

    Raises:
        ConfigError: an argument is out of range.

    Source: Keras 3, metrics/confusion_metrics.py.
    """

    best = ("true_positives", "false_negatives")
    enough = ("true_positives", "false_positives")
    ranges: ClassVar = {"precision": Range(0.0, 1.0, "is from 0 to 1")}

    def __init__(self, precision: float, num_thresholds: int = 200, class_id: int | None = None) -> None:
        self.look_for(precision, num_thresholds, class_id)


@hookimpl
def register_metrics(register: Any) -> None:
    register(
        "recall_at_precision", RecallAtPrecision, examples=({"precision": 0.4, "num_thresholds": 11, "class_id": 1},)
    )
