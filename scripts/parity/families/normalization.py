"""Normalisations: weights, moving statistics, and what they predict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity import tasks
from parity.cases import Case, Side, Training
from parity.families.layers import case, shaped

SHIFTS = {"center": False}
SCALES = {"scale": False}


def cases() -> Iterator[Case]:
    """Each with its settings, for vectors and for matrices."""
    for name, settings in (
        ("BatchNormalization", [{}, {"momentum": 0.6, "epsilon": 0.05}, SHIFTS, SCALES]),
        ("LayerNormalization", [{}, {"epsilon": 0.05}, SHIFTS, SCALES]),
        ("RMSNormalization", [{}, {"epsilon": 0.05}]),
        ("UnitNormalization", [{}]),
        ("Rescaling", [{"scale": 0.25, "offset": -1.5}]),
    ):
        for one in settings:
            yield case(name, one)
    yield shaped("BatchNormalization")
    yield shaped("LayerNormalization", axis=[1, 2])
    yield shaped("UnitNormalization", axis=[1, 2])
    yield frozen()
    yield penalised()
    yield Training("BatchNormalization in Adam", ("layers/BatchNormalization",), lambda side: [
        side.layers.Dense(16, use_bias=False), side.layers.BatchNormalization(), side.layers.Activation("relu"),
        side.layers.Dense(3)],
        optimizer=lambda side: side.optimizers.Adam(learning_rate=0.01))  # fmt: skip
    yield given()
    yield adapted()


def frozen() -> Training:
    """A batch normalization that is not trained normalises as in inference."""

    def net(side: Side) -> list[Any]:
        layer = side.layers.BatchNormalization()
        layer.trainable = False
        return [side.layers.Dense(16), layer, side.layers.Dense(3)]

    return Training("BatchNormalization, trainable=False", ("layers/BatchNormalization",), net)


def penalised() -> Training:
    """Penalties of gamma and beta."""

    def net(side: Side) -> list[Any]:
        settings = {"gamma_regularizer": "l2", "beta_regularizer": "l1"}
        return [
            side.layers.Dense(16), side.layers.BatchNormalization(**settings), side.layers.Dense(6),
            side.layers.LayerNormalization(**settings), side.layers.Dense(3),
        ]  # fmt: skip

    return Training("penalties of gamma and beta", ("layers/BatchNormalization", "layers/LayerNormalization"), net)


def given() -> Training:
    """Mean and variance as arguments."""

    def net(side: Side) -> list[Any]:
        mean, variance = np.linspace(-1, 1, 20), np.linspace(0.5, 2, 20)
        made = side.layers.Normalization(mean=mean.tolist(), variance=variance.tolist())
        return [made, side.layers.Dense(16, activation="tanh"), side.layers.Dense(3)]

    return Training("Normalization(mean=..., variance=...)", ("layers/Normalization",), net, own=("mean", "variance"))


def adapted() -> Training:
    """Mean and variance of the data."""

    def net(side: Side) -> list[Any]:
        return [side.layers.Normalization(), side.layers.Dense(16, activation="tanh"), side.layers.Dense(3)]

    return Training("Normalization, adapted", ("layers/Normalization",), net, task=tasks.regression(3.0), adapt=True)
