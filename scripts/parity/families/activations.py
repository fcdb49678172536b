"""Activations, between two dense layers whose sums reach every branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nbdl import Activation
from nbdl.testing.subject import subjects
from nbdl.testing.suite import entries
from nbdl.units.activation import ElementwiseActivation
from nbdl.units.entry import Entry
from parity.cases import Array, Case, Otherwise, Side, Training, Truth, descent, squares, titled
from parity.tasks import regression

# Settings beside the defaults and the examples that units are registered with.
MORE: dict[str, list[dict[str, Any]]] = {
    "relu": [{"negative_slope": 0.1}, {"max_value": 2.0}, {"threshold": 0.5},
             {"negative_slope": 0.2, "threshold": 1.0, "max_value": 3.0}],
}  # fmt: skip
NARROW = {"exponential": 0.3}  # the inputs' spread; 2 else
RATE = 0.01
EXPLAINED = {
    "sparsemax": "Keras adds up all partial sums of its support where the last one is meant, so its rows do not add up "
    "to 1; nbdl's is the paper's, as the case beside NumPy shows",
}


def cases() -> Iterator[Case]:
    """Each activation of the registry, with its defaults, its examples and what there is more."""
    for entry in entries("nbdl"):
        if entry.kind == Activation.kind:
            for settings in [*(subject.arguments for subject in subjects(entry)), *MORE.get(entry.name, ())]:
                yield activation(entry, dict(settings))
    yield beside_numpy()


def activation(entry: Entry, settings: dict[str, Any]) -> Training:
    """A case: beside Keras, or if that lacks the name beside the unit's own scalar functions."""
    name = entry.name

    def net(side: Side) -> list[Any]:
        made = side.activation(name, **settings) if settings else name
        if side.name == "Keras" and name == "glu":  # Keras's Activation says that it keeps the shape
            made = side.layers.Lambda(side.activation(name))
        else:
            made = side.layers.Activation(made)
        return [side.layers.Dense(16), made, side.layers.Dense(3)]

    scale = NARROW.get(name, 2.0)
    return Training(
        titled(name, settings), (f"activations/{name}",), net, optimizer=descent(RATE), task=regression(scale),
        otherwise=own_functions(entry, settings), explained=EXPLAINED.get(name, ""),
    )  # fmt: skip


def own_functions(entry: Entry, settings: dict[str, Any]) -> Otherwise | None:
    """The net around a unit that is made of scalar functions, which Python computes in float64."""
    unit = entry.target(**settings)
    if not isinstance(unit, ElementwiseActivation):
        return None
    f = np.vectorize(unit.functions[0], otypes=[np.float64])

    def forward(weights: list[Array], x: Array) -> Array:
        first, bias, second, offset = weights
        return np.asarray(f(x @ first + bias, *unit.parameters.values())) @ second + offset

    return Otherwise(settings, Truth(forward, squares, lambda step: RATE))


def sparsemax(z: Array) -> Array:
    """max(z - τ, 0) of each row, τ such that it adds up to 1: halved until it does."""
    low, high = z.max(axis=1) - 1.0, z.max(axis=1)
    for _ in range(60):
        middle = (low + high) / 2
        above = np.maximum(z - middle[:, None], 0.0).sum(axis=1) > 1.0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(z - high[:, None], 0.0)


def beside_numpy() -> Training:
    """What Keras has wrong."""

    def forward(weights: list[Array], x: Array) -> Array:
        first, bias, second, offset = weights
        return sparsemax(x @ first + bias) @ second + offset

    return Training(
        "sparsemax, beside NumPy", ("activations/sparsemax",),
        lambda side: [side.layers.Dense(5, activation="sparsemax"), side.layers.Dense(3)], task=regression(2.0),
        truth=Truth(forward, squares, lambda step: 0.05),
    )  # fmt: skip
