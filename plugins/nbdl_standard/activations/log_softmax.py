"""Log-softmax: the logarithms of a row's softmax."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.program import same
from nbdl_standard.activations.last_axis import LastAxis
from nbdl_standard.activations.softmax import exponential, subtract

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def subtract_log(x: float, total: float) -> float:
    return x - math.log(total)


def derivative(y: float, dy: float, total: float) -> float:
    return dy - math.exp(y) * total


class LogSoftmax(LastAxis):
    """The logarithms of a row's softmax.

    Formula: yᵢ = xᵢ - m - ln Σⱼ e^(xⱼ - m), with m the largest of the row; dxᵢ = dyᵢ - e^yᵢ·Σⱼ dyⱼ.

    Args:
        axis: -1: over all features of a row.

    Raises:
        ConfigError: another axis, or rows that are not vectors.

    Source: Keras 3, activations/activations.py.

    >>> LogSoftmax()
    LogSoftmax()
    """

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        shifted = r.map(subtract, x, r.sum(same, x, over="features", reduction="max"))
        return r.map(subtract_log, shifted, r.sum(exponential, shifted, over="features")), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.map(derivative, y, dy, r.sum(same, dy, over="features"))


@hookimpl
def register_activations(register: Any) -> None:
    register("log_softmax", LogSoftmax)
