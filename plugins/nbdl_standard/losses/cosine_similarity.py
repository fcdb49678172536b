"""Cosine similarity, negative, so that less is better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Loss, hookimpl
from nbdl.program import times

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor

EPSILON = 1e-7


def length(squares: float) -> float:
    return max(math.sqrt(squares), EPSILON)


def similarity(dot: float, yy: float, pp: float) -> float:
    return -dot / (length(yy) * length(pp))


def slope(y: float, p: float, dot: float, yy: float, pp: float) -> float:
    along = dot / (length(yy) * length(pp)) * (p / length(pp)) if length(pp) > EPSILON else 0.0 * pp
    return (along - y / length(yy)) / length(pp)


class CosineSimilarity(Loss):
    """The cosine of the angle between targets and predictions, with the sign turned round.

    Formula: -Σ (y/|y|)·(p/|p|): from -1, the same direction, to 1, the opposite one; lengths are at least ε = 1e-7, so
    a row of zeros gives 0. Keras 1's cosine_proximity was that divided by the number of outputs. PyTorch's
    CosineEmbeddingLoss is 1 minus the cosine.

    Source: Keras 3, losses/losses.py.
    """

    positions = ("axis", "reduction", "name", "dtype")

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(similarity, *self._products(r, y, p))

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(slope, y, p, *self._products(r, y, p))

    def _products(self, r: Recorder, y: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pairs = ((y, p), (y, y), (p, p))
        dot, yy, pp = (r.sum(times, one, other, over="features") for one, other in pairs)
        return dot, yy, pp


@hookimpl
def register_losses(register: Any) -> None:
    register("cosine_similarity", CosineSimilarity, aliases=("cosine", "cosine_proximity"))
