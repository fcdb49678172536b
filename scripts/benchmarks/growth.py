"""Growth: the cost as data, width, depth and batch grow; a table and a plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS
from benchmarks.referee import Outcome
from benchmarks.works import Work, square

GROWTH_PEERS = ("nbdl", "jax-scan", "torch")
DATA, WIDTH = "growth: rows of data, 64-64-64-10, batch 32", "growth: width, W-W-W-10, batch 128"
DEPTH, BATCH = "growth: depth, D hidden layers of 64, batch 32", "growth: batch, 64-64-64-10"


def growth_works() -> dict[str, Work]:
    """The works of all four axes, by name."""
    works: dict[str, Work] = {}
    for exponent in range(10, 18):
        rows = 1 << exponent
        given: dict[str, Any] = {"rows": rows, "epochs": max(1, 16384 // rows), "unit": "epoch"}
        works[f"rows-{rows}"] = square(64, 32, title=f"{rows} rows", family=DATA, along=rows, **given)
    for width in (8, 16, 32, 64, 128, 256, 512, 1024, 2048):
        works[f"width-{width}"] = square(width, 128, title=f"W = {width}", family=WIDTH, along=width)
    for depth in (1, 2, 4, 8, 16, 32):
        works[f"depth-{depth}"] = square(64, 32, depth, title=f"D = {depth}", family=DEPTH, along=depth)
    for exponent in range(3, 14):
        batch = 1 << exponent
        works[f"batch-{batch}"] = square(64, batch, title=f"batch {batch}", family=BATCH, along=batch)
    return works


def curves(outcome: Outcome) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """For each axis and peer: the places on the axis, and µs."""
    found: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for result in outcome.results:
        work = outcome.works[result.work]
        if work.family and not result.busy:
            xs, ys = found.setdefault(work.family, {}).setdefault(result.peer, ([], []))
            xs.append(work.along)
            ys.append(result.median * 1e6)
    return found


def plot(outcome: Outcome, path: Path) -> bool:
    """Draw the curves, both axes logarithmic; False where there is no matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    axes_of = curves(outcome)
    units: Mapping[str, str] = {work.family: work.unit for work in outcome.works.values()}
    figure, axes = pyplot.subplots(1, len(axes_of), figsize=(4.5 * len(axes_of), 3.8), squeeze=False)
    for panel, (family, by_peer) in zip(axes[0], axes_of.items(), strict=True):
        for peer, (xs, ys) in by_peer.items():
            panel.loglog(xs, ys, marker="o", markersize=3, label=PEERS[peer].label.replace("*", "").replace("`", ""))
        _name(panel, family, units[family])
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    return True


def _name(panel: Any, family: str, unit: str) -> None:
    axis, _, rest = family.removeprefix("growth: ").partition(", ")
    panel.set_title(rest, fontsize=9)
    panel.set_xlabel(axis)
    panel.set_ylabel(f"µs per {unit}")
    panel.grid(True, which="major", linewidth=0.3)
