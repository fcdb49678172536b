"""A layer with weights of its own, in three of the four operations: map, sum and gemm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl

if TYPE_CHECKING:
    from nbdl.building import Builder
    from nbdl.engine.program import Recorder, Tensor


def scaled(x: float, s: float) -> float:
    return x * s


class ToyScaledProduct(Layer):
    """A product whose inputs are scaled first.

    Formula: y = activation((x·s)·W), with s of shape (features of x,) and W of shape (features of x, units).

    Args:
        units: number of outputs.
        activation: name or unit.
    """

    def __init__(self, units: int, activation: Any = None) -> None:
        self.units = units
        self.activation = self.unit("activations", activation)

    def build(self, b: Builder, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.scale = b.weight("scale", shape, "toy_spread")
        self.matrix = b.weight("matrix", (shape[0], self.units), "toy_spread")
        return (self.units,)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        z = r.map(scaled, x, self.scale)
        return r.gemm(z, self.matrix), z

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        r.gradient(self.matrix, r.gemm(saved, dy, transpose_a=True))
        dz = r.gemm(dy, self.matrix, transpose_b=True)
        r.gradient(self.scale, r.sum(scaled, dz, x))
        return r.map(scaled, dz, self.scale)


@hookimpl
def register_layers(register: Callable[..., None]) -> None:
    register("ToyScaledProduct", ToyScaledProduct)
