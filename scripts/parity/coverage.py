"""Which registered units no case covers, and which cases name units that are not registered: by the registry."""

from __future__ import annotations

from collections.abc import Iterable

from nbdl.units.entry import Entry
from nbdl.units.registry import ALSO, registry
from parity.cases import Case

KINDS = (
    "activations", "losses", "optimizers", "schedules", "regularizers", "constraints", "layers", "metrics",
    "initializers",
)  # fmt: skip
DISTRIBUTION = "nbdl"  # third parties' units have their own tests


def resolved(unit: str) -> str | None:
    """The registered name, as "losses/mean_squared_error", of a unit under any of its names; a metric may be a loss."""
    kind, name = unit.split("/")
    for one in (kind, ALSO.get(kind)):
        entry = registry.find(one, name) if one else None
        if entry is not None:
            return key(entry)
    return None


def key(entry: Entry) -> str:
    """ "kind/name"."""
    return f"{entry.kind}/{entry.name}"


# Layers that merge inputs: `parity.graphs` has them.
IN_GRAPHS = {
    f"layers/{name}"
    for name in ("Add", "Average", "Concatenate", "Dot", "Lambda", "Maximum", "Minimum", "Multiply", "Subtract")
}


def problems(cases: Iterable[Case]) -> list[str]:
    """What is wrong with the coverage, a line each; none if every unit has a case."""
    cases = list(cases)
    covered = {resolved(unit) for case in cases for unit in case.units}
    wanted = [
        key(entry) for kind in KINDS for entry in registry.entries(kind) if entry.owner.distribution == DISTRIBUTION
    ]
    lines = [f"no case covers {unit}" for unit in wanted if unit not in covered and unit not in IN_GRAPHS]
    named = dict.fromkeys(unit for case in cases for unit in case.units)
    lines += [f"{unit} has cases and is not registered" for unit in named if resolved(unit) is None]
    return lines + [str(broken) for broken in registry.broken]


def runnable(case: Case) -> bool:
    """Whether all of its units are registered."""
    return all(resolved(unit) for unit in case.units)
