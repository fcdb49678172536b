"""Categorical accuracy: the share of rows whose largest prediction is in the right column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl
from nbdl.program import same

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def equal(a: float, b: float) -> float:
    return 1.0 if a == b else 0.0


def largest(r: Recorder, x: Tensor) -> Tensor:
    """The column of each row's largest value."""
    return r.sum(same, x, over="features", reduction="argmax")


class CategoricalAccuracy(Metric):
    """The share of rows whose largest prediction is in the column of the largest target.

    Formula: mean of [argmax p = argmax y]; of equal predictions the first counts.

    Source: Keras 3, metrics/accuracy_metrics.py.
    """

    greater_is_better = True

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        self.refuse_labels(y, p)
        return r.map(equal, largest(r, y), largest(r, p))


@hookimpl
def register_metrics(register: Any) -> None:
    register("categorical_accuracy", CategoricalAccuracy)
