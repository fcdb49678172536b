"""Generalized crossentropy, for integer labels of which some are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl.program import times
from nbdl_standard.losses.sparse_categorical_crossentropy import SparseTargets

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor

EPSILON = 1e-7


def generalized(p: float, q: float) -> float:
    return (1.0 - p**q) / q


def slope(y: float, p: float, q: float) -> float:
    return -y * max(p, EPSILON) ** (q - 1.0)


class CategoricalGeneralizedCrossEntropy(SparseTargets):
    """Between crossentropy (q near 0) and the mean absolute error (q near 1), which minds wrong labels less.

    Formula: (1 - p^q)/q, with p the prediction for the label's column; below 1e-7 its slope does not grow any more.

    Labels are integers from 0 to classes - 1, of shape (rows,) or (rows, 1); predictions are probabilities.

    Args:
        q: above 0 and below 1, default 0.5.

    Raises:
        ConfigError: q is not above 0 and below 1.
        DataError: labels that are not of that shape, or not those of a class.

    Source: Zhang and Sabuncu 2018; Keras 3, losses/losses.py.
    """

    def __init__(self, q: float = 0.5) -> None:
        if not 0.0 < q < 1.0:
            raise ConfigError(f"CategoricalGeneralizedCrossEntropy: q is above 0 and below 1, got {q!r}")
        self.q = float(q)

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        chosen = r.sum(times, r.one_hot(y, p.features), p, over="features")
        return r.map(generalized, chosen, self.q)

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(slope, r.one_hot(y, p.features), p, self.q)


@hookimpl
def register_losses(register: Any) -> None:
    register(
        "categorical_generalized_cross_entropy",
        CategoricalGeneralizedCrossEntropy,
        predictions="probabilities",
        examples=({"q": 0.3},),
    )
