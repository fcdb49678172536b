"""Rescaling: inputs brought to another range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError
from nbdl.program import times
from nbdl.units import is_number

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def rescaled(x: float, scale: float, offset: float) -> float:
    return x * scale + offset


class Rescaling(Layer):
    """Inputs brought to another range, in training and after it: pixels of 0 to 255 to 0 to 1, say.

    Formula: y = x·scale + offset.

    Args:
        scale: factor of all inputs.
        offset: what is added.

    Raises:
        ConfigError: scale or offset is not a number. (Keras also takes one for each feature: use Normalization.)

    Source: Keras 3, layers/preprocessing/rescaling.py.

    >>> Rescaling(1 / 127.5, offset=-1).offset
    -1.0
    """

    rescales = True

    def __init__(self, scale: Any, offset: Any = 0.0) -> None:
        for name, value in (("scale", scale), ("offset", offset)):
            if not is_number(value):
                raise ConfigError(
                    f"Rescaling: {name} is one number for all features, got {value!r}; for one each use "
                    "Normalization(mean=..., variance=...)"
                )
        self.scale, self.offset = float(scale), float(offset)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.map(rescaled, x, self.scale, self.offset), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.map(times, dy, self.scale)


@hookimpl
def register_layers(register: Any) -> None:
    register("Rescaling", Rescaling, examples=({"scale": 0.25, "offset": -1.5},))
