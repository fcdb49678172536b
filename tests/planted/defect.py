"""A defect: a unit with something wrong, and the check that is there to catch it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from nbdl.plugins.registrar import Registrar
from nbdl.testing import Check, checks_for
from nbdl.testing.suite import SkipTest
from nbdl.units.entry import Entry
from nbdl.units.registry import Registry, registry

Function = Callable[..., Any]

DOC = "Something.\n\nFormula: y = something.\n\nSource: nowhere."


def entry(kind: str, *parts: Any, name: str = "planted", doc: str | None = DOC, **options: Any) -> Entry:
    """A unit registered in a registry of its own, with a docstring."""
    made = Registrar(Registry(lambda: None)).add(kind, name, *map(copied, parts), **options)
    if not isinstance(made.target, str):
        made.target.__doc__ = doc
    return made


def copied(part: Any) -> Any:
    """A function of its own, which can have a docstring of its own; other things as they are."""
    if not isinstance(part, FunctionType):
        return part
    return FunctionType(part.__code__, part.__globals__, part.__name__, part.__defaults__, part.__closure__)


def named(planted: Entry, name: str) -> Check:
    """The check of that name for a unit."""
    return next(check for check in checks_for(planted) if check.name == name)


@dataclass(frozen=True)
class Defect:
    """Something wrong.

    Attributes:
        name: what is wrong, in words.
        check: the name of the check that is there to catch it.
        entry: the unit.
        around: what must be so while it is checked.
    """

    name: str
    check: str
    entry: Entry
    around: Callable[[], AbstractContextManager[Any]] = nullcontext

    def caught_by(self, check: Check) -> str:
        """What a check says of it; an empty string if it passes or has nothing to look at."""
        with self.around():
            try:
                check(self.entry)
            except AssertionError as error:
                return str(error)
            except SkipTest:
                return ""
        return ""


class Registered:
    """Within, a unit is found by name, as those of plugins are."""

    def __init__(self, unit: Entry) -> None:
        self.unit = unit

    def __enter__(self) -> None:
        registry.load()
        registry.catalogue.put(self.unit)

    def __exit__(self, *_: object) -> None:
        registry.catalogue.remove(self.unit)
