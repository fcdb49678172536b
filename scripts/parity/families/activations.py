"""Activations, between two dense layers whose sums reach every branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.cases import Array, Case, Side, Training, Truth, descent, squares, titled
from parity.tasks import regression

# By name, the settings beside the defaults.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "linear": [], "sigmoid": [], "tanh": [], "softmax": [], "softplus": [], "softsign": [],
    "relu": [{"negative_slope": 0.1}, {"max_value": 2.0}, {"threshold": 0.5},
             {"negative_slope": 0.2, "threshold": 1.0, "max_value": 3.0}],
    "relu6": [], "hard_sigmoid": [], "elu": [{"alpha": 0.5}], "selu": [], "celu": [{"alpha": 2.0}],
    "leaky_relu": [{"negative_slope": 0.05}], "silu": [], "hard_silu": [], "gelu": [{"approximate": True}],
    "exponential": [], "mish": [], "hard_tanh": [], "log_softmax": [], "log_sigmoid": [],
    "soft_shrink": [{"threshold": 1.0}], "hard_shrink": [{"threshold": 1.0}], "tanh_shrink": [],
    "threshold": [{"threshold": 0.5, "default_value": -0.3}], "squareplus": [{"b": 0.2}],
    "sparse_plus": [], "sparse_sigmoid": [],
    "glu": [], "sparsemax": [],
}  # fmt: skip
NARROW = {"exponential": 0.3}  # the inputs' spread; 2 else
REQUIRED = {"threshold"}  # without defaults
EXPLAINED = {
    "sparsemax": "Keras adds up all partial sums of its support where the last one is meant, so its rows do not add up "
    "to 1; nbdl's is the paper's, as the case beside NumPy shows",
}


def cases() -> Iterator[Case]:
    """Each activation with each of its settings."""
    for name, others in SETTINGS.items():
        for settings in others if name in REQUIRED else [{}, *others]:
            yield activation(name, settings)
    yield beside_numpy()


def activation(name: str, settings: dict[str, Any]) -> Training:
    """A case."""

    def net(side: Side) -> list[Any]:
        made = side.activation(name, **settings) if settings else name
        if side.name == "Keras" and name == "glu":  # Keras's Activation says that it keeps the shape
            made = side.layers.Lambda(side.activation(name))
        else:
            made = side.layers.Activation(made)
        return [side.layers.Dense(16), made, side.layers.Dense(3)]

    scale = NARROW.get(name, 2.0)
    return Training(
        titled(name, settings), (f"activations/{name}",), net, optimizer=descent(0.01), task=regression(scale),
        explained=EXPLAINED.get(name, ""),
    )  # fmt: skip


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
