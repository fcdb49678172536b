"""Namespaces such as `nbdl.layers`: attributes are looked up in the registry when they are asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from nbdl.registry import ALSO, Entry, registry


class Dataset:
    """A registered dataset, as Keras's dataset modules look.

    Attributes:
        name, description: as registered.
    """

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self.description: str = entry.options.get("description", "")
        self.load_data: Callable[..., Any] = entry.target

    def __repr__(self) -> str:
        return f"<dataset {self.name}: {self.description}>"


def _get(kind: str, given: Any, where: str = "") -> Any:
    """A unit by name, config, class or instance; of a kind that stands in for it where there is none."""
    name = given.get("name") if isinstance(given, dict) else given
    return registry.make(registry.kind_of(kind, name) if isinstance(name, str) else kind, given, where)


def namespace(kind: str, module: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module that offers every registered unit of a kind."""

    def attribute(name: str) -> Any:
        if name == "__all__":  # of `from nbdl.layers import *`
            return [one for one in names() if one.isidentifier()]
        if name.startswith("__"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        if name == "get":
            return functools.partial(_get, kind)
        entry = registry.get(registry.kind_of(kind, name), name)
        return Dataset(entry) if kind == "datasets" else entry.target

    def names() -> list[str]:
        entries = registry.entries(kind) + (registry.entries(ALSO[kind]) if kind in ALSO else [])
        return sorted({name for entry in entries for name in (entry.name, *entry.aliases)})

    return attribute, names
