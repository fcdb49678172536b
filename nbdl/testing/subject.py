"""Subject and Check: a unit under test, and what is asked of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import SkipTest

from nbdl.errors import ConfigError, NbdlError
from nbdl.hookspecs import KINDS
from nbdl.plugins.options import CLASSES
from nbdl.units.entry import Entry, normalise
from nbdl.units.registry import registry

NO_KERNELS = "NUMBA_DISABLE_JIT=1 leaves no kernels: all is plain Python"
ADDED = "\nassert "  # before what pytest adds to messages in modules that it rewrites

CLASS_KINDS = CLASSES  # the kinds that are made of classes with arguments


class Subject:
    """One unit under test: an entry of the registry with one set of arguments.

    Args:
        entry: from the registry, or made by hand.
        arguments: of the unit's constructor.
    """

    def __init__(self, entry: Entry, arguments: Mapping[str, Any] | None = None) -> None:
        self.entry = entry
        self.arguments = dict(arguments or {})
        self.programs: dict[str, Any] = {}  # what checks of this unit share; see `nbdl.testing.units.known_probes`

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

    def __str__(self) -> str:
        if self.kind not in CLASS_KINDS:
            return self.entry.name
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.entry.name}({arguments})"


def subjects(entry: Entry) -> list[Subject]:
    """A unit with its defaults, if it needs no arguments, and with each of its examples; what is no class as it is."""
    if entry.kind not in CLASS_KINDS:
        return [Subject(entry)]
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
    return [Subject(entry, arguments) for arguments in defaults + examples]


@dataclass(frozen=True)
class Check:
    """One named check.

    Attributes:
        name: as `expected_failures` and reports say it.
        function: takes a `Subject`; raises AssertionError, or `unittest.SkipTest` where it has nothing to look at here.
        kinds: of the units that it applies to.
        applies: for which entries of these kinds.
        subjects: what it goes through: by default the unit with its defaults, and with each of its examples.
    """

    name: str
    function: Callable[[Subject], None]
    kinds: tuple[str, ...]
    applies: Callable[[Entry], bool] = field(default=lambda entry: True)
    subjects: Callable[[Entry], list[Subject]] = field(default=lambda entry: known_subjects(entry))

    @property
    def description(self) -> str:
        """What it asks for."""
        return inspect.getdoc(self.function) or ""

    def __call__(self, entry: Entry) -> None:
        """Run it on an entry, with each set of arguments that it goes through.

        Raises:
            AssertionError: it fails; the message says which unit, what is wrong and where the unit is.
            SkipTest: there is nothing to look at here, and why.
        """
        if not __debug__:
            raise ConfigError(
                "checks are assert statements, which Python leaves out under -O (PYTHONOPTIMIZE): run without"
            )
        skipped, looked = "", False
        for subject in self.subjects(entry):
            try:
                self.function(subject)
                looked = True
            except SkipTest as skip:
                skipped = str(skip)
            except Exception as error:
                own = isinstance(error, AssertionError)
                reason = str(error).split(ADDED)[0] if own else f"{type(error).__name__}: {error}"
                says_all = isinstance(error, NbdlError)  # at the author's line
                cause = error.__cause__ if own or says_all else error
                raise AssertionError(f"{subject.kind} {subject}: {self.name}: {reason}{location(entry)}") from cause
        if skipped and not looked:
            raise SkipTest(skipped)

    def __repr__(self) -> str:
        return f"<check {self.name!r}>"


def location(entry: Entry) -> str:
    """Where a unit is: " (file:line)", or an empty string for what has no file."""
    from nbdl.plugins.description import described_functions, place_of

    functions = list(described_functions(entry.target))
    file, line = (functions[0].file, functions[0].line) if functions else place_of(entry.target)
    return f" ({file}:{line})" if file else ""


_subjects: dict[int, tuple[Entry, list[Subject]]] = {}


def known_subjects(entry: Entry) -> list[Subject]:
    """Subjects are kept, so that all checks of a unit share their programs."""
    known = _subjects.get(id(entry))
    if known is None or known[0] is not entry:
        _subjects.clear()  # checks come unit by unit
        known = _subjects[id(entry)] = (entry, subjects(entry))
    return known[1]


registered_checks: list[Check] = []


def check(name: str, *kinds: str, **more: Any) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Add a function to the suite, for these kinds (all kinds if none is given); `more` is for `Check`."""

    def added(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        registered_checks.append(Check(name, function, kinds or KINDS, **more))
        return function

    return added


def known_checks(entry: Entry) -> list[Check]:
    """Return the checks that apply to an entry, of those whose modules are imported."""
    return [one for one in registered_checks if entry.kind in one.kinds and one.applies(entry)]


def entries(distribution: str | None = None, kinds: tuple[str, ...] = KINDS) -> Iterator[Entry]:
    """All that a distribution registers, or all there is, of these kinds."""
    for entry in registry.entries():
        mine = distribution is None or normalise(entry.owner.distribution) == normalise(distribution)
        if mine and entry.kind in kinds:
            yield entry
