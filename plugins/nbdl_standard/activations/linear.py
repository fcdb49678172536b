"""Linear: the identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Activation, hookimpl

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class Linear(Activation):
    """The identity; nothing is computed.

    Formula: y = x; dx = dy.

    Source: Keras 3, activations/activations.py.

    >>> Linear().get_config()
    {}
    """

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return x, None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return dy


@hookimpl
def register_activations(register: Any) -> None:
    register("linear", Linear)
