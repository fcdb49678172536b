"""Cosine similarity of targets and predictions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl
from nbdl.engine.functions import times

if TYPE_CHECKING:
    from nbdl.engine.program import Recorder, Tensor

EPSILON = 1e-7  # Keras's backend.epsilon()


def cosine(product: float, y_squares: float, p_squares: float) -> float:
    return product / (max(math.sqrt(y_squares), EPSILON) * max(math.sqrt(p_squares), EPSILON))


class CosineSimilarity(Metric):
    """The mean cosine of the angle between a row's targets and its predictions.

    Formula: mean of y·p/(max(‖y‖, ε)·max(‖p‖, ε)), ε = 1e-7. The loss of that name is its negative.

    Source: Keras 3, metrics/regression_metrics.py.
    """

    greater_is_better = True

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        products = [r.sum(times, *pair, over="features") for pair in ((y, p), (y, y), (p, p))]
        return r.map(cosine, *products)


@hookimpl
def register_metrics(register: Any) -> None:
    register("cosine_similarity", CosineSimilarity, targets="reals", predictions="reals")
