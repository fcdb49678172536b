"""The registration itself: documented, and without options or checks that do not exist."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from nbdl.errors import did_you_mean
from nbdl.plugins.options import unknown_option
from nbdl.testing.subject import CLASS_KINDS, Subject, check, known_checks

OWN = "nbdl"  # the distribution whose units must say where they come from


@check("registered rightly")
def registered_rightly(subject: Subject) -> None:
    """The registration has no option that nbdl does not know, and names no check that does not apply.

    `expected_failures` gives each check a reason; `examples` are dicts of arguments; `kinks` are numbers.
    """
    options = subject.options
    problem = unknown_option(subject.kind, options)
    assert not problem, problem
    failures = options.get("expected_failures", {})
    assert isinstance(failures, Mapping), 'expected_failures is {"name of a check": "reason"}'
    known = [one.name for one in known_checks(subject.entry)]
    for name, reason in failures.items():
        assert name in known, f"expected_failures: no check {name!r}.{did_you_mean(name, known)}"
        assert str(reason or "").strip(), f"expected_failures: {name!r} is given no reason"
    listed(
        options.get("examples", ()), Mapping, 'examples are dicts of arguments, in a tuple: examples=({"rate": 0.5},)'
    )
    listed(options.get("kinks", ()), int | float, "kinks are numbers, in a tuple: kinks=(0.0,)")


def listed(value: Any, types: Any, message: str) -> None:
    """Assert that something is a tuple or list of these types."""
    assert isinstance(value, tuple | list), message
    assert all(isinstance(one, types) for one in value), message


@check("documented", *CLASS_KINDS, "datasets")
def documented(subject: Subject) -> None:
    """The docstring says what the unit is and its formula ("Formula: ..."), as `nbdl plugins info` shows them.

    A dataset has no formula. Of a unit made of functions it is the first function's docstring, or its module's where
    that registers no other unit. Units that come with nbdl say where they are from, too ("Source: ...").
    """
    from nbdl.plugins.description import own_docstring, shares_its_module
    from nbdl.plugins.docstrings import parse_docstring

    entry, text = subject.entry, own_docstring(subject.entry.target)
    shared = isinstance(entry.target, type) and shares_its_module(entry.target)
    hint = (
        f": {entry.module} registers several units, so each needs a docstring on its first function" if shared else ""
    )
    assert text.strip(), f"there is no docstring{hint}"
    doc = parse_docstring(text)
    assert doc.formula or entry.kind == "datasets", 'the docstring has no line "Formula: ..."'
    assert doc.source or entry.owner.distribution != OWN, 'the docstring has no line "Source: ..."'


@check("documented", "readers", "exporters", "recipes", "templates")
def functions_are_documented(subject: Subject) -> None:
    """The function's docstring opens with what it does, and explains every argument of its own ("Args:")."""
    from nbdl.plugins.description import own_docstring
    from nbdl.plugins.docstrings import parse_docstring

    doc = parse_docstring(own_docstring(subject.entry.target))
    assert doc.summary, "there is no docstring"
    own = list(inspect.signature(subject.entry.target).parameters)[{"exporters": 2}.get(subject.kind, 1) :]
    for name in own:
        assert name in doc.arguments, f'the docstring does not explain the argument "{name}"'
