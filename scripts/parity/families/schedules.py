"""Schedules, with settings that 50 steps go through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parity.cases import Array, Case, Side, Training, Truth, squares, titled

SCHEDULES: dict[str, list[dict[str, Any]]] = {
    "ExponentialDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
        {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True},
    ],
    "PiecewiseConstantDecay": [{"boundaries": [10, 30], "values": [0.1, 0.05, 0.01]}],
    "PolynomialDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 30},
        {"initial_learning_rate": 0.1, "decay_steps": 30, "end_learning_rate": 0.01, "power": 2.0},
        {"initial_learning_rate": 0.1, "decay_steps": 16, "end_learning_rate": 0.01, "power": 0.5, "cycle": True},
    ],
    "InverseTimeDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
        {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True},
    ],
    "CosineDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 30},
        {"initial_learning_rate": 0.1, "decay_steps": 30, "alpha": 0.1},
        {"initial_learning_rate": 0.01, "decay_steps": 30, "warmup_target": 0.1, "warmup_steps": 10},
    ],
    "CosineDecayRestarts": [
        {"initial_learning_rate": 0.1, "first_decay_steps": 8},
        {"initial_learning_rate": 0.1, "first_decay_steps": 8, "t_mul": 1.5, "m_mul": 0.7, "alpha": 0.1},
        {"initial_learning_rate": 0.1, "first_decay_steps": 8, "t_mul": 1.0},
    ],
}  # fmt: skip


def cases() -> Iterator[Case]:
    """Each schedule in plain descent, one in Adam, one with accumulation; a callable; Keras 1's `decay`."""
    for name, settings in SCHEDULES.items():
        for one in settings:
            yield schedule(name, one)
    first = SCHEDULES["ExponentialDecay"][0]
    yield schedule("ExponentialDecay", {**first, "initial_learning_rate": 0.01}, "Adam")
    yield schedule("ExponentialDecay", first, "SGD", gradient_accumulation_steps=4)
    yield schedule("ExponentialDecay", first, "SGD", weight_decay=0.1)
    yield callable_rate()
    yield old_decay()
    yield lecture()


def schedule(name: str, settings: dict[str, Any], optimizer: str = "SGD", **others: Any) -> Training:
    """A case."""

    def build(side: Side) -> Any:
        return getattr(side.optimizers, optimizer)(getattr(side.schedules, name)(**settings), **others)

    suffix = "" if optimizer == "SGD" and not others else f" in {titled(optimizer, others)}"
    return Training(titled(name, settings, suffix), (f"schedules/{name}",), optimizer=build)


def as_schedule(side: Side, rate: Callable[[Any], Any]) -> Any:
    """Keras's callables take no step, its schedules do."""
    if side.name == "nbdl":
        return rate

    class Own(side.schedules.LearningRateSchedule):  # type: ignore[name-defined, misc]
        def __call__(self, step: Any) -> Any:
            import jax.numpy as jnp

            return rate(jnp.asarray(step, jnp.float32))

    return Own()


def callable_rate() -> Training:
    """A function of the step, counted from 0."""
    return Training(
        "learning_rate=lambda step: ...", ("optimizers/SGD",),
        optimizer=lambda side: side.optimizers.SGD(as_schedule(side, lambda step: 0.1 / (1 + 0.2 * step))),
    )  # fmt: skip


def old_decay() -> Training:
    """Keras 1's lr and decay beside Keras 3's InverseTimeDecay."""

    def build(side: Side) -> Any:
        if side.name == "nbdl":
            return side.optimizers.SGD(lr=0.1, decay=0.1)
        return side.optimizers.SGD(side.schedules.InverseTimeDecay(0.1, 1, 0.1))

    return Training("SGD(lr=0.1, decay=0.1)", ("optimizers/SGD",), optimizer=build)


def lecture() -> Training:
    """The lecture's schedule, which Keras lacks."""

    def forward(weights: list[Array], x: Array) -> Array:
        first, bias, second, offset = weights
        return np.tanh(x @ first + bias) @ second + offset

    return Training(
        "InverseSquareRootDecay(0.1)", ("schedules/InverseSquareRootDecay",),
        optimizer=lambda side: side.optimizers.SGD(side.schedules.InverseSquareRootDecay(0.1)),
        truth=Truth(forward, squares, lambda step: 0.1 / np.sqrt(step + 1)),
    )  # fmt: skip
