"""Accuracy: the share of rows that are classified right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl
from nbdl.engine.functions import same

if TYPE_CHECKING:
    from nbdl.engine.program import Recorder, Tensor


def equal(a: float, b: float) -> float:
    return 1.0 if a == b else 0.0


def same_side(y: float, p: float, threshold: float) -> float:
    return 1.0 if (y > threshold) == (p > threshold) else 0.0


def largest(r: Recorder, x: Tensor) -> Tensor:
    return r.sum(same, x, over="features", reduction="argmax")


class CategoricalAccuracy(Metric):
    """The share of rows whose largest prediction is in the column of the largest target.

    Formula: mean of [argmax p = argmax y]; of equal predictions the first counts.

    Source: Keras 3, metrics/accuracy_metrics.py.
    """

    greater_is_better = True

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(equal, largest(r, y), largest(r, p))


class SparseCategoricalAccuracy(Metric):
    """The share of rows whose largest prediction is in the column that the label names.

    Formula: mean of [argmax p = y].

    Source: Keras 3, metrics/accuracy_metrics.py.
    """

    greater_is_better = True

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(equal, y, largest(r, p))


class BinaryAccuracy(Metric):
    """The share of outputs on the right side of a threshold.

    Formula: mean over a row's outputs of [(p > threshold) = (y > threshold)].

    Args:
        threshold: default 0.5.

    Source: Keras 3, metrics/accuracy_metrics.py.
    """

    greater_is_better = True

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = float(threshold)

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.mean(same_side, y, p, self.threshold)


class Accuracy(Metric):
    """The share of rows classified right, in the way that the targets ask for, as Keras resolves the name.

    Formula: with one output, binary accuracy at 0.5; with integer labels, sparse categorical accuracy; else
    categorical accuracy.

    Source: Keras 3, trainers/compile_utils.py.
    """

    greater_is_better = True

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        if p.features == 1:
            return BinaryAccuracy().update(r, y, p)
        if y.features == 1:
            return SparseCategoricalAccuracy().update(r, y, p)
        return CategoricalAccuracy().update(r, y, p)


@hookimpl
def register_metrics(register: Any) -> None:
    register("accuracy", Accuracy, aliases=("acc",))
    register("categorical_accuracy", CategoricalAccuracy)
    register("sparse_categorical_accuracy", SparseCategoricalAccuracy, targets="labels")
    register("binary_accuracy", BinaryAccuracy, examples=({"threshold": 0.3},))
