"""Dropout: random zeros against overfitting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.ranges import DROPPED

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def drop(x: float, u: float, rate: float, scale: float) -> float:
    # 0.0 * x rather than 0.0: a NaN must not be dropped unseen.
    return x * scale if u >= rate else 0.0 * x


def keep(x: float, scale: float) -> float:
    return x * scale


class Dropout(Layer):
    """Sets a random share of its inputs to zero while training.

    Formula, inverted (as in Keras): training y = x·m/(1 - rate) with m ~ Bernoulli(1 - rate); after it y = x.
    Classic (as in the paper and the lecture): training y = x·m; after it y = x·(1 - rate).

    Args:
        rate: share that is dropped, 0 ≤ rate < 1.
        scaling: "inverted" or "classic". Both have the same expectation; weights trained with one are those of
            the other times (1 - rate).

    The Keras 1 spelling `p` is accepted. The random numbers are a function of the model's seed and the step alone.

    Raises:
        ConfigError: rate or scaling is out of range.

    Source: Srivastava et al. 2014, JMLR 15; Keras 3, layers/regularization/dropout.py.

    >>> Dropout(0.5).rate
    0.5
    """

    renamed = {"p": "rate"}

    ignored: ClassVar = {"noise_shape": (None,)}
    instead: ClassVar = {"noise_shape": "not there: every element is drawn by itself"}
    ranges: ClassVar = {"rate": DROPPED}
    positions = ("rate", "noise_shape", "seed")

    def __init__(self, rate: float, scaling: str = "inverted") -> None:
        if scaling not in ("inverted", "classic"):
            raise ConfigError(f"Dropout: scaling is 'inverted' or 'classic', got {scaling!r}")
        self.rate, self.scaling = float(rate), scaling
        self.zeroes = self.rate > 0.0

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        if not r.training:
            return self._expected(r, x), None
        u = r.uniform(x)
        return r.map(drop, x, u, self.rate, self._scale()), u

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        if not r.training:
            return self._expected(r, dy)
        return r.map(drop, dy, saved, self.rate, self._scale())

    def _expected(self, r: Recorder, x: Tensor) -> Tensor:
        return x if self.scaling == "inverted" else r.map(keep, x, 1.0 - self.rate)

    def _scale(self) -> float:
        return 1.0 / (1.0 - self.rate) if self.scaling == "inverted" else 1.0


@hookimpl
def register_layers(register: Any) -> None:
    register("Dropout", Dropout, examples=({"rate": 0.4}, {"rate": 0.25, "scaling": "classic"}))
