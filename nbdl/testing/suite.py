"""The suite: all checks, and those that apply to a unit."""

from __future__ import annotations

from unittest import SkipTest

from nbdl.errors import did_you_mean
from nbdl.hookspecs import KINDS
from nbdl.plugins.options import RECORDING
from nbdl.testing.subject import Check, Subject, check, entries, known_checks, registered_checks
from nbdl.units.entry import Entry

__all__ = [
    "KINDS",
    "RECORDING",
    "Check",
    "SkipTest",
    "Subject",
    "check",
    "checks",
    "checks_for",
    "entries",
]


def checks() -> list[Check]:
    """The whole suite."""
    from nbdl.testing import (  # noqa: F401
        agreement,
        arguments,
        callbacks,
        conduct,
        devices,
        figures,
        files,
        gradients,
        numbers,
        optimizers,
        packages,
        randomness,
        registration,
        small_nets,
        tools,
        truths,
    )

    return list(registered_checks)


def checks_for(entry: Entry) -> list[Check]:
    """The checks that apply to an entry, in the order in which they are reported."""
    checks()
    return known_checks(entry)


def select(*names: str) -> list[Check]:
    """Checks by name.

    Raises:
        KeyError: there is none of that name; the message suggests one.
    """
    known = {one.name: one for one in checks()}
    for name in names:
        if name not in known:
            raise KeyError(f"no check {name!r}.{did_you_mean(name, known)} Checks: {', '.join(known)}")
    return [known[name] for name in names]


def expected_failure(entry: Entry, one: Check) -> str:
    """Why the unit is known to fail a check, or an empty string."""
    return str(dict(entry.options.get("expected_failures", {})).get(one.name, ""))
