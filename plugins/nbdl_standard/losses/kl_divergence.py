"""Kullback-Leibler divergence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Loss, hookimpl

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor

EPSILON = 1e-7


def clip(p: float) -> float:
    return min(max(p, EPSILON), 1.0)


def divergence(y: float, p: float) -> float:
    return clip(y) * math.log(clip(y) / clip(p))


def slope(y: float, p: float) -> float:
    return -clip(y) / p if EPSILON < p < 1.0 else 0.0 * p


class KLDivergence(Loss):
    """How far the predicted distribution of a row is from that of the targets.

    Formula: Σ y·ln(y/p), with y and p kept in [ε, 1], ε = 1e-7. PyTorch's kl_div takes ln p, and by default is the mean
    over all elements.

    Args:
        y: rows × classes, from 0 to 1.
        p: rows × classes, probabilities: end the model with softmax.

    Raises:
        DataError: targets outside 0..1.

    Source: Kullback and Leibler 1951; Keras 3, losses/losses.py.
    """

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.sum(divergence, y, p, over="features")

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(slope, y, p)


@hookimpl
def register_losses(register: Any) -> None:
    aliases = ("kld", "kullback_leibler_divergence")
    register("kl_divergence", KLDivergence, aliases=aliases, targets="probabilities", predictions="probabilities")
