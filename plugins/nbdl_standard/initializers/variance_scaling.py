"""Random numbers whose variance follows from fan in and fan out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Initializer, hookimpl
from nbdl.errors import ConfigError, did_you_mean
from nbdl.units import Range, fans

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units import RandomStream

MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
NARROWED = 0.87962566103423978  # the deviation that a normal distribution has left when it is cut at two of its own


class VarianceScaling(Initializer):
    """Random numbers whose variance follows from fan in and fan out.

    Formula: mean 0, variance scale/n, with n by `mode` fan in, fan out or their mean; of a matrix fan in is its rows,
    fan out its columns. "truncated_normal" has no value beyond two deviations of the normal distribution before it is
    cut, which is 1/0.8796 times as wide; "uniform" is U(-a, a) with a = √(3·scale/n).

    Args:
        scale: above 0. Default 1.
        mode: "fan_in" (default), "fan_out" or "fan_avg".
        distribution: "truncated_normal" (default; "normal" is the same), "untruncated_normal" or "uniform".

    The normal ones of Keras 1, and PyTorch's, are not cut: their like is "untruncated_normal".

    Raises:
        ConfigError: the scale is not above 0, or a name is unknown.

    Source: Keras 3, initializers/random_initializers.py.

    >>> VarianceScaling(scale=2.0, mode="fan_out")
    VarianceScaling(scale=2.0, mode='fan_out')
    """

    ignored: ClassVar = {"input_axes": (None,), "output_axes": (None,)}
    instead: ClassVar = dict.fromkeys(
        ("input_axes", "output_axes"), "not there: fans are counted from all axes but the last"
    )
    ranges: ClassVar = {"scale": Range(math.ulp(0.0), wanted="is a number above 0")}
    positions: ClassVar[tuple[str, ...]] = ("scale", "mode", "distribution", "seed", "input_axes", "output_axes")

    def __init__(self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal") -> None:
        distribution = {"normal": "truncated_normal"}.get(distribution.lower(), distribution.lower())
        for name, value, known in (("mode", mode, MODES), ("distribution", distribution, DISTRIBUTIONS)):
            if value not in known:
                raise ConfigError(
                    f"{type(self).__name__}: {name} is one of {', '.join(known)}, got {value!r}."
                    f"{did_you_mean(value, known)}"
                )
        self.scale, self.mode, self.distribution = float(scale), mode, distribution

    def __call__(self, shape: tuple[int, ...], random: RandomStream) -> np.ndarray:
        fan_in, fan_out = fans(shape)
        n = max({"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode], 1.0)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * self.scale / n)
            return random.uniform(shape, -limit, limit)
        deviation = math.sqrt(self.scale / n)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, 0.0, deviation)
        return random.truncated_normal(shape, 0.0, deviation / NARROWED)


@hookimpl
def register_initializers(register: Any) -> None:
    register(
        "variance_scaling",
        VarianceScaling,
        examples=({"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},),
    )
