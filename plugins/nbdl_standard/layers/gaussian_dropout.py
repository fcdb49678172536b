"""GaussianDropout: inputs times normal numbers around 1 while training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.program import times
from nbdl.units import Range
from nbdl_standard.layers.gaussian_noise import normal
from nbdl_standard.ranges import BELOW_ONE

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def around_one(u: float, v: float, deviation: float) -> float:
    return 1.0 + deviation * normal(u, v)


class GaussianDropout(Layer):
    """Inputs times normal numbers around 1 while training: Dropout's mean and variance without zeros.

    Formula: training y = x·(1 + √(rate/(1 - rate))·n) with n ~ N(0, 1), drawn anew for each number and step; after it
    y = x.

    Args:
        rate: as Dropout's, 0 ≤ rate < 1.

    The Keras 1 spelling `p` is accepted. The random numbers are a function of the model's seed and the step alone.

    Raises:
        ConfigError: rate is out of range.

    Source: Srivastava et al. 2014, section 10; Keras 3, layers/regularization/gaussian_dropout.py.

    >>> GaussianDropout(0.5).rate
    0.5
    """

    renamed = {"p": "rate"}

    ranges: ClassVar = {"rate": Range(0.0, BELOW_ONE.high, "is that of the Dropout it stands for, 0 <= rate < 1")}
    positions = ("rate", "seed")

    def __init__(self, rate: float) -> None:
        self.rate = float(rate)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        if not r.training:
            return x, None
        factor = r.map(around_one, r.uniform(x), r.uniform(x), math.sqrt(self.rate / (1.0 - self.rate)))
        return r.map(times, x, factor), factor

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return dy if saved is None else r.map(times, dy, saved)


@hookimpl
def register_layers(register: Any) -> None:
    register("GaussianDropout", GaussianDropout, examples=({"rate": 0.4},))
