"""PReLU: a rectifier that learns its slope below 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError
from nbdl.program import same
from nbdl_standard.weights import keep, make

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


def f(x: float, alpha: float) -> float:
    return x if x > 0.0 else alpha * x


def df(dy: float, x: float, alpha: float) -> float:
    return dy if x > 0.0 else alpha * dy


def alpha_slope(dy: float, x: float) -> float:
    return dy * min(x, 0.0)


class PReLU(Layer):
    """A rectifier that learns its slope below 0, one for each feature or one for all.

    Formula: y = x for x > 0, alpha·x below, with alpha of the shape of a row of x.

    Args:
        alpha_initializer: first values of alpha.
        alpha_regularizer: penalty on alpha, added to the loss.
        alpha_constraint: projection of alpha after each update.
        shared_axes: None, or all axes of a row, from 1 (for vectors 1 or [1]): one alpha for all, of shape (1, ...).
            PyTorch's default is one alpha, first 0.25.

    Raises:
        ConfigError: shared_axes are some axes of a row, but not all.

    Source: He et al. 2015; Keras 3, layers/activations/prelu.py.

    >>> PReLU(shared_axes=1, input_dim=5).shared_axes
    [1]
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
    ) -> None:
        keep(self, "alpha", alpha_initializer, alpha_regularizer, alpha_constraint)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else list(shared_axes or [])

    def build(self, b: Builder, shape: Shape) -> Shape:
        axes = list(range(1, len(shape) + 1))
        if self.shared_axes and sorted(self.shared_axes) != axes:
            raise ConfigError(
                f"PReLU {self.name!r}: shared_axes of rows of shape {shape} are None or {axes}, all of them, got "
                f"{self.shared_axes}"
            )
        self.alpha = make(self, b, "alpha", (1,) * len(shape) if self.shared_axes else shape)
        return shape

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.map(f, x, self.alpha), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        slope = r.sum(alpha_slope, dy, x)
        r.gradient(self.alpha, r.sum(same, slope, over="features") if self.alpha.features == 1 else slope)
        return r.map(df, dy, x, self.alpha)


@hookimpl
def register_layers(register: Any) -> None:
    register("PReLU", PReLU, kinks=(0.0,), examples=({"shared_axes": [1], "alpha_initializer": "glorot_uniform"},))
