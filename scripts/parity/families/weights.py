"""Weights of rows and classes, with several losses; frozen layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from parity import tasks
from parity.cases import Case, Side, Task, Training

LOSSES: dict[str, tuple[Callable[[], Task], str]] = {
    "MeanSquaredError": (tasks.regression(), "linear"),
    "BinaryCrossentropy": (tasks.binary, "sigmoid"),
    "CategoricalCrossentropy": (tasks.classes, "softmax"),
    "SparseCategoricalCrossentropy": (tasks.sparse, "softmax"),
}
CLASS_WEIGHT = {0: 0.5, 1: 2.0, 2: 1.25}


def cases() -> Iterator[Case]:
    """sample_weight with each loss, class_weight where there are classes, both, and with a penalty."""
    for name in LOSSES:
        yield weighted(name, "sample_weight", sample_weight=tasks.row_weights())
    for name in ("CategoricalCrossentropy", "SparseCategoricalCrossentropy"):
        yield weighted(name, "class_weight", class_weight=CLASS_WEIGHT)
        yield weighted(name, "both weights", sample_weight=tasks.row_weights(), class_weight=CLASS_WEIGHT)
    yield weighted("SparseCategoricalCrossentropy", "class_weight='balanced'", class_weight="balanced")
    yield frozen()


def weighted(name: str, how: str, **weights: Any) -> Training:
    """A case."""
    task, last = LOSSES[name]

    def net(side: Side) -> list[Any]:
        first = side.layers.Dense(16, activation="tanh", kernel_regularizer="l2")
        return [first, side.layers.Dense(tasks.OUTPUTS, activation=last)]

    return Training(
        f"{name}, {how}", (f"losses/{name}",), net, lambda side: getattr(side.losses, name)(),
        task=lambda: replace(task(), **weights),
    )  # fmt: skip


def frozen() -> Training:
    """A layer that is not trained."""

    def net(side: Side) -> list[Any]:
        first = side.layers.Dense(16, activation="tanh")
        first.trainable = False
        return [first, side.layers.Dense(16, activation="tanh"), side.layers.Dense(tasks.OUTPUTS)]

    return Training("Dense, trainable=False", ("layers/Dense",), net)
