"""The report: a summary, what misses its goal and why, and a table for each family."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from parity.cases import AFTER_ALL, AFTER_ONE, BATCH, STEPS
from parity.compare import Measure, Result

HEADING = f"""# nbdl beside Keras: results

Written by `python scripts/parity.py --write`; [README.md](README.md) says what is compared, and how to read this.
The same initial weights, the same {STEPS} batches of {BATCH} rows. In brackets is the floor: Keras against itself with
each batch's rows in another order (of nets beside NumPy: nbdl against itself so). Goals: {AFTER_ONE:.0e} after one
step, {AFTER_ALL:.0e} after {STEPS}.
"""


def shown(measure: Measure | None) -> str:
    """The value, with the floor in brackets; bold where it misses the goal."""
    if measure is None:
        return ""
    value = "0" if measure.value == 0.0 else f"{measure.value:.1e}"
    if measure.goal >= 1.0:  # in standard errors
        value = f"{measure.value:.1f}"
    value = value if measure.met else f"**{value}**"
    return value if measure.floor is None else f"{value} ({measure.floor:.0e})"


def report(results: Sequence[Result], problems: Sequence[str]) -> str:
    """All of it, as Markdown."""
    lines = [HEADING, *versions(), "", *summary(results), "", *misses(results)]
    if problems:
        lines += ["", "## Coverage", "", *(f"- {problem}" for problem in problems)]
    for family, group in grouped(results):
        lines += ["", f"## {family.capitalize()}", "", *table(group)]
    return "\n".join(lines) + "\n"


def versions() -> Iterator[str]:
    """What was compared."""
    names = ", ".join(f"{name} {version(name)}" for name in ("nbdl", "keras", "jax", "numba", "numpy"))
    yield f"{names}, Python {platform.python_version()}, {platform.machine()}."


def grouped(results: Sequence[Result]) -> Iterator[tuple[str, list[Result]]]:
    """By family, in the order of the first case of each."""
    order = {family: number for number, family in enumerate(dict.fromkeys(one.family for one in results))}
    ordered = sorted(results, key=lambda one: order[one.family])
    for family, group in itertools.groupby(ordered, key=lambda one: one.family):
        yield family, list(group)


def summary(results: Sequence[Result]) -> Iterator[str]:
    """Per family: how many cases, how many within the goal, the largest measures."""
    names = ("weights, 1 step", "weights, 50 steps", "loss, 1 step", "loss, 50 steps")
    yield "| family | cases | within the goals | explained | missed |" + "".join(f" worst {name} |" for name in names)
    yield "|---|---:|---:|---:|---:|" + "---:|" * len(names)
    for family, group in grouped(results):
        verdicts = [one.verdict for one in group]
        counts = [len(group), verdicts.count("ok"), sum(verdicts.count(one) for one in ("floor", "explained"))]
        counts.append(sum(one.failed for one in group))
        cells = [worst_of(group, name) for name in names]
        yield f"| {family} | " + " | ".join(map(str, counts)) + " | " + " | ".join(cells) + " |"


def worst_of(group: Sequence[Result], name: str) -> str:
    """The largest value of a measure among the cases that are within the goals."""
    values = [one.measures[name].value for one in group if name in one.measures and one.verdict == "ok"]
    return f"{max(values):.1e}" if values else ""


def misses(results: Sequence[Result]) -> Iterator[str]:
    """Each case that is not within its goals, and why."""
    reasons = {
        "floor": lambda one: "chaotic: Keras against itself misses the goal too",
        "explained": lambda one: one.explained,
        "MISS": lambda one: f"**not explained** (most in {one.worst})" if one.worst else "**not explained**",
        "WEAK": lambda one: f"**weights move by {one.moved:.0e} only, so the goal says nothing**",
        "ERROR": lambda one: f"**{one.error}**",
    }
    missed = [one for one in results if one.verdict != "ok"]
    yield "## Not within the goals"
    yield ""
    if not missed:
        yield "None."
    for one in missed:
        figures = [f"{name} {shown(measure)}" for name, measure in one.measures.items() if not measure.met]
        yield f"- {one.title}: {', '.join(figures)}{': ' if figures else ''}{reasons[one.verdict](one)}"


def table(group: Sequence[Result]) -> Iterator[str]:
    """A family; cases with other measures follow in a table of their own."""
    by_names: dict[tuple[str, ...], list[Result]] = {}
    for one in group:
        by_names.setdefault(tuple(one.measures), []).append(one)
    for number, (names, some) in enumerate(by_names.items()):
        moves = any(one.moved is not None for one in some)
        if number:
            yield ""
        yield "| case | " + " | ".join([*names, *["moved"] * moves, "verdict"]) + " |"
        yield "|---|" + "---:|" * (len(names) + moves) + "---|"
        for one in some:
            moved = ["" if one.moved is None else f"{one.moved:.0e}"] * moves
            verdict = one.verdict + (", beside NumPy" if one.against == "NumPy" else "")
            yield (
                f"| {one.title} | "
                + " | ".join([*(shown(one.measures[name]) for name in names), *moved, verdict])
                + " |"
            )
