"""Identity: a layer that passes its inputs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


class Identity(Layer):
    """A layer that passes its inputs on as they are.

    Formula: y = x.

    Source: Keras 3, layers/core/identity.py.

    >>> Identity()
    Identity()
    """

    moves_only = True

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return x, None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return dy


@hookimpl
def register_layers(register: Any) -> None:
    register("Identity", Identity)
