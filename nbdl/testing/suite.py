"""What a check is, and which units it applies to."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from nbdl.callback import Callback
from nbdl.layer import Layer
from nbdl.registry import Entry, registry
from nbdl.units import BASES, Unit

UNITS = tuple(dict.fromkeys((Layer.kind, Callback.kind, *BASES)))  # the kinds that are made of classes with arguments

Truths = Mapping[tuple[str, str], Any]
"""By kind and name: the same unit in slow, obvious NumPy; see `nbdl.testing.truths`."""


class Subject:
    """One unit under test: an entry of the registry with one set of arguments.

    Args:
        entry: from the registry, or made by hand.
        arguments: of the unit's constructor.
    """

    def __init__(self, entry: Entry, arguments: Mapping[str, Any] | None = None, truth: Any = None) -> None:
        self.entry, self.arguments, self.truth = entry, dict(arguments or {}), truth

    @property
    def kind(self) -> str:
        """ "layers", "activations", ..."""
        return self.entry.kind

    @property
    def options(self) -> Mapping[str, Any]:
        """What the unit's registration says about it."""
        return self.entry.options

    def make(self) -> Any:
        """A new unit."""
        return self.entry.target(**self.arguments)

    @cached_property
    def probes(self) -> Any:
        """The programs around the unit that checks run; see `nbdl.testing.units`."""
        from nbdl.testing.units import probes

        return probes(self)

    @cached_property
    def large_probes(self) -> Any:
        """The same with enough rows and features to be cut into parts."""
        from nbdl.engine.executors import device
        from nbdl.testing.units import LARGE, MEDIUM, probes

        found = probes(self, *(MEDIUM if device() == "reference" else LARGE))
        for probe in found:
            probe.gathered = True
        return found

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.entry.name}({arguments})"


def subjects(entry: Entry, truths: Truths | None = None) -> list[Subject]:
    """An entry with its defaults, if it needs no arguments, and with each of its examples."""
    truth = (truths or {}).get((entry.kind, entry.name))
    examples = [dict(example) for example in entry.options.get("examples", ())]
    parameters = inspect.signature(entry.target).parameters.values()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in variable]
    if needed and not examples:
        raise AssertionError(
            f"{entry.kind} {entry.name!r} needs {', '.join(needed)}: register it with examples=({{...}},), so that "
            "it can be tested"
        )
    defaults: list[dict[str, Any]] = [] if needed else [{}]
    return [Subject(entry, arguments, truth) for arguments in defaults + examples]


@dataclass(frozen=True)
class Check:
    """One named check.

    Attributes:
        name: as `expected_failures` and reports say it.
        function: takes a `Subject`; raises.
        kinds: of the units that it applies to.
        applies: for which entries of these kinds.
    """

    name: str
    function: Callable[[Subject], None]
    kinds: tuple[str, ...]
    applies: Callable[[Entry], bool] = field(default=lambda entry: True)

    @property
    def description(self) -> str:
        """What it asks for."""
        return inspect.getdoc(self.function) or ""

    def __call__(self, entry: Entry, truths: Truths | None = None) -> None:
        """Run it on an entry, with its defaults and each of its examples; raises AssertionError."""
        for subject in _known_subjects(entry, truths):
            try:
                self.function(subject)
            except Exception as error:
                what = f"{error}" if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
                raise AssertionError(f"{subject.kind} {subject}: {self.name}: {what}") from error

    def __repr__(self) -> str:
        return f"<check {self.name!r}>"


_subjects: dict[int, tuple[Entry, Any, list[Subject]]] = {}


def _known_subjects(entry: Entry, truths: Truths | None) -> list[Subject]:
    """Subjects are kept, so that all checks of a unit share their programs."""
    known = _subjects.get(id(entry))
    if known is None or known[0] is not entry or known[1] is not truths:
        _subjects.clear()  # checks come unit by unit
        known = _subjects[id(entry)] = (entry, truths, subjects(entry, truths))
    return known[2]


_checks: list[Check] = []


def check(
    name: str, *kinds: str, applies: Callable[[Entry], bool] | None = None
) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Add a function to the suite, for units of these kinds (all kinds of unit if none is given)."""

    def added(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        _checks.append(Check(name, function, kinds or UNITS, applies or (lambda entry: True)))
        return function

    return added


def checks() -> list[Check]:
    """The whole suite."""
    from nbdl.testing import agreement, conduct, devices, gradients, learning, numbers, randomness, truths  # noqa: F401

    return list(_checks)


def checks_for(entry: Entry) -> list[Check]:
    """The checks that apply to an entry."""
    return [one for one in checks() if entry.kind in one.kinds and one.applies(entry)]


def select(*names: str) -> list[Check]:
    """Checks by name."""
    known = {one.name: one for one in checks()}
    return [known[name] for name in names]


def expected_failure(entry: Entry, one: Check) -> str:
    """Why the unit is known to fail a check, or an empty string."""
    return str(entry.options.get("expected_failures", {}).get(one.name, ""))


def entries(distribution: str | None = None) -> Iterator[Entry]:
    """The registered units of a distribution, or of all."""
    for entry in registry.entries():
        is_unit = isinstance(entry.target, type) and issubclass(entry.target, Unit)
        if is_unit and (distribution is None or entry.owner.distribution == distribution):
            yield entry
