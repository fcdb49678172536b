"""Sparse top-k accuracy: top-k accuracy for integer labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Metric, hookimpl
from nbdl.units import Range
from nbdl_standard.numbers import numbers

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def in_column(p: float, label: float, column: float) -> float:
    return p if column == label else 0.0


def above(p: float, right: float) -> float:
    return 1.0 if p > right else 0.0


def among_first(better: float, right: float, k: float) -> float:
    return 1.0 if better < k and right == right else 0.0  # NaN is larger than nothing


class SparseTopKCategoricalAccuracy(Metric):
    """The share of rows with fewer than k predictions above that in the column that the label names.

    Formula: mean of [#{j: pⱼ > p_y} < k]; equal predictions do not push one another out.

    Args:
        k: default 5.

    Raises:
        ConfigError: k is not a positive integer.

    Source: Keras 3, metrics/accuracy_metrics.py.

    >>> SparseTopKCategoricalAccuracy(3).k
    3
    """

    greater_is_better = True

    ignored: ClassVar = {"from_sorted_ids": (False,)}
    instead: ClassVar = {"from_sorted_ids": "not there: predictions are a number for each class"}
    ranges: ClassVar = {"k": Range(1, wanted="is a positive integer", whole=True)}
    positions: ClassVar[tuple[str, ...]] = ("k", "name", "dtype", "from_sorted_ids")

    def __init__(self, k: int = 5) -> None:
        self.k = int(k)

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        right = r.sum(in_column, p, y, numbers(p.features), over="features")
        return r.map(among_first, r.sum(above, p, right, over="features"), right, self.k)


@hookimpl
def register_metrics(register: Any) -> None:
    register("sparse_top_k_categorical_accuracy", SparseTopKCategoricalAccuracy, targets="labels", examples=({"k": 2},))
