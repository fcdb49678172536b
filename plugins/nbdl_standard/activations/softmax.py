"""Softmax: a row as a probability distribution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.program import per, same, times
from nbdl_standard.activations.last_axis import LastAxis

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def subtract(x: float, m: float) -> float:
    return x - m


def exponential(x: float) -> float:
    return math.exp(x)


def derivative(y: float, dy: float, total: float) -> float:
    return y * (dy - total)


class Softmax(LastAxis):
    """A row as a probability distribution.

    Formula: yᵢ = e^(xᵢ - m)/Σⱼ e^(xⱼ - m), with m the largest of the row; dxᵢ = yᵢ·(dyᵢ - Σⱼ dyⱼ·yⱼ).

    Args:
        axis: -1: over all features of a row.

    `forward` saves the shifted x and the sum of exponentials for losses that form a pair with it.

    Raises:
        ConfigError: another axis, or rows that are not vectors.

    Source: Bridle 1990; Keras 3, activations/activations.py.

    >>> Softmax()
    Softmax()
    """

    adds_up = True

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        shifted = r.map(subtract, x, r.sum(same, x, over="features", reduction="max"))
        e = r.map(exponential, shifted)
        total = r.sum(same, e, over="features")
        return r.map(per, e, total), (shifted, total)

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.map(derivative, y, dy, r.sum(times, dy, y, over="features"))


@hookimpl
def register_activations(register: Any) -> None:
    register("softmax", Softmax)
