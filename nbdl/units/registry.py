"""The registry: units by kind and name; plugins are loaded at the first look-up."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from nbdl import hookspecs, loader
from nbdl.errors import ConfigError, UnknownNameError, did_you_mean
from nbdl.units.catalogue import Catalogue
from nbdl.units.entry import Broken, Entry, Owner, singular
from nbdl.units.unit import BASES, Unit

ALSO = {"metrics": "losses"}  # a name of the second kind does where one of the first is asked for

# Kinds whose units are classes, and the modules of their base classes, which enter themselves in BASES.
UNIT_KINDS = {
    "layers": "nbdl.units.layer",
    "activations": "nbdl.units.activation",
    "losses": "nbdl.units.loss",
    "optimizers": "nbdl.units.optimizer",
    "schedules": "nbdl.units.schedule",
    "regularizers": "nbdl.units.regularizer",
    "initializers": "nbdl.units.initializer",
    "constraints": "nbdl.units.regularizer",
    "metrics": "nbdl.units.metric",
    "callbacks": "nbdl.units.callback",
}


def base_of(kind: str) -> type[Unit]:
    """Return the base class of a kind's units."""
    if kind not in BASES:
        importlib.import_module(UNIT_KINDS[kind])
    return BASES[kind]


def kind_named(name: str) -> str:
    """Return a kind by its name or its singular: "activations" for both.

    Raises:
        ConfigError: there is no such kind.
    """
    known = {spelling: kind for kind in hookspecs.KINDS for spelling in (kind, singular(kind))}
    if name not in known:
        raise ConfigError(f"no kind {name!r}.{did_you_mean(name, known)} Kinds: {', '.join(hookspecs.KINDS)}")
    return known[name]


class Registry:
    """All units by kind and name.

    Args:
        load_plugins: fills the catalogue at the first look-up.

    Attributes, once plugins are loaded:
        broken: plugin modules that could not be used.
        switched_off: plugins that the environment keeps from being loaded.
        unmatched: names in the environment that nothing installed answers to.
        seconds: how long each plugin took to load.
    """

    def __init__(self, load_plugins: Callable[[], None]) -> None:
        self.broken: list[Broken] = []
        self.switched_off: list[Owner] = []
        self.unmatched: list[str] = []
        self.seconds: dict[Owner, float] = {}
        self.late: list[Callable[[], None]] = []  # what waits for modules that another thread was importing
        self.loaded = False
        self.quiet = False
        self.catalogue = Catalogue(hookspecs.KINDS)
        self._load_plugins = load_plugins

    def load(self, quiet: bool = False) -> None:
        """Find and load all plugins, once.

        Args:
            quiet: neither warn of broken plugins nor raise where NBDL_STRICT_PLUGINS asks for it: `broken` has them.
        """
        if self.loaded and not self.late:
            return
        self.quiet = quiet
        try:
            self._load_plugins()
        finally:
            self.quiet = False

    def get(self, kind: str, name: str) -> Entry:
        """The unit of that kind and name; raises UnknownNameError with the closest names."""
        found = self.find(kind, name)
        if found is None:
            raise UnknownNameError(self._unknown(kind, name))
        return found

    def find(self, kind: str, name: str) -> Entry | None:
        """The unit of that kind and name, or None."""
        self.load()
        return self.catalogue.find(kind, name)

    def kind_of(self, kind: str, name: str) -> str:
        """The kind itself, or the one that stands in for it where only that one knows the name."""
        also = ALSO.get(kind)
        known = also is None or self.find(kind, name) is not None or self.find(also, name) is None
        return kind if known or also is None else also

    def entry_of(self, unit: Unit) -> Entry | None:
        """The entry that a unit was made from, or None: a subclass would come back as its base."""
        entry = self.find(unit.kind, unit.unit_name) if unit.kind and unit.unit_name else None
        made_of = vars(type(unit)).get("stands_for", type(unit))  # see `metric_form`
        return entry if entry is not None and entry.target is made_of else None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind, in the order of the hooks."""
        return hookspecs.KINDS

    def names(self, kind: str) -> list[str]:
        """The registered names of a kind, in order."""
        return [entry.name for entry in self.entries(kind)]

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries of a kind, or of every kind."""
        self.load()
        kinds = hookspecs.KINDS if kind is None else (kind,)
        return [entry for one in kinds for entry in self.catalogue.entries(one)]

    def default(self, kind: str) -> Entry | None:
        """The entry that was registered with `default=True`, if any."""
        return next((entry for entry in self.entries(kind) if entry.options.get("default")), None)

    def make(self, kind: str, value: Any, where: str = "") -> Any:
        """A unit from a name, a `{"name", "config"}` pair, a class or an instance.

        Args:
            kind: "activations", "losses", ...
            value: what the user wrote; None gives None.
            where: what the error message names, e.g. "Dense 'dense_1' activation".
        """
        base = base_of(kind)
        if value is None or isinstance(value, base):
            return value
        if isinstance(value, type) and issubclass(value, base):
            return value()
        name = value.get("name") if isinstance(value, dict) else value
        if isinstance(name, str):
            try:
                entry = self.get(kind, name)
            except UnknownNameError as error:
                raise UnknownNameError(f"{where}: {error}" if where else str(error)) from None
            try:
                return entry.target() if value is name else entry.target.from_config(value.get("config", {}))
            except Exception as error:
                error.__dict__.setdefault("made_from", entry)  # for who reads a file: whose version is it?
                raise
        functions = all(map(callable, value if isinstance(value, tuple | list) else [value]))
        hint = '; nbdl.register("my_unit", f, df) gives functions a name' if functions else ""
        raise UnknownNameError(
            f"{where or kind}: expected a name, a registered class or an instance of it, got {value!r}{hint}"
        )

    def _unknown(self, kind: str, name: str) -> str:
        known = self.names(kind)
        also = ALSO.get(kind, "")
        spellings = self._all_names(kind) + (self._all_names(also) if also else [])
        text = f"unknown {singular(kind)} {name!r}.{did_you_mean(name, spellings)}"
        if not known:
            return (
                f"{text} No plugin offers any: the standard units are found through the package's metadata, "
                "so nbdl must be installed (in a checkout: `pip install -e .`)"
            )
        text += f" Known: {', '.join(known)}"
        if also:
            text += f"; and the {also}: {', '.join(self.names(also))}"
        if self.broken:
            text += ". Some plugins are broken; `nbdl plugins` tells why"
        return text

    def _all_names(self, kind: str) -> list[str]:
        return [name for entry in self.entries(kind) for name in (entry.name, *entry.aliases)]


registry = Registry(loader.load_plugins)
