"""RepeatVector: every row several times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.ranges import POSITIVE_INTEGER

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


def fold(x: Any, features: Any, y: Any) -> None:
    """y[i, j] = Σ_k x[i, k·n + j], in the order of k."""
    n = y.shape[1]
    for i in range(y.shape[0]):
        for j in range(n):
            y[i, j] = x[i, j]
        for start in range(n, x.shape[1], n):
            for j in range(n):
                y[i, j] += x[i, start + j]


def fold_cuda(row: int, thread: int, threads: int, x: Any, features: Any, y: Any) -> None:
    """The same for a GPU."""
    n, end = int(features[1]), row * int(features[0]) + int(features[0])
    j = thread
    while j < n:
        at = row * int(features[0]) + j
        total = x[at]
        at += n
        while at < end:
            total += x[at]
            at += n
        y[row * n + j] = total
        j += threads


class RepeatVector(Layer):
    """Every row n times: what a vector becomes for layers that take sequences.

    Formula: y[row, k, j] = x[row, j] for k = 0 ... n - 1; dx[row, j] = Σ_k dy[row, k, j].

    Args:
        n: how many times.

    Raises:
        ConfigError: n is not a positive integer, or the rows are no vectors.

    Source: Keras 3, layers/reshaping/repeat_vector.py.

    >>> RepeatVector(3, input_dim=32).n
    3
    """

    moves_only = True
    ranges: ClassVar = {"n": POSITIVE_INTEGER}

    def __init__(self, n: int) -> None:
        self.n = int(n)

    def build(self, b: Builder, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ConfigError(
                f"RepeatVector {self.name!r} takes vectors, its input has {shape}: add Flatten() before it"
            )
        return (self.n, *shape)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.take(x, list(range(x.features)) * self.n, (self.n, x.features)), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        sizes = r.table([dy.features, x.features])
        return r.kernel(fold, dy, sizes, shapes=[x.shape], name="fold", cuda=fold_cuda)


@hookimpl
def register_layers(register: Any) -> None:
    register("RepeatVector", RepeatVector, examples=({"n": 3},))
