"""Categorical hinge, for one-hot targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Loss, hookimpl
from nbdl.program import times
from nbdl_standard.losses.categorical_crossentropy import check_one_hot

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program import Recorder, Tensor


def other(y: float, p: float) -> float:
    return (1.0 - y) * p


def margin(wrong: float, right: float) -> float:
    return max(wrong - right + 1.0, 0.0)


def slope(y: float, largest: float, wrong: float, right: float) -> float:
    lacking = wrong - right + 1.0
    return largest * (1.0 - y) - y if lacking > 0.0 else 0.0 * lacking


class CategoricalHinge(Loss):
    """How much the prediction of the right class lacks to exceed every other by 1.

    Formula: max(max((1 - y)·p) - Σ y·p + 1, 0); the largest of equal ones is the first. The right class itself counts
    as 0 among the others.

    Args:
        y: rows × classes, one-hot.
        p: rows × classes, any numbers; end the model without a softmax.

    Raises:
        DataError: targets that are not one-hot or distributions over the classes.

    Source: Keras 3, losses/losses.py.
    """

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(margin, *self._sides(r, y, p))

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        column = r.sum(other, y, p, over="features", reduction="argmax")
        return r.map(slope, y, r.one_hot(column, p.features), *self._sides(r, y, p))

    def _sides(self, r: Recorder, y: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        wrong = r.sum(other, y, p, over="features", reduction="max")
        return wrong, r.sum(times, y, p, over="features")

    def check_targets(self, y: np.ndarray, output_shape: tuple[int, ...]) -> str:
        return check_one_hot(self.unit_name, y, output_shape)


@hookimpl
def register_losses(register: Any) -> None:
    register("categorical_hinge", CategoricalHinge, targets="one-hot")
