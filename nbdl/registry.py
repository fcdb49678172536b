"""The registry: finds plugins, checks what they register, and looks units up by name.

Plugins are found by entry points of the group `nbdl`, the built-in units like any third party's. Each
module is loaded in its own `try`: one that is broken is reported with its distribution and the remedy, and
takes nothing else down.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from types import ModuleType
from typing import Any

import pluggy

from nbdl import discovery, hookspecs
from nbdl.discovery import GROUP, Plugin
from nbdl.entries import SESSION, Broken, Entry, Owner, normalise, singular
from nbdl.errors import ConfigError, PluginError, UnknownNameError, did_you_mean
from nbdl.optimizer import Optimizer, Schedule  # noqa: F401 - base classes enter themselves in BASES
from nbdl.options import unknown_option
from nbdl.specs import ELEMENTWISE, Loss, Metric, elementwise
from nbdl.units import BASES, Unit

ALSO = {Metric.kind: Loss.kind}  # a name of the second kind does where one of the first is asked for


def kind_named(given: str) -> str:
    """A kind by its name or its singular: "activations" for both.

    Raises:
        ConfigError: there is no such kind.
    """
    known = {spelling: kind for kind in hookspecs.KINDS for spelling in (kind, singular(kind))}
    if given not in known:
        raise ConfigError(f"no kind {given!r}.{did_you_mean(given, known)} Kinds: {', '.join(hookspecs.KINDS)}")
    return known[given]


class _Manager(pluggy.PluginManager):
    """Looks for hooks in modules by their mark alone; pluggy inspects every name, which took most of the loading."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        if isinstance(plugin, ModuleType) and not hasattr(vars(plugin).get(name), f"{GROUP}_impl"):
            return None
        return super().parse_hookimpl_opts(plugin, name)


class Registry:
    """All units by kind and name; plugins are loaded at the first look-up.

    Attributes, once they are loaded:
        broken: plugin modules that could not be used.
        switched_off: plugins that the environment keeps from being loaded.
        unmatched: names in the environment that nothing installed answers to.
        seconds: how long each plugin took to load.
    """

    def __init__(self) -> None:
        self.broken: list[Broken] = []
        self.switched_off: list[Owner] = []
        self.unmatched: list[str] = []
        self.seconds: dict[Owner, float] = {}
        self._entries: dict[str, dict[str, Entry]] = {kind: {} for kind in hookspecs.KINDS}
        self._names: dict[str, dict[str, str]] = {kind: {} for kind in hookspecs.KINDS}
        self._manager = _Manager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._owner, self._module = SESSION, ""
        self._journal: list[tuple[Entry, Entry | None]] | None = None
        self._loaded = self._loading = False
        self._lock = threading.RLock()
        for kind in hookspecs.KINDS:
            hook = getattr(self._manager.hook, f"register_{kind}")
            hook.call_historic(kwargs={"register": functools.partial(self.add, kind)})

    # -- looking up -----------------------------------------------------------------------------------

    def get(self, kind: str, name: str) -> Entry:
        """The unit of that kind and name; raises UnknownNameError with the closest names."""
        self.load()
        found = self._names[kind].get(normalise(name))
        if found is None:
            raise UnknownNameError(self._unknown(kind, name))
        return self._entries[kind][found]

    def find(self, kind: str, name: str) -> Entry | None:
        """The unit of that kind and name, or None."""
        self.load()
        found = self._names[kind].get(normalise(name))
        return None if found is None else self._entries[kind][found]

    def kind_of(self, kind: str, name: str) -> str:
        """The kind itself, or the one that stands in for it where only that one knows the name."""
        also = ALSO.get(kind)
        known = also is None or self.find(kind, name) is not None or self.find(also, name) is None
        return kind if known or also is None else also

    def entry_of(self, unit: Unit) -> Entry | None:
        """The entry that a unit was made from, or None: a subclass would come back as its base."""
        entry = self.find(unit.kind, unit.unit_name) if unit.kind and unit.unit_name else None
        return entry if entry is not None and entry.target is type(unit) else None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind, in the order of the hooks."""
        return hookspecs.KINDS

    def names(self, kind: str) -> list[str]:
        """The registered names of a kind, in order."""
        self.load()
        return sorted(self._entries[kind])

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries of a kind, or of every kind."""
        self.load()
        kinds = hookspecs.KINDS if kind is None else (kind,)
        return [self._entries[one][name] for one in kinds for name in sorted(self._entries[one])]

    def default(self, kind: str) -> Entry | None:
        """The entry that was registered with `default=True`, if any."""
        return next((entry for entry in self.entries(kind) if entry.options.get("default")), None)

    def make(self, kind: str, given: Any, where: str = "") -> Any:
        """A unit from a name, a `{"name", "config"}` pair, a class or an instance.

        Args:
            kind: "activations", "losses", ...
            given: what the user wrote; None gives None.
            where: what the error message names, e.g. "Dense 'dense_1' activation".
        """
        base = BASES[kind]
        if given is None or isinstance(given, base):
            return given
        if isinstance(given, type) and issubclass(given, base):
            return given()
        name = given.get("name") if isinstance(given, dict) else given
        if isinstance(name, str):
            try:
                entry = self.get(kind, name)
            except UnknownNameError as error:
                raise UnknownNameError(f"{where}: {error}" if where else str(error)) from None
            try:
                return entry.target() if given is name else entry.target.from_config(given.get("config", {}))
            except Exception as error:
                error.__dict__.setdefault("made_from", entry)  # for who reads a file: whose version is it?
                raise
        raise UnknownNameError(
            f"{where or kind}: expected a name, a registered class or an instance of it, got {given!r}"
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
        entries = self._entries[kind].values()
        return [name for entry in entries for name in (entry.name, *entry.aliases)]

    # -- registering ----------------------------------------------------------------------------------

    def add(self, kind: str, name: str, *parts: Any, aliases: tuple[str, ...] = (), **options: Any) -> Entry:
        """Register one unit, as its hook's `register` does.

        Raises:
            PluginError: an invalid unit, or a taken name.
        """
        with self._lock:
            entry = self._checked(kind, name, parts, tuple(aliases), options)
            self._add(entry)
            return entry

    def register_module(self, module: ModuleType | Any, owner: Owner | None = None) -> None:
        """Register the hooks of one module or object: all of what it registers, or nothing.

        Raises:
            PluginError: a misspelt hook, a taken name, an invalid unit.
        """
        with self._lock:
            if self._manager.is_registered(module):
                return
            name = getattr(module, "__name__", type(module).__name__)
            with self.owned(owner or self._owner, name):
                try:
                    self._manager.register(module, name=f"{self._owner.plugin}:{name}:{id(module)}")
                    self._refuse_unknown_hooks(module)
                except BaseException:
                    if self._manager.is_registered(module):
                        self._manager.unregister(module)
                    raise

    @contextmanager
    def owned(self, owner: Owner, module: str) -> Iterator[None]:
        """What is registered within belongs to an owner; all of it is taken back if an error is raised."""
        with self._lock:
            before = self._owner, self._module, self._journal
            self._owner, self._module, self._journal = owner, module, []
            try:
                yield
                if before[2] is not None:
                    before[2].extend(self._journal)
            except BaseException:
                for entry, replaced in reversed(self._journal):
                    self._remove(entry)
                    if replaced is not None:
                        self._put(replaced)
                raise
            finally:
                self._owner, self._module, self._journal = before

    def has_hooks(self, module: Any) -> bool:
        """Whether a registered module or object implements any hook."""
        return bool(self._manager.get_hookcallers(module))

    def _refuse_unknown_hooks(self, module: Any) -> None:
        for caller in self._manager.get_hookcallers(module) or []:
            if not caller.has_spec():
                hint = did_you_mean(caller.name, hookspecs.specifications())
                raise PluginError(f"there is no hook {caller.name!r}.{hint}")

    def _checked(
        self, kind: str, name: str, parts: tuple[Any, ...], aliases: tuple[str, ...], options: dict[str, Any]
    ) -> Entry:
        if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
            raise PluginError(f"register_{kind}: a name is letters, digits and underscores, got {name!r}")
        if not parts:
            raise PluginError(f"register_{kind}: nothing was given for {name!r}")
        if problem := unknown_option(kind, options):
            raise PluginError(f"{name!r}: {problem}")
        target = parts[0]
        if kind in BASES:
            target = self._unit_class(kind, name, parts, options)
        module = self._module or getattr(target, "__module__", "")
        return Entry(kind, name, target, self._owner, module, aliases, options)

    def _unit_class(self, kind: str, name: str, parts: tuple[Any, ...], options: dict[str, Any]) -> type[Unit]:
        base, first = BASES[kind], parts[0]
        if isinstance(first, type):
            if not issubclass(first, base):
                raise PluginError(f"{name!r}: {kind} are subclasses of nbdl.{base.__name__}, got {first!r}")
            unit: type[Unit] = first
        elif kind in ELEMENTWISE and all(callable(part) for part in parts):
            unit = elementwise(kind, name, parts)
        else:
            raise PluginError(f"{name!r}: {kind} are subclasses of nbdl.{base.__name__}, got {first!r}")
        if "unit_name" not in unit.__dict__:
            unit.unit_name = name
        for option in ("renamed", *(("pairs", "targets") if kind == Loss.kind else ())):
            if option in options:
                setattr(unit, option, options[option])
        return unit

    def _add(self, entry: Entry) -> None:
        replaced = None
        for name in (entry.name, *entry.aliases):
            taken = self._names[entry.kind].get(normalise(name))
            if taken is None:
                continue
            known = self._entries[entry.kind][taken]
            again = known.name == entry.name and known.owner == entry.owner and not known.owner.installed
            if again:  # a cell that is run again
                replaced = known
            elif known.name != entry.name or known.target is not entry.target:
                raise PluginError(f"{entry.kind} {name!r} is already registered by {known.owner}")
        if replaced is not None:
            self._remove(replaced)
        self._put(entry)
        if self._journal is not None:
            self._journal.append((entry, replaced))

    def _put(self, entry: Entry) -> None:
        for name in (entry.name, *entry.aliases):
            self._names[entry.kind][normalise(name)] = entry.name
        self._entries[entry.kind][entry.name] = entry

    def _remove(self, entry: Entry) -> None:
        if self._entries[entry.kind].get(entry.name) is entry:
            del self._entries[entry.kind][entry.name]
            for name in (entry.name, *entry.aliases):
                self._names[entry.kind].pop(normalise(name), None)

    # -- loading --------------------------------------------------------------------------------------

    def load(self) -> None:
        """Find and load all plugins, once."""
        if self._loaded:
            return
        with self._lock:
            if self._loaded or self._loading:  # the second: a plugin that looks something up while it is loaded
                return
            self._loading = True
            try:
                found = discovery.discover()
                self.switched_off = [plugin.owner for plugin in found.switched_off]
                self.unmatched = found.unmatched
                for plugin in found.plugins:
                    started = time.perf_counter()
                    self._load_plugin(plugin)
                    self.seconds[plugin.owner] = time.perf_counter() - started
                self._loaded = True  # only now: other threads wait until all units are there
            finally:
                self._loading = False

    def _load_plugin(self, plugin: Plugin) -> None:
        asked = discovery.unmet(plugin)
        owner, module = plugin.owner, plugin.point.module
        if asked:
            error = PluginError(f"it needs {asked}, and this is {GROUP} {importlib.metadata.version(GROUP)}")
            newer = f"`pip install -U {owner.distribution}` may bring a version of it for this {GROUP}"
            self._refuse(owner, module, error, f"`pip install '{asked}'` brings what it needs, {newer}")
        elif self._guarded(owner, module, lambda: importlib.import_module(module)) is not None:
            for name in discovery.modules(module):
                self._guarded(owner, name, functools.partial(self._import_and_register, name, owner))

    def _import_and_register(self, name: str, owner: Owner) -> None:
        with self.owned(owner, name):
            self.register_module(importlib.import_module(name), owner)

    def _guarded(self, owner: Owner, module: str, action: Callable[[], Any]) -> Any:
        """Run one step of loading; whatever a plugin does wrong (even exiting) is reported, not raised."""
        try:
            with redirect_stdout(sys.stderr):  # what it prints is no part of a command's output
                return action()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._refuse(owner, module, error)
            return None

    def _refuse(self, owner: Owner, module: str, error: BaseException, remedy: str = "") -> None:
        """Take note of what is wrong with a plugin, and warn; raise it instead where authors ask for that."""
        if discovery.strict():
            raise error
        reason = " ".join(
            (str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}").split()
        )
        remedy = remedy or f"Update or remove {owner.distribution} (`pip install -U {owner.distribution}`)"
        broken = Broken(
            owner,
            module,
            reason.strip() or type(error).__name__,
            f"{remedy}, or set {discovery.DISABLE}={owner.plugin}",
        )
        self.broken.append(broken)
        warnings.warn(str(broken), stacklevel=2)


registry = Registry()

__all__ = [
    "ALSO",
    "SESSION",
    "Broken",
    "Entry",
    "Owner",
    "Registry",
    "kind_named",
    "normalise",
    "registry",
    "singular",
]
