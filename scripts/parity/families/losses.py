"""Losses, after the activation that they are made for, after none, and after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from parity import tasks
from parity.cases import Case, Side, Task, Training, descent, titled


@dataclass(frozen=True)
class About:
    """What a loss wants: data, last activation, settings beside the defaults as (settings, last activation)."""

    task: Callable[[], Task]
    last: str = "linear"
    others: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    rate: float = 0.05


SMOOTH = {"label_smoothing": 0.1}
LOGITS = {"from_logits": True}
CROSSENTROPY = [(SMOOTH, "softmax"), (LOGITS, "linear"), ({**LOGITS, **SMOOTH}, "linear"), ({}, "softplus")]
BINARY = [(SMOOTH, "sigmoid"), (LOGITS, "linear"), ({**LOGITS, **SMOOTH}, "linear"), ({}, "hard_sigmoid")]
FOCAL: dict[str, Any] = {"alpha": 0.6, "gamma": 1.5}
LOSSES = {
    "MeanSquaredError": About(tasks.regression()),
    "MeanAbsoluteError": About(tasks.regression()),
    "MeanAbsolutePercentageError": About(tasks.positive, rate=0.0005),
    "MeanSquaredLogarithmicError": About(tasks.positive, "softplus", [({}, "linear")]),
    "LogCosh": About(tasks.regression()),
    "Huber": About(tasks.regression(), others=[({"delta": 0.3}, "linear")]),
    "CosineSimilarity": About(tasks.regression()),
    "SquaredHinge": About(tasks.signs, "tanh"),
    "Hinge": About(tasks.signs, "tanh"),
    "CategoricalHinge": About(tasks.classes, "softmax", [({}, "linear")]),
    "KLDivergence": About(tasks.distributions, "softmax", [({}, "sigmoid")]),
    "Poisson": About(tasks.counts, "softplus"),
    "BinaryCrossentropy": About(tasks.binary, "sigmoid", BINARY),
    "CategoricalCrossentropy": About(tasks.classes, "softmax", CROSSENTROPY),
    "SparseCategoricalCrossentropy": About(
        tasks.sparse, "softmax", [(LOGITS, "linear"), ({}, "softplus"), ({"ignore_class": 1}, "softmax"),
                                  ({"ignore_class": 1, **LOGITS}, "linear")],
    ),
    "BinaryFocalCrossentropy": About(
        tasks.binary, "sigmoid", [({"apply_class_balancing": True}, "sigmoid"), (FOCAL, "sigmoid"), *BINARY[:3]]
    ),
    "CategoricalGeneralizedCrossEntropy": About(tasks.flat, "softmax", [({"q": 0.8}, "softmax")]),
    "CategoricalFocalCrossentropy": About(tasks.classes, "softmax", [(FOCAL, "softmax"), *CROSSENTROPY]),
}  # fmt: skip


def cases() -> Iterator[Case]:
    """Each loss with each of its settings."""
    for name, about in LOSSES.items():
        for settings, last in [({}, about.last), *about.others]:
            yield loss(name, settings, last, about)
    for name in ("Hinge", "SquaredHinge"):
        yield loss(name, {}, "tanh", About(tasks.binary, "tanh"), ", labels 0 and 1")


def loss(name: str, settings: dict[str, Any], last: str, about: About, suffix: str = "") -> Training:
    """A case."""

    def net(side: Side) -> list[Any]:
        return [side.layers.Dense(16, activation="tanh"), side.layers.Dense(tasks.OUTPUTS, activation=last)]

    title = titled(name, settings, f" after {last}{suffix}")
    return Training(
        title, (f"losses/{name}",), net, lambda side: getattr(side.losses, name)(**settings), descent(about.rate),
        about.task,
    )  # fmt: skip
