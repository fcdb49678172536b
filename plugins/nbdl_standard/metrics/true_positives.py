"""True positives: targets that are positive and found."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.metrics.confusion import ConfusionMetric, true_positive


class TruePositives(ConfusionMetric):
    """The number of targets that are positive and found.

    Formula: #[y > 0 and p > threshold], over all rows and columns of the epoch.

    Args:
        thresholds: a number from 0 to 1, or a list of them for a figure each. Default 0.5.

    Integer labels count as one-hot rows.

    Raises:
        ConfigError: the threshold is out of range.

    Source: Keras 3, metrics/confusion_metrics.py.
    """

    greater_is_better = True
    counted = (true_positive,)


@hookimpl
def register_metrics(register: Any) -> None:
    register("true_positives", TruePositives, examples=({"thresholds": 0.3},))
