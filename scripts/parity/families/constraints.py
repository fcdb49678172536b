"""Constraints, of kernels and biases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from parity.cases import Case, Side, Training, titled
from parity.tasks import OUTPUTS

CONSTRAINTS: dict[str, list[dict[str, Any]]] = {
    "MaxNorm": [{}, {"max_value": 0.8}, {"max_value": 0.8, "axis": 1}, {"max_value": 1.5, "axis": [0, 1]}],
    "NonNeg": [{}],
    "UnitNorm": [{}, {"axis": 1}],
    "MinMaxNorm": [
        {}, {"min_value": 0.5, "max_value": 0.8}, {"min_value": 0.9, "max_value": 1.1, "rate": 0.3},
        {"min_value": 0.9, "max_value": 1.1, "axis": 1},
    ],
}  # fmt: skip


def cases() -> Iterator[Case]:
    """Each constraint with each setting on a kernel, with its defaults on a bias."""
    for name, settings in CONSTRAINTS.items():
        for one in settings:
            yield constraint(name, one, "kernel_constraint")
        yield constraint(name, {}, "bias_constraint")
    yield constraint("MaxNorm", {"max_value": 0.8}, "kernel_constraint", "Adam")


def constraint(name: str, settings: dict[str, Any], place: str, optimizer: str = "SGD") -> Training:
    """A case."""

    def net(side: Side) -> list[Any]:
        made = getattr(side.constraints, name)(**settings)
        return [side.layers.Dense(16, activation="tanh", **{place: made}), side.layers.Dense(OUTPUTS)]

    rate = 0.05 if optimizer == "SGD" else 0.01
    title = titled(name, settings, f" as {place}" + (f" in {optimizer}" if optimizer != "SGD" else ""))
    return Training(
        title,
        (f"constraints/{name}",),
        net,
        optimizer=lambda side: getattr(side.optimizers, optimizer)(learning_rate=rate),
    )
