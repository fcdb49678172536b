"""Initializers: 10⁵ numbers of each, with settings beside the defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.cases import DRAWS, Array, Case, Draw, Side, titled

INITIALIZERS: dict[str, list[dict[str, Any]]] = {
    "Zeros": [{}], "Ones": [{}], "Constant": [{}, {"value": 0.3}], "Identity": [{}, {"gain": 0.5}],
    "RandomUniform": [{}, {"minval": -0.2, "maxval": 0.6}],
    "RandomNormal": [{}, {"mean": 0.5, "stddev": 0.1}],
    "TruncatedNormal": [{}, {"mean": 0.5, "stddev": 0.1}],
    "GlorotUniform": [{}], "GlorotNormal": [{}], "HeUniform": [{}], "HeNormal": [{}], "LecunUniform": [{}],
    "LecunNormal": [{}], "Orthogonal": [{}, {"gain": 1.5}],
    "VarianceScaling": [
        {}, {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},
        {"scale": 0.5, "mode": "fan_avg", "distribution": "uniform"},
    ],
}  # fmt: skip


def cases() -> Iterator[Case]:
    """Each with its settings."""
    for name, settings in INITIALIZERS.items():
        for one in settings:
            yield Draw(titled(name, one), (f"initializers/{name}",), numbers(name, one))


def numbers(name: str, settings: dict[str, Any]) -> Any:
    """A matrix of the initializer's numbers."""

    def draw(side: Side) -> Array:
        made = getattr(side.initializers, name)(**settings)
        if side.name != "nbdl":
            return np.asarray(made(DRAWS))
        from nbdl.units.random import RandomStream

        return np.asarray(made(DRAWS, RandomStream(1, 0)))

    return draw
