"""GLU: the gated linear unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.activations.last_axis import LastAxis
from nbdl_standard.activations.sigmoid import f as sigmoid
from nbdl_standard.activations.sigmoid import slope

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor


def gated(x: Any, half: Any, y: Any) -> None:
    """y = a·σ(b) of rows x = (a, b)."""
    n = y.shape[1]
    for i in range(y.shape[0]):
        for j in range(n):
            y[i, j] = x[i, j] * sigmoid(x[i, n + j])


def gated_cuda(row: int, thread: int, threads: int, x: Any, half: Any, y: Any) -> None:
    """The same, the columns shared out among the threads; j counts y's elements, and a row of x has twice as many."""
    first = row * int(half[0])
    end = first + int(half[0])
    j = first + thread
    while j < end:
        y[j] = x[first + j] * sigmoid(x[end + j])
        j += threads


def derivative(x: Any, dy: Any, half: Any, dx: Any) -> None:
    """dx = (da, db) = (dy·σ(b), dy·a·σ'(b))."""
    n = dy.shape[1]
    for i in range(dy.shape[0]):
        for j in range(n):
            dx[i, j] = dy[i, j] * sigmoid(x[i, n + j])
            dx[i, n + j] = dy[i, j] * x[i, j] * slope(x[i, n + j])


def derivative_cuda(row: int, thread: int, threads: int, x: Any, dy: Any, half: Any, dx: Any) -> None:
    """The same, shared out likewise."""
    first = row * int(half[0])
    end = first + int(half[0])
    j = first + thread
    while j < end:
        dx[first + j] = dy[j] * sigmoid(x[end + j])
        dx[end + j] = dy[j] * x[first + j] * slope(x[end + j])
        j += threads


class Glu(LastAxis):
    """The gated linear unit: the first half of a row, each element by the sigmoid of its partner in the second.

    Formula: y = a·σ(b) for rows x = (a, b); n features become n/2.

    Args:
        axis: -1: the features of a row are halved.

    Raises:
        ConfigError: another axis, rows that are not vectors, or an odd number of features.

    Source: Dauphin et al. 2017; Keras 3, activations/activations.py.

    >>> Glu().output_shape((10,))
    (5,)
    """

    def output_shape(self, shape: Shape) -> Shape:
        (features,) = super().output_shape(shape)
        if features % 2:
            raise ConfigError(f"glu halves its features, so their number must be even, got {features}")
        return (features // 2,)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        half = x.features // 2
        return r.kernel(gated, x, float(half), shapes=[(half,)], name="glu", cuda=gated_cuda), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        half = float(y.features)
        dx: Tensor = r.kernel(derivative, x, dy, half, shapes=[x.shape], name="glu", cuda=derivative_cuda)
        return dx


@hookimpl
def register_activations(register: Any) -> None:
    register("glu", Glu)
