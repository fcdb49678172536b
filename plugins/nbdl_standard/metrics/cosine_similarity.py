"""Cosine similarity of targets and predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl
from nbdl_standard.losses.cosine_similarity import CosineSimilarity as Loss

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def negative(x: float) -> float:
    return -x


class CosineSimilarity(Metric):
    """The mean cosine of the angle between a row's targets and its predictions; the loss of that name is its negative.

    Formula: mean of Σ (y/|y|)·(p/|p|); lengths are at least 1e-7.

    Source: Keras 3, metrics/regression_metrics.py.
    """

    greater_is_better = True

    positions = ("name", "dtype", "axis")

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        self.refuse_labels(y, p)
        return r.map(negative, Loss().values(r, y, p))


@hookimpl
def register_metrics(register: Any) -> None:
    register("cosine_similarity", CosineSimilarity, targets="reals", predictions="reals")
