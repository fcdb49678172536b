"""What losses of probabilities share: logits in their place, and smoothed targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Loss, Pair
from nbdl.errors import ConfigError
from nbdl.units.registry import registry

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def smooth(y: float, kept: float, added: float) -> float:
    return y * kept + added


class FromLogits(Loss):
    """A loss that takes the logits z of its only pair's activation as well as the probabilities p.

    Both ways to logits are one formula, the pair's: `from_logits=True`, and a model that ends in the activation.

    Args:
        from_logits: whether predictions are logits.
        label_smoothing: s from 0 to 1; targets y become y·(1 - s) + s/k, with k the number of choices that a
            distribution is over.

    Raises:
        ConfigError: `label_smoothing` is not from 0 to 1.
    """

    predictions = "probabilities"

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        if not 0.0 <= label_smoothing <= 1.0:
            raise ConfigError(f"{type(self).__name__}: label_smoothing is from 0 to 1, got {label_smoothing!r}")
        self.from_logits, self.label_smoothing = bool(from_logits), float(label_smoothing)
        if from_logits:
            self.pairs = {}

    def choices(self, outputs: int) -> int:
        """What a row's distribution is over: the classes."""
        return outputs

    def prepare(self, r: Recorder, y: Tensor, outputs: int) -> Tensor:
        s = self.label_smoothing
        return r.map(smooth, y, 1.0 - s, s / self.choices(outputs)) if s else y

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        if not self.from_logits:
            return super().values(r, y, p)
        return self._pair().values(r, y, p, *self._activated(r, p))

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        if not self.from_logits:
            return super().gradient(r, y, p)
        return self._pair().gradient(r, y, p, *self._activated(r, p))

    def _pair(self) -> Pair:
        (pair,) = type(self).pairs.values()
        return pair(self)

    def _activated(self, r: Recorder, z: Tensor) -> tuple[Tensor, Any]:
        (name,) = type(self).pairs
        p, saved = registry.make("activations", name).forward(r, z)
        return p, saved
