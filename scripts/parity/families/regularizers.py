"""Regularizers, of kernels, biases and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from parity.cases import Case, Side, Training, titled
from parity.tasks import OUTPUTS

REGULARIZERS: dict[str, list[dict[str, Any]]] = {
    "L1": [{}, {"l1": 0.05}],
    "L2": [{}, {"l2": 0.05}],
    "L1L2": [{}, {"l1": 0.02, "l2": 0.03}],
    "OrthogonalRegularizer": [{}, {"factor": 0.05, "mode": "columns"}],
}
PLACES = ("kernel_regularizer", "bias_regularizer", "activity_regularizer")


def cases() -> Iterator[Case]:
    """Each regularizer with each setting, on all that it fits."""
    for name, settings in REGULARIZERS.items():
        for one in settings:
            matrices = name == "OrthogonalRegularizer"
            for place in PLACES[:1] if matrices else PLACES:
                yield regularizer(name, one, place)
    yield everywhere()


def regularizer(name: str, settings: dict[str, Any], place: str) -> Training:
    """A case."""

    def net(side: Side) -> list[Any]:
        made = getattr(side.regularizers, name)(**settings)
        return [side.layers.Dense(16, activation="tanh", **{place: made}), side.layers.Dense(OUTPUTS)]

    return Training(titled(name, settings, f" as {place}"), (f"regularizers/{name}",), net)


def everywhere() -> Training:
    """Several penalties at once, with weighted rows."""

    def net(side: Side) -> list[Any]:
        first = side.layers.Dense(16, activation="tanh", **dict.fromkeys(PLACES, "l2"))
        return [first, side.layers.Dense(OUTPUTS, kernel_regularizer="l1", activity_regularizer="l1")]

    return Training("L1 and L2 in five places", ("regularizers/L1", "regularizers/L2"), net)
