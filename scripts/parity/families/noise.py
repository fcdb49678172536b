"""Random layers: trained without randomness, predictions with it, and the moments of what they draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.cases import DRAWS, Array, Case, Draw, Side, Training, titled
from parity.families.layers import between

LAYERS = {"Dropout": ("rate", 0.3), "GaussianDropout": ("rate", 0.3), "AlphaDropout": ("rate", 0.3),
          "GaussianNoise": ("stddev", 0.5)}  # fmt: skip


def cases() -> Iterator[Case]:
    """Three cases for each."""
    for name, (argument, value) in LAYERS.items():
        units = (f"layers/{name}",)
        yield Training(titled(name, {argument: 0.0}), units, between(name, **{argument: 0.0}))
        yield Training(
            titled(name, {argument: value}, ", predictions"), units, between(name, **{argument: value}), steps=0
        )
        yield Draw(
            titled(name, {argument: value}, ", what it makes of numbers"), units, outputs(name, {argument: value})
        )


def outputs(name: str, settings: dict[str, Any]) -> Any:
    """What the layer makes of evenly spaced numbers, in training."""

    def draw(side: Side) -> Array:
        x = np.linspace(-1.0, 2.0, int(np.prod(DRAWS)), dtype=np.float32).reshape(DRAWS)
        layer = getattr(side.layers, name)(**settings)
        if side.name != "nbdl":
            return np.asarray(layer(x, training=True))
        from nbdl.testing.probe import Probe
        from nbdl.testing.units import layer_forward

        layer.name = "layer"
        return Probe("training", layer_forward(layer), [x], unit=layer).run().output.reshape(DRAWS)

    return draw
