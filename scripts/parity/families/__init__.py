"""All cases, family by family."""

from __future__ import annotations

from parity.cases import Case
from parity.families import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    noise,
    normalization,
    optimizers,
    regularizers,
    schedules,
    weights,
)

FAMILIES = (
    activations, losses, weights, optimizers, schedules, regularizers, constraints, layers, normalization, noise,
    metrics, initializers,
)  # fmt: skip


def cases() -> list[Case]:
    """Every case; titles are unique.

    Raises:
        ValueError: two cases have the same title.
    """
    found = [case for family in FAMILIES for case in family.cases()]
    titles = [case.title for case in found]
    if twice := {title for title in titles if titles.count(title) > 1}:
        raise ValueError(f"two cases are called {', '.join(sorted(twice))}")
    return found
