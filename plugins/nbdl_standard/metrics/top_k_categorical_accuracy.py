"""Top-k accuracy: the share of rows whose right column is among the k largest predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl_standard.metrics.categorical_accuracy import largest
from nbdl_standard.metrics.sparse_top_k_categorical_accuracy import SparseTopKCategoricalAccuracy

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class TopKCategoricalAccuracy(SparseTopKCategoricalAccuracy):
    """The share of rows with fewer than k predictions above that in the column of the largest target.

    Formula: mean of [#{j: pⱼ > pᵢ} < k] with i = argmax y; equal predictions do not push one another out.

    Args:
        k: default 5.

    Raises:
        ConfigError: k is not a positive integer.

    Source: Keras 3, metrics/accuracy_metrics.py.
    """

    positions = ("k", "name", "dtype")

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return super().update(r, largest(r, y), p)


@hookimpl
def register_metrics(register: Any) -> None:
    register("top_k_categorical_accuracy", TopKCategoricalAccuracy, examples=({"k": 2},))
