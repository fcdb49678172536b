"""What a plugin's own tests call."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbdl.testing.packages import package, project_of, units
from nbdl.testing.subject import Check
from nbdl.testing.suite import SkipTest, checks_for, expected_failure, select
from nbdl.units.entry import Entry
from nbdl.units.registry import kind_named, registry

PASSED, FAILED, EXPECTED, SKIPPED = "passed", "failed", "expected failure", "skipped"


@dataclass(frozen=True)
class Result:
    """What a check found of a unit.

    Attributes:
        outcome: "passed", "failed", "expected failure" or "skipped".
        text: what is wrong, or why it was expected or skipped.
    """

    entry: Entry
    check: Check
    outcome: str
    text: str = ""

    @property
    def name(self) -> str:
        """The check's identity, as in pytest: "activations/cube: derivative"."""
        return case_name(self.entry, self.check)

    @property
    def alone(self) -> str:
        """What runs just this check."""
        unit = f"{self.entry.kind}/{self.entry.name}"
        return f"""python -c 'from nbdl.testing import check_unit; check_unit("{unit}", "{self.check.name}")'"""


def case_name(entry: Entry, check: Check) -> str:
    """The identity of a check of a unit: "activations/cube: derivative"."""
    return f"{entry.kind}/{entry.name}: {check.name}"


def result(entry: Entry, check: Check) -> Result:
    """Run one check on one unit. A check that passes though a failure is expected has failed."""
    reason = expected_failure(entry, check)
    try:
        check(entry)
    except SkipTest as skip:
        return Result(entry, check, SKIPPED, str(skip))
    except AssertionError as error:
        return Result(entry, check, EXPECTED, reason) if reason else Result(entry, check, FAILED, str(error))
    if reason:
        text = f"{check.name}: passes, though an expected failure is registered ({reason}); remove that"
        return Result(entry, check, FAILED, f"{entry.kind} {entry.name}: {text}")
    return Result(entry, check, PASSED)


def results(entries: Iterable[Entry]) -> Iterator[Result]:
    """Run all checks on these units, one after the other."""
    return (result(entry, check) for entry in entries for check in checks_for(entry))


def _all_passed(found: Iterable[Result]) -> None:
    made = list(found)
    failed = [one for one in made if one.outcome == FAILED]
    lines = [line for one in failed for line in (one.text, f"    alone: {one.alone}")]
    if failed:  # not an assert, to whose message pytest would add
        raise AssertionError("\n".join([f"{len(failed)} of {len(made)} checks failed:", *lines]))


def check_unit(unit: Entry | str, *names: str) -> None:
    """Run checks on one unit.

    Args:
        unit: an entry of the registry, or its kind and name: "activations/cube".
        names: of checks; by default all that apply. A unit of a session needs no docstring then.

    Raises:
        AssertionError: with all that is wrong, a line for each failure and how to run it alone.
        KeyError: there is no check of that name.
    """
    if isinstance(unit, str):
        kind, _, name = unit.partition("/")
        unit = registry.get(kind_named(kind), name)
    wanted = {one.name for one in select(*names)}
    left_out = () if names or documented_or_installed(unit) else ("documented",)
    chosen = (check for check in checks_for(unit) if not names or check.name in wanted)
    _all_passed(result(unit, check) for check in chosen if check.name not in left_out)


def documented_or_installed(unit: Entry) -> bool:
    """Whether a docstring can be asked for: not of a unit of a session or a file that has none of its own."""
    functions = getattr(unit.target, "functions", ())  # without one of their own, the docstring is their module's
    return unit.owner.installed or bool(functions[0].__doc__ if functions else unit.target.__doc__)


def check_plugin(distribution: str | None = None) -> None:
    """Run all checks on all that a distribution registers.

    Args:
        distribution: its name; by default the project that the calling file belongs to, by the nearest pyproject.toml.

    Raises:
        AssertionError: with all that is wrong, a line for each failure and how to run it alone.
    """
    _all_passed(results(chosen(project_of(_caller()) if distribution is None else distribution)))


def parametrize_with_checks(distribution: str | Iterable[Entry] | None = None) -> Any:
    """A pytest decorator: the test's arguments `entry` and `check` go through all units and their checks.

    Args:
        distribution: a name; by default the project that the test's file belongs to, by the nearest pyproject.toml.
            Or entries: those of `nbdl.units.registry.registry.entries()` are all there are.
    """
    import pytest

    if distribution is None:
        distribution = project_of(_caller())
    entries = chosen(distribution) if isinstance(distribution, str) else distribution
    return pytest.mark.parametrize(("entry", "check"), cases(entries))


def _caller() -> Path:
    """The file that called the function that asks."""
    return Path(sys._getframe(2).f_code.co_filename)


def chosen(distribution: str) -> list[Entry]:
    """A distribution's units, after an entry for itself: its one check says why there are none, if so."""
    return [package(distribution), *units(distribution)]


def cases(entries: Iterable[Entry]) -> list[Any]:
    """The parameters of a pytest test, `entry` and `check`; expected failures are strict."""
    import pytest

    return [
        pytest.param(entry, check, marks=_marks(entry, check), id=case_name(entry, check))
        for entry in entries
        for check in checks_for(entry)
    ]


def _marks(entry: Entry, check: Check) -> list[Any]:
    import pytest

    reason = expected_failure(entry, check)
    return [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
