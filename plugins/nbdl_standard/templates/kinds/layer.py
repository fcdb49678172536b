"""MyUnit: outputs in increasing order. It shows all four operations: gemm, map, kernel and sum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl

if TYPE_CHECKING:
    from nbdl import Builder, Recorder, Tensor


# For `map` and `sum`: scalar functions, applied to every element.
def softplus(z: float) -> float:
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def softplus_gradient(ds: float, s: float) -> float:
    return ds * -math.expm1(-s)


def same(dz: float) -> float:
    return dz


# For `kernel`: what cannot be said of single elements. Arrays are rows × features; every row is by itself.
def running_sum(s: Any, y: Any) -> None:
    for i in range(y.shape[0]):
        total = 0.0
        for j in range(y.shape[1]):
            total += s[i, j]
            y[i, j] = total


def running_sum_gradient(dy: Any, ds: Any) -> None:
    for i in range(ds.shape[0]):
        total = 0.0
        for j in range(ds.shape[1] - 1, -1, -1):
            total += dy[i, j]
            ds[i, j] = total


class MyUnit(Layer):
    """Outputs in increasing order, as quantiles and thresholds are.

    Formula: y_j = s_1 + ... + s_j, with s = ln(1 + e^z) and z = x·W + b.

    Args:
        units: number of outputs.

    Source: this package.
    """

    def __init__(self, units: int) -> None:
        self.units = units

    # The weights, by the shape of one row of inputs; it returns that of one row of outputs.
    def build(self, b: Builder, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.kernel = b.weight("kernel", (shape[0], self.units), "glorot_uniform")
        self.bias = b.weight("bias", (self.units,), "zeros")
        return (self.units,)

    # y, and what `backward` needs beside x and y.
    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        z = r.gemm(x, self.kernel, bias=self.bias)
        s = r.map(softplus, z)
        return r.kernel(running_sum, s, shapes=[s.shape]), s

    # The gradient of each weight, and that of x.
    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        ds = r.kernel(running_sum_gradient, dy, shapes=[dy.shape])
        dz = r.map(softplus_gradient, ds, saved)
        r.gradient(self.kernel, r.gemm(x, dz, transpose_a=True))
        r.gradient(self.bias, r.sum(same, dz))
        return r.gemm(dz, self.kernel, transpose_b=True)


@hookimpl
def register_layers(register: Any) -> None:
    # A layer that needs arguments says by examples which to test.
    register("MyUnit", MyUnit, examples=({"units": 4},))
