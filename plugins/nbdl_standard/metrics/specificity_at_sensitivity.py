"""The best recall of the others at thresholds where the recall of positives is large enough."""

from __future__ import annotations

from typing import Any, ClassVar

from nbdl import hookimpl
from nbdl.units import Range
from nbdl_standard.metrics.curves import BestMetric


class SpecificityAtSensitivity(BestMetric):
    """The best recall of the others at thresholds where the recall of positives is large enough.

    Formula: the largest TN/(TN + FP) over the thresholds i/(n - 1) with TP/(TP + FN) ≥ sensitivity; 0 if there is none.

    Args:
        sensitivity: from 0 to 1.
        num_thresholds: n, above 1. Default 200.
        class_id: count in this column only. Default None: in all.

    Integer labels count as one-hot rows.

    Raises:
        ConfigError: an argument is out of range.

    Source: Keras 3, metrics/confusion_metrics.py.
    """

    best = ("true_negatives", "false_positives")
    enough = ("true_positives", "false_negatives")
    ranges: ClassVar = {"sensitivity": Range(0.0, 1.0, "is from 0 to 1")}

    def __init__(self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None) -> None:
        self.look_for(sensitivity, num_thresholds, class_id)


@hookimpl
def register_metrics(register: Any) -> None:
    register(
        "specificity_at_sensitivity",
        SpecificityAtSensitivity,
        examples=({"sensitivity": 0.4, "num_thresholds": 11, "class_id": 1},),
    )
