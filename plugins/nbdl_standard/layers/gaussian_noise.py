"""GaussianNoise: normal numbers added to the inputs while training."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.units import Range

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def normal(u: float, v: float) -> float:
    """A standard normal number from two uniform ones in [0, 1), by Box and Muller; 1 - u is never 0."""
    return math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(6.283185307179586 * v)


def noisy(x: float, u: float, v: float, deviation: float) -> float:
    return x + deviation * normal(u, v)


class GaussianNoise(Layer):
    """Normal numbers with mean 0 added to the inputs while training.

    Formula: training y = x + stddev·n with n ~ N(0, 1), drawn anew for each number and step; after it y = x.

    Args:
        stddev: standard deviation of the noise, 0 or more. (Keras 3 wants 1 at most.)

    The Keras 1 spelling `sigma` is accepted. The random numbers are a function of the model's seed and the step alone.

    Raises:
        ConfigError: stddev is negative.

    Source: Keras 3, layers/regularization/gaussian_noise.py; Box and Muller 1958.

    >>> GaussianNoise(0.1).stddev
    0.1
    """

    renamed = {"sigma": "stddev"}

    ranges: ClassVar = {"stddev": Range(0.0, sys.float_info.max, "is a standard deviation, 0 or more")}
    positions = ("stddev", "seed")

    def __init__(self, stddev: float) -> None:
        self.stddev = float(stddev)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.map(noisy, x, r.uniform(x), r.uniform(x), self.stddev) if r.training else x, None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return dy


@hookimpl
def register_layers(register: Any) -> None:
    register("GaussianNoise", GaussianNoise, examples=({"stddev": 0.3},))
