"""What a plugin's own tests call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nbdl.registry import Entry
from nbdl.testing.suite import Check, Truths, checks_for, entries, expected_failure


def failures(entry: Entry, truths: Truths | None = None) -> Iterator[str]:
    """What is wrong with a unit, check by check."""
    for check in checks_for(entry):
        reason = expected_failure(entry, check)
        try:
            check(entry, truths)
        except AssertionError as error:
            if not reason:
                yield str(error)
        else:
            if reason:
                yield f"{check.name}: passes, though an expected failure is registered ({reason}); remove that"


def check_unit(entry: Entry, truths: Truths | None = None) -> None:
    """Run all checks on one unit; raises AssertionError with all that is wrong."""
    found = list(failures(entry, truths))
    assert not found, "\n".join(found)


def check_plugin(distribution: str, truths: Truths | None = None) -> None:
    """Run all checks on all units of a distribution; raises AssertionError with all that is wrong."""
    units = list(entries(distribution))
    assert units, f"no unit is registered by {distribution!r}; is it installed? `nbdl plugins` lists what is found"
    found = [text for entry in units for text in failures(entry, truths)]
    assert not found, "\n".join(found)


def parametrize_with_checks(units: str | Iterable[Entry] | None = None) -> Any:
    """A pytest decorator: the test's arguments `entry` and `check` go through all units and their checks.

    Args:
        units: a distribution's name, entries, or None for all that is registered.
    """
    import pytest

    chosen = entries(units) if units is None or isinstance(units, str) else units
    parameters = []
    for entry in chosen:
        for check in checks_for(entry):
            parameters.append(
                pytest.param(entry, check, marks=_marks(entry, check), id=f"{entry.kind}/{entry.name}: {check.name}")
            )
    return pytest.mark.parametrize(("entry", "check"), parameters)


def _marks(entry: Entry, check: Check) -> list[Any]:
    import pytest

    reason = expected_failure(entry, check)
    return [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
