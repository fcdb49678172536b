"""Namespaces such as `nbdl.layers`: attributes are looked up in the registry when they are asked for."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

from nbdl.errors import ConfigError
from nbdl.plugins.keras_paths import MISSING, PATHS, missing
from nbdl.units.elementwise import metric_form
from nbdl.units.entry import Entry
from nbdl.units.keras_names import FUNCTIONS_LACK
from nbdl.units.registry import ALSO, UNIT_KINDS, base_of, registry

KERAS_BASES = {"schedules": "LearningRateSchedule"}  # where Keras's base class has another name
# Kinds whose units Keras also spells as classes: `l2` and `L2`, `mean_squared_error` and `MeanSquaredError`.
CLASSES_TOO = ("losses", "regularizers", "constraints", "metrics", "initializers")


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


def camel_case(name: str) -> str:
    """Spell a name as a class.

    >>> camel_case("mean_squared_error")
    'MeanSquaredError'
    """
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _get(kind: str, identifier: Any, where: str = "") -> Any:
    """A unit by name, config, class or instance; of a kind that stands in for it where there is none.

    A config may have Keras's form, too.
    """
    identifier = _plain(identifier)
    name = identifier.get("name") if isinstance(identifier, dict) else identifier
    return registry.make(registry.kind_of(kind, name) if isinstance(name, str) else kind, identifier, where)


def _plain(config: Any) -> Any:
    """A config of Keras's form, {"class_name": ..., "config": ...}, in nbdl's; units within, too."""
    if isinstance(config, list | tuple):
        return [_plain(one) for one in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config:
        return {name: _plain(one) for name, one in config.items()}
    inner = _plain(config.get("config") or {})
    return inner if isinstance(inner, str) else {"name": config["class_name"], "config": inner}


def _serialize(kind: str, identifier: Any) -> Any:
    """A unit as Keras's function of that name writes it: {"class_name": ..., "config": ...}.

    An activation with no arguments is its name.
    """
    unit = _get(kind, identifier)
    if unit is None:
        return None
    if kind == "activations" and not unit.changed_arguments():
        return unit.default_name()
    return {"class_name": camel_case(unit.default_name()), "config": unit.get_config()}


def _deserialize(kind: str, config: Any, custom_objects: None = None) -> Any:
    """The unit that `serialize` wrote."""
    if custom_objects:
        raise ConfigError(f"deserialize: custom_objects is {FUNCTIONS_LACK.instead['custom_objects']}")
    return _get(kind, config)


def _applied(layer: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
    """The output of a new layer of several inputs, as Keras's functions of that name give it: `add([x, y])`."""
    return layer(*arguments, **options)(inputs)


FUNCTIONS: dict[str, Callable[..., Any]] = {"get": _get, "serialize": _serialize, "deserialize": _deserialize}


def namespace(kind: str, module: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module that offers every registered unit of a kind, and their base class."""
    own, base = sys.modules[module], UNIT_KINDS.get(kind, "")
    vars(own).setdefault("__path__", [])  # Keras has packages here; see nbdl.plugins.keras_paths
    beside = [name for name, value in vars(own).items() if name[0] != "_" and not isinstance(value, FunctionType)]
    beside += [base_of(kind).__name__] if base else []

    def attribute(name: str) -> Any:
        if name == "__all__":  # of `from nbdl.layers import *`
            return [one for one in (*names(), *beside) if one.isidentifier()]
        if name.startswith("__"):
            raise missing(module, name)
        if f"{kind}.{name}" in PATHS:
            return importlib.import_module(f"{module}.{name}")
        if name in FUNCTIONS and base:
            return functools.partial(FUNCTIONS[name], kind)
        if base and name in (base_of(kind).__name__, KERAS_BASES.get(kind)):
            return base_of(kind)
        if name in MISSING and registry.find(kind, name) is None:
            raise missing(module, name)
        entry = registry.get(registry.kind_of(kind, name), name)
        if kind == "metrics" and entry.kind == "losses":
            return metric_form(entry.target)
        if kind == "layers" and entry.target.takes_several and name == name.lower() != entry.name:
            return functools.partial(_applied, entry.target)
        return Dataset(entry) if kind == "datasets" else entry.target

    def names() -> list[str]:
        entries = registry.entries(kind) + (registry.entries(ALSO[kind]) if kind in ALSO else [])
        found = {name for entry in entries for name in (entry.name, *entry.aliases)}
        return sorted(found | {camel_case(entry.name) for entry in entries if kind in CLASSES_TOO})

    return attribute, lambda: sorted({*names(), *beside, *(FUNCTIONS if base else ())})
