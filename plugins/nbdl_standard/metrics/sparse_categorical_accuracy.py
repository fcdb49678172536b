"""Sparse categorical accuracy: categorical accuracy for integer labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl
from nbdl_standard.metrics.categorical_accuracy import equal, largest

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class SparseCategoricalAccuracy(Metric):
    """The share of rows whose largest prediction is in the column that the label names.

    Formula: mean of [argmax p = y].

    Source: Keras 3, metrics/accuracy_metrics.py.
    """

    greater_is_better = True

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(equal, y, largest(r, p))


@hookimpl
def register_metrics(register: Any) -> None:
    register("sparse_categorical_accuracy", SparseCategoricalAccuracy, targets="labels")
