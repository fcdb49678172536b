"""ActivityRegularization: a penalty on what passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class ActivityRegularization(Layer):
    """A penalty on what passes, which is left as it is.

    Formula: y = x; the mean over the rows of λ₁·Σ|x| + λ₂·Σx² is added to the loss.

    Any layer takes such a penalty on its outputs by `activity_regularizer=`.

    Args:
        l1: λ₁. Default 0.
        l2: λ₂, without a factor ½. Default 0.

    Source: Keras 3, layers/regularization/activity_regularization.py.

    >>> ActivityRegularization(l2=0.01).activity_regularizer
    l1_l2(l1=0.0, l2=0.01)
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = float(l1), float(l2)
        self.activity_regularizer = self.unit(
            "regularizers", {"name": "l1_l2", "config": {"l1": self.l1, "l2": self.l2}}
        )

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return x, None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return dy


@hookimpl
def register_layers(register: Any) -> None:
    register("ActivityRegularization", ActivityRegularization, examples=({"l1": 0.01, "l2": 0.02},))
