"""The registry: finds plugins, checks what they register, and looks units up by name.

Plugins are found by entry points of the group `nbdl`, the built-in units like any third party's. Each
module is loaded in its own `try`: one that is broken is reported with its distribution and the remedy, and
takes nothing else down.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import pkgutil
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pluggy

from nbdl import hookspecs
from nbdl.errors import PluginError, UnknownNameError, did_you_mean
from nbdl.optimizer import Optimizer, Schedule  # noqa: F401 - base classes enter themselves in BASES
from nbdl.specs import ELEMENTWISE, Loss, Metric, elementwise
from nbdl.units import BASES, Unit

GROUP = "nbdl"
ALSO = {Metric.kind: Loss.kind}  # a name of the second kind does where one of the first is asked for


@dataclass(frozen=True)
class Owner:
    """Who registered a unit: the entry point, its distribution, and that one's version."""

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


SESSION = Owner("session", "this session", "")


@dataclass(frozen=True)
class Entry:
    """One registered unit: `target` is a class, or for data and commands a function."""

    kind: str
    name: str
    target: Any
    owner: Owner
    module: str
    aliases: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Broken:
    """A plugin module that could not be used, and why."""

    owner: Owner
    module: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"plugin {self.owner.plugin!r} of {self.owner} ({self.module}): {self.reason}. {self.remedy}"


def normalise(name: str) -> str:
    """Names are compared without case, underscores and dashes."""
    return name.lower().replace("_", "").replace("-", "")


class _Manager(pluggy.PluginManager):
    """Looks for hooks in modules by their mark alone; pluggy inspects every name, which took most of the loading."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        if isinstance(plugin, ModuleType) and not hasattr(vars(plugin).get(name), f"{GROUP}_impl"):
            return None
        return super().parse_hookimpl_opts(plugin, name)


class Registry:
    """All units by kind and name; plugins are loaded at the first look-up."""

    def __init__(self) -> None:
        self.broken: list[Broken] = []
        self._entries: dict[str, dict[str, Entry]] = {kind: {} for kind in hookspecs.KINDS}
        self._names: dict[str, dict[str, str]] = {kind: {} for kind in hookspecs.KINDS}
        self._manager = _Manager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._owner = Owner("", "", "")
        self._module = ""
        self._pending: list[Entry] | None = None
        self._loaded = self._loading = False
        self._lock = threading.RLock()
        for kind in hookspecs.KINDS:
            hook = getattr(self._manager.hook, f"register_{kind}")
            hook.call_historic(kwargs={"register": self._registrar(kind)})

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
                target = self.get(kind, name).target
            except UnknownNameError as error:
                raise UnknownNameError(f"{where}: {error}" if where else str(error)) from None
            return target() if given is name else target.from_config(given.get("config", {}))
        raise UnknownNameError(
            f"{where or kind}: expected a name, a registered class or an instance of it, got {given!r}"
        )

    def _unknown(self, kind: str, name: str) -> str:
        known = self.names(kind)
        singular = {"losses": "loss"}.get(kind, kind.rstrip("s"))
        also = ALSO.get(kind, "")
        spellings = self._all_names(kind) + (self._all_names(also) if also else [])
        text = f"unknown {singular} {name!r}.{did_you_mean(name, spellings)}"
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

    def _registrar(self, kind: str) -> Callable[..., None]:
        def register(name: str, *parts: Any, aliases: tuple[str, ...] = (), **options: Any) -> None:
            entry = self._checked(kind, name, parts, tuple(aliases), options)
            if self._pending is None:
                self._add(entry)
            else:
                self._pending.append(entry)

        return register

    def _checked(
        self, kind: str, name: str, parts: tuple[Any, ...], aliases: tuple[str, ...], options: dict[str, Any]
    ) -> Entry:
        if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
            raise PluginError(f"register_{kind}: a name is letters, digits and underscores, got {name!r}")
        if not parts:
            raise PluginError(f"register_{kind}: nothing was given for {name!r}")
        target = parts[0]
        if kind in BASES:
            target = self._unit_class(kind, name, parts, options)
        return Entry(kind, name, target, self._owner, self._module, aliases, options)

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
        if kind == Loss.kind:
            for option in ("pairs", "targets"):
                if option in options:
                    setattr(unit, option, options[option])
        return unit

    def _add(self, entry: Entry) -> None:
        names = self._names[entry.kind]
        for name in (entry.name, *entry.aliases):
            taken = names.get(normalise(name))
            if taken is None:
                continue
            known = self._entries[entry.kind][taken]
            again = known.name == entry.name and known.owner == entry.owner == SESSION  # a cell that is run again
            if not again and (known.name != entry.name or known.target is not entry.target):
                raise PluginError(f"{entry.kind} {name!r} is already registered by {known.owner}")
        for name in (entry.name, *entry.aliases):
            names[normalise(name)] = entry.name
        self._entries[entry.kind][entry.name] = entry

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
                self._load()
                self._loaded = True  # only now: other threads wait until all units are there
            finally:
                self._loading = False

    def _load(self) -> None:
        disabled = _listed("NBDL_DISABLE_PLUGINS") or []
        wanted = _listed("NBDL_LOAD_PLUGINS")
        points = sorted(
            importlib.metadata.entry_points(group=GROUP),
            # The standard units come from the core's own distribution; who comes later must not take their names.
            key=lambda point: (point.dist is None or point.dist.name != __package__, point.name),
        )
        for point in points:
            own = point.dist is not None and point.dist.name == __package__
            if point.name in disabled or not (own or wanted is None or point.name in wanted):
                continue
            self._load_entry_point(point)

    def _load_entry_point(self, point: importlib.metadata.EntryPoint) -> None:
        distribution = point.dist.name if point.dist else "unknown distribution"
        version = point.dist.version if point.dist else ""
        owner = Owner(point.name, distribution, version)
        for name in self._modules(point, owner):
            self._guarded(owner, name, functools.partial(self._import_and_register, name, owner))

    def _import_and_register(self, name: str, owner: Owner) -> None:
        self.register_module(importlib.import_module(name), owner)

    def _modules(self, point: importlib.metadata.EntryPoint, owner: Owner) -> Iterator[str]:
        """The entry point's module and, if it is a package, every module in it."""
        package = self._guarded(owner, point.module, lambda: importlib.import_module(point.module))
        if package is None:
            return
        yield point.module
        if hasattr(package, "__path__"):
            yield from _walk(list(package.__path__), f"{point.module}.")

    def _guarded(self, owner: Owner, module: str, action: Callable[[], Any]) -> Any:
        """Run one step of loading; whatever a plugin does wrong (even exiting) is reported, not raised."""
        try:
            return action()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if os.environ.get("NBDL_STRICT_PLUGINS") == "1":
                raise
            reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
            remedy = (
                f"Update or remove {owner.distribution} (`pip install -U {owner.distribution}`), or set "
                f"NBDL_DISABLE_PLUGINS={owner.plugin}"
            )
            broken = Broken(owner, module, reason.strip() or type(error).__name__, remedy)
            self.broken.append(broken)
            warnings.warn(str(broken), stacklevel=2)
            return None

    def register_module(self, module: ModuleType | Any, owner: Owner | None = None) -> None:
        """Register the hooks of one module or object: all of what it registers, or nothing.

        Raises:
            PluginError: a misspelt hook, a taken name, an invalid unit.
        """
        with self._lock:
            if self._manager.is_registered(module):
                return
            previous = self._owner, self._module
            self._owner = owner or SESSION
            self._module = getattr(module, "__name__", type(module).__name__)
            self._pending = []
            try:
                self._manager.register(module, name=f"{self._owner.plugin}:{self._module}:{id(module)}")
                self._refuse_unknown_hooks(module)
                for entry in self._pending:
                    self._add(entry)
            except BaseException:
                if self._manager.is_registered(module):
                    self._manager.unregister(module)
                self._forget(module)
                raise
            finally:
                self._owner, self._module = previous
                self._pending = None

    def has_hooks(self, module: Any) -> bool:
        """Whether a registered module or object implements any hook."""
        return bool(self._manager.get_hookcallers(module))

    def _refuse_unknown_hooks(self, module: Any) -> None:
        for caller in self._manager.get_hookcallers(module) or []:
            if not caller.has_spec():
                hint = did_you_mean(caller.name, hookspecs.specifications())
                raise PluginError(f"there is no hook {caller.name!r}.{hint}")

    def _forget(self, module: Any) -> None:
        """Take back what a module registered before it failed."""
        for entry in self._pending or []:
            if self._entries[entry.kind].get(entry.name) is entry:
                del self._entries[entry.kind][entry.name]
                names = self._names[entry.kind]
                for name in [name for name, target in names.items() if target == entry.name]:
                    del names[name]


NOT_READ = ("__main__", "tests", "conftest")


def _walk(paths: list[str], prefix: str) -> Iterator[str]:
    for info in sorted(pkgutil.iter_modules(paths, prefix), key=lambda info: info.name):
        name = info.name.rpartition(".")[2]
        if name in NOT_READ or name.startswith("test_"):
            continue
        yield info.name
        if info.ispkg:
            package = sys.modules.get(info.name)
            yield from _walk(list(package.__path__) if package else [], f"{info.name}.")


def _listed(variable: str) -> list[str] | None:
    value = os.environ.get(variable)
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


registry = Registry()


def register(*modules: Any) -> None:
    """Register modules or objects with hooks in this session, without a package."""
    registry.load()
    for module in modules:
        registry.register_module(module)
        if not registry.has_hooks(module):
            raise PluginError(
                f"{module!r} has no hooks, so nothing was registered: decorate its register_... functions with "
                "@nbdl.hookimpl"
            )
