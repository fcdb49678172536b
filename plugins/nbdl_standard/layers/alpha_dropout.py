"""AlphaDropout: dropout that keeps mean 0 and variance 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl_standard.ranges import DROPPED

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor

SATURATION = -1.6732632423543772 * 1.0507009873554805  # of selu: its limit towards -infinity


def saturate(x: float, u: float, rate: float, a: float, kept: float, dropped: float) -> float:
    # 0.0 * x: a NaN must not be dropped unseen.
    return a * x + kept if u >= rate else 0.0 * x + dropped


class AlphaDropout(Layer):
    """Dropout for selu: what is dropped becomes selu's lowest value, and mean 0 and variance 1 stay as they are.

    Formula: training y = a·(x·m + α'·(1 - m)) + b with m ~ Bernoulli(1 - rate), α' = -1.7581 (selu's limit),
    a = ((1 - rate)·(1 + rate·α'²))^(-1/2) and b = -a·α'·rate; after it y = x.

    Args:
        rate: share that is dropped, 0 ≤ rate < 1.

    The spelling `p` is accepted. The random numbers are a function of the model's seed and the step alone.

    Raises:
        ConfigError: rate is out of range.

    Source: Klambauer et al. 2017; Keras 3, layers/regularization/alpha_dropout.py.

    >>> AlphaDropout(0.1).rate
    0.1
    """

    renamed = {"p": "rate"}

    ignored: ClassVar = {"noise_shape": (None,)}
    instead: ClassVar = {"noise_shape": "not there: every element is drawn by itself"}
    ranges: ClassVar = {"rate": DROPPED}
    positions = ("rate", "noise_shape", "seed")

    def __init__(self, rate: float) -> None:
        self.rate = float(rate)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        if not r.training:
            return x, None
        u, a = r.uniform(x), self._factor()
        b = -a * SATURATION * self.rate
        return r.map(saturate, x, u, self.rate, a, b, a * SATURATION + b), u

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return dy if saved is None else r.map(saturate, dy, saved, self.rate, self._factor(), 0.0, 0.0)

    def _factor(self) -> float:
        return float(((1.0 - self.rate) * (1.0 + self.rate * SATURATION**2)) ** -0.5)


@hookimpl
def register_layers(register: Any) -> None:
    register("AlphaDropout", AlphaDropout, self_normalizing=True, examples=({"rate": 0.3},))
