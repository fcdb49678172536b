"""Accuracy: the share of rows that are classified right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl
from nbdl_standard.metrics.binary_accuracy import BinaryAccuracy
from nbdl_standard.metrics.categorical_accuracy import CategoricalAccuracy
from nbdl_standard.metrics.sparse_categorical_accuracy import SparseCategoricalAccuracy

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class Accuracy(Metric):
    """The share of rows classified right, in the way that the targets ask for, as Keras resolves the name.

    Formula: with one output, binary accuracy; with integer labels, sparse categorical accuracy; else categorical
    accuracy. Of a regression with one output it is 0: no target is a class.

    Keras's class of this name, which its "accuracy" is not, compares each prediction with its target exactly.

    Source: Keras 3, trainers/compile_utils.py.
    """

    greater_is_better = True

    def counts_classes(self, outputs: int) -> bool:
        return outputs == 1

    @property
    def decides(self) -> bool:
        return True

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        if p.features == 1:
            return BinaryAccuracy().update(r, y, p)
        if y.features == 1:
            return SparseCategoricalAccuracy().update(r, y, p)
        return CategoricalAccuracy().update(r, y, p)


@hookimpl
def register_metrics(register: Any) -> None:
    register("accuracy", Accuracy, aliases=("acc",))
