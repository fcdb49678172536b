"""The nets and data of whole runs: the lecture's and one with dropout, or tiny ones for the simulator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sizes:
    """Sizes of a whole run.

    Attributes:
        layers: inputs, hidden layers, classes.
        rows: of the data; not a multiple of `batch`.
    """

    layers: tuple[int, ...]
    rows: int
    batch: int


MANY_STEPS = 40  # rows a batch, at most: so full sizes have 75 whole batches
FULL = Sizes((784, 500, 500, 10), 3_037, 100)
TINY = Sizes((7, 5, 4, 3), 17, 5)


def of_many_steps(sizes: Sizes) -> Sizes:
    """So small batches that an epoch has several graphs of steps."""
    return replace(sizes, batch=min(sizes.batch, MANY_STEPS))


def data(sizes: Sizes, rows: int | None = None, seed: int = 0) -> tuple[Any, Any]:
    """Inputs in 0..1 and one-hot targets that a net can learn."""
    rng = np.random.default_rng(seed)
    inputs, classes = sizes.layers[0], sizes.layers[-1]
    x = rng.random((rows or sizes.rows, inputs), dtype=np.float32)
    labels = ((x - 0.5) @ np.random.default_rng(9).standard_normal((inputs, classes))).argmax(axis=1)
    return x, np.eye(classes, dtype=np.float32)[labels]


def lecture(sizes: Sizes, device: str, **compiling: Any) -> Any:
    """Sigmoid layers and softmax, crossentropy, Adam."""
    return _net(sizes, device, "sigmoid", 0.0, {"optimizer": "adam", **compiling})


def dropout(sizes: Sizes, device: str, **compiling: Any) -> Any:
    """Layers of tanh with dropout, RMSprop. Not relu: a rounding over its kink ends in another net."""
    return _net(sizes, device, "tanh", 0.2, {"optimizer": "rmsprop", **compiling})


def _net(sizes: Sizes, device: str, hidden: str, rate: float, compiling: dict[str, Any]) -> Any:
    from nbdl import Sequential
    from nbdl.layers import Dense, Dropout

    model, width = Sequential(seed=3), sizes.layers[0]
    for units in sizes.layers[1:-1]:
        model.add(Dense(units, activation=hidden, input_dim=width))
        if rate:
            model.add(Dropout(rate))
        width = units
    model.add(Dense(sizes.layers[-1], activation="softmax", input_dim=width))
    model.compile(**{"loss": "categorical_crossentropy", "metrics": ["accuracy"], "device": device, **compiling})
    model.build()
    return model
