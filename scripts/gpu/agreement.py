"""When two devices agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

RTOL, ATOL = 2e-5, 5e-6  # of a unit's program: relative to the element, and to the largest one
MORE_ERROR = 4.0  # a device may be so much farther from float64 than the CPU
WEIGHTS = 1e-3  # difference of the weights, relative to how far they moved
FIGURES = 1e-4  # difference of a loss, relative
COUNTS = 3e-3  # difference of what is counted row by row: of two classes that are nearly as likely, either may win


def programs(probe: Any, figures: dict[str, float]) -> None:
    """Assert that a unit's program gives on the GPU what it gives on the CPU, and is as near to float64.

    Args:
        figures: "to CPU", "to float64" and "CPU to float64" are raised to the largest relative differences seen.
    """
    from nbdl.testing.probe import assert_close

    executor = probe.executor("cuda")
    for what, sources in variants(probe):
        wanted = probe.run("compiled", sources)
        found = probe.run("cuda", sources, executor=executor)
        exact = probe.run("float64", sources)
        for name, values in found.named().items():
            there, here, true = values, wanted.named()[name], exact.named()[name]
            assert_close(there, here, f"{what}{name}", RTOL, ATOL)
            apart, error, usual = distance(there, here), distance(there, true), distance(here, true)
            for key, value in (("to CPU", apart), ("to float64", error), ("CPU to float64", usual)):
                figures[key] = max(figures[key], value)
            if error > MORE_ERROR * usual + ATOL:
                raise AssertionError(f"{what}{name}: {error:.2g} from float64, the CPU {usual:.2g}")


def variants(probe: Any) -> list[tuple[str, list[Any]]]:
    """A probe's data, fewer rows of it, and for a program of one input large numbers, infinity and NaN."""
    given = list(probe.sources)
    found = [("", given)]
    if given and probe.rows > 2:
        found.append(("fewer rows, ", [np.ascontiguousarray(source[:-2]) for source in given]))
    if len(given) == 1 and probe.title in ("forward", "inference"):
        odd = given[0].copy()
        odd.reshape(-1)[:5] = (np.nan, np.inf, -np.inf, 100.0, -100.0)
        found.append(("NaN and infinity, ", [odd]))
    return found


def distance(found: Any, wanted: Any) -> float:
    """The largest difference, relative to the largest element; of finite elements."""
    finite = np.isfinite(found) & np.isfinite(wanted)
    if not finite.any():
        return 0.0
    scale = float(np.abs(wanted[finite]).max())
    return float(np.abs(found[finite].astype(np.float64) - wanted[finite]).max()) / scale if scale else 0.0


def same_weights(start: Any, wanted: Any, found: Any, allowed: float = WEIGHTS) -> float:
    """How far two runs' weights are apart, relative to how far they moved; asserts that it is little."""
    if not np.isfinite(found).all():
        raise AssertionError("weights are not finite")
    moved = float(np.linalg.norm((wanted - start).astype(np.float64)))
    apart = float(np.linalg.norm((found - wanted).astype(np.float64)))
    if apart == 0.0:
        return 0.0
    share = apart / moved if moved else math.inf
    if share > allowed:
        raise AssertionError(f"weights are {share:.2g} of their way apart, {allowed:g} is allowed")
    return share


def same_figures(
    wanted: Mapping[str, Sequence[float]], found: Mapping[str, Sequence[float]], allowed: float = FIGURES
) -> float:
    """The largest difference of two histories; asserts that it is little, and the names are the same."""
    if {name: len(values) for name, values in wanted.items()} != {name: len(values) for name, values in found.items()}:
        raise AssertionError(f"other figures or epochs: {_lengths(found)}, the CPU {_lengths(wanted)}")
    worst = 0.0
    for name, values in wanted.items():
        for epoch, (here, there) in enumerate(zip(values, found[name], strict=True)):
            loss = name.endswith("loss")
            apart = abs(there - here) / (max(abs(here), 1e-6) if loss else 1.0)
            if not apart <= (allowed if loss else max(allowed, COUNTS)):
                raise AssertionError(f"{name} of epoch {epoch + 1}: {there:.7g}, the CPU {here:.7g}")
            worst = max(worst, apart)
    return worst


def _lengths(history: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{name} {len(values)}" for name, values in history.items())
