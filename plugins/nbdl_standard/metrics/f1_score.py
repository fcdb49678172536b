"""F1: the harmonic mean of precision and recall."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.metrics.fbeta_score import FBetaScore


class F1Score(FBetaScore):
    """The harmonic mean of precision and recall, over all rows of the epoch.

    Formula: of a column, 2·precision·recall/(precision + recall), with ε = 1e-7 added to each denominator.

    Args:
        average: None (default), a figure for each column; "macro", their mean; "micro", the score of all columns
            counted as one; or "weighted", the mean by the columns' positive targets.
        threshold: positive is p > threshold. Default None: a row's largest prediction alone, unless that is 0.

    Integer labels count as one-hot rows.

    Raises:
        ConfigError: an argument is out of range.

    Source: Keras 3, metrics/f_score_metrics.py.
    """

    def __init__(self, average: str | None = None, threshold: float | None = None) -> None:
        super().__init__(average, 1.0, threshold)


@hookimpl
def register_metrics(register: Any) -> None:
    register("f1_score", F1Score, aliases=("f1",), examples=({"average": "micro", "threshold": 0.3},))
