"""The registry: checks what plugins register, and looks units up by name.

Plugins are found by entry points of the group `nbdl`, the built-in units like any third party's;
`nbdl.plugins.loading` loads them at the first look-up.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pluggy

from nbdl import hookspecs
from nbdl.errors import ConfigError, PluginError, UnknownNameError, did_you_mean
from nbdl.plugins.discovery import GROUP, is_deadlock
from nbdl.plugins.options import deprecated_option, malformed_option, unknown_option
from nbdl.units.catalogue import Catalogue
from nbdl.units.elementwise import ELEMENTWISE, elementwise, refuse_uncompilable
from nbdl.units.entry import SESSION, Broken, Entry, Owner, normalise, singular
from nbdl.units.loss import Loss
from nbdl.units.metric import Metric
from nbdl.units.unit import BASES, Unit

ALSO = {Metric.kind: Loss.kind}  # a name of the second kind does where one of the first is asked for


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
    """The base class of a kind's units."""
    if kind not in BASES:
        importlib.import_module(UNIT_KINDS[kind])
    return BASES[kind]


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


@dataclass
class _Origin:
    """Whose registrations these are, and what takes them back."""

    owner: Owner
    module: str
    undo: list[Callable[[], None]] | None = field(default_factory=list)

    def note(self, undo: Sequence[Callable[[], None]]) -> None:
        """Remember what takes a registration back."""
        if self.undo is not None:
            self.undo += undo


_SESSION = _Origin(SESSION, "", None)  # what a session registers stays
# Of each thread: one may load plugins while another runs a cell.
_origin: ContextVar[_Origin] = ContextVar("origin", default=_SESSION)


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
        self.late: list[Callable[[], None]] = []  # what waits for modules that another thread was importing
        self.loaded = self.quiet = False
        self.catalogue = Catalogue(hookspecs.KINDS)
        self._manager = _Manager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._lock = threading.RLock()
        for kind in hookspecs.KINDS:
            hook = getattr(self._manager.hook, f"register_{kind}")
            hook.call_historic(kwargs={"register": functools.partial(self.add, kind)})

    def load(self, quiet: bool = False) -> None:
        """Find and load all plugins, once.

        Args:
            quiet: neither warn of broken plugins nor raise where NBDL_STRICT_PLUGINS asks for it: `broken` has them.
        """
        if self.loaded and not self.late:
            return
        if self.loaded:
            from nbdl.plugins.loading import load_late

            load_late(self)
            return
        self.quiet = quiet
        try:
            if self is registry:
                _import_loaded()
            else:
                importlib.import_module("nbdl.plugins.loading").load(self)
        finally:
            self.quiet = False

    # -- looking up -----------------------------------------------------------------------------------

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

    def make(self, kind: str, given: Any, where: str = "") -> Any:
        """A unit from a name, a `{"name", "config"}` pair, a class or an instance.

        Args:
            kind: "activations", "losses", ...
            given: what the user wrote; None gives None.
            where: what the error message names, e.g. "Dense 'dense_1' activation".
        """
        base = base_of(kind)
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
        functions = all(map(callable, given if isinstance(given, tuple | list) else [given]))
        hint = '; nbdl.register("my_unit", f, df) gives functions a name' if functions else ""
        raise UnknownNameError(
            f"{where or kind}: expected a name, a registered class or an instance of it, got {given!r}{hint}"
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

    # -- registering ----------------------------------------------------------------------------------

    @property
    def owner(self) -> Owner:
        """Whose what is registered now is: this session's, unless within `owned`."""
        return _origin.get().owner

    @contextmanager
    def owned(self, owner: Owner, module: str) -> Iterator[None]:
        """What this thread registers within belongs to an owner; all of it is taken back if an error is raised."""
        outer, undo = _origin.get(), list[Callable[[], None]]()
        token = _origin.set(_Origin(owner, module, undo))
        try:
            yield
            outer.note(undo)
        except BaseException:
            with self._lock:
                for step in reversed(undo):
                    step()
            raise
        finally:
            _origin.reset(token)

    def register_module(self, module: ModuleType | Any, owner: Owner | None = None) -> bool:
        """Register the hooks of one module or object: all of what it registers, or nothing.

        Returns:
            Whether it has any hook.

        Raises:
            PluginError: a misspelt hook, a taken name, an invalid unit.
        """
        owner = owner or self.owner
        name = getattr(module, "__name__", type(module).__name__)
        with self._lock:
            if self._manager.is_registered(module):
                if owner.installed:
                    return True
                self._manager.unregister(module)  # it was reloaded, or its cell run again
            try:
                with self.owned(owner, name):
                    _refuse_wrong_hooks(module)
                    self._manager.register(module, name=f"{owner.plugin}:{name}:{id(module)}")
                    callers = self._manager.get_hookcallers(module) or []
                    _refuse_unknown_hooks(callers)
            except BaseException:
                if self._manager.is_registered(module):
                    self._manager.unregister(module)
                raise
            if not callers:
                self._manager.unregister(module)
            return bool(callers)

    def add(self, kind: str, name: str, *parts: Any, aliases: Sequence[str] = (), **options: Any) -> Entry:
        """Register one unit, as its hook's `register` does.

        Raises:
            PluginError: an invalid unit, or a taken name.
        """
        for one in (name, *(() if isinstance(aliases, str) else aliases)):
            if not isinstance(one, str) or not one.replace("_", "").replace("-", "").isalnum():
                raise PluginError(f"register_{kind}: a name is letters, digits and underscores, got {one!r}")
        if isinstance(aliases, str):
            raise PluginError(f"{name!r}: aliases are several names, so write aliases=({aliases!r},)")
        if not parts:
            raise PluginError(f"register_{kind}: nothing was given for {name!r}")
        if problem := unknown_option(kind, options) or malformed_option(kind, options):
            raise PluginError(f"{name!r}: {problem}")
        if older := deprecated_option(kind, options):
            warnings.warn(f"{name!r}: {older}", DeprecationWarning, stacklevel=3)
        target = target_of(kind, name, parts)
        origin = _origin.get()
        module = origin.module or getattr(target, "__module__", "")
        with self._lock:
            return self._add(Entry(kind, name, target, origin.owner, module, tuple(aliases), options), origin)

    def _add(self, entry: Entry, origin: _Origin) -> Entry:
        """Put an entry into the catalogue, unless it is there already."""
        catalogue, replaced = self.catalogue, None
        for name in (entry.name, *entry.aliases):
            known = catalogue.find(entry.kind, name)
            if known is None:
                continue
            same = known.name == entry.name and known.owner.distribution == entry.owner.distribution
            if same and known.owner == entry.owner and not known.owner.installed:
                replaced = known  # a cell that is run again
            elif same and known.target is entry.target:
                return known  # one module by two entry points
            else:
                raise PluginError(f"{entry.kind} {name!r} is already registered by {known.owner}")
        if entry.kind in UNIT_KINDS and "unit_name" in vars(entry.target):
            _refuse_second_name(entry, [known for known in catalogue.entries(entry.kind) if known is not replaced])
        _refuse_taken_roles(entry, [known for known in catalogue.entries(entry.kind) if known is not replaced])
        unmark = marked(entry)
        if replaced is None:
            catalogue.put(entry)
            origin.note([unmark, functools.partial(catalogue.remove, entry)])
        else:
            catalogue.replace(replaced, entry)
            origin.note([unmark, functools.partial(catalogue.replace, entry, replaced)])
        return entry


def _import_loaded() -> None:
    try:
        importlib.import_module("nbdl.plugins.load_once")
    except RuntimeError as error:
        if not is_deadlock(error):
            raise
        # Another thread is loading, and waits for a module that this one is importing: go on with what is there.


def _refuse_second_name(entry: Entry, others: list[Entry]) -> None:
    for other in others:
        if other.target is entry.target:  # a config could name one of them only
            raise PluginError(
                f"{entry.target.__name__} is registered as {other.name!r} already; "
                f"aliases=({entry.name!r},) there gives it another name"
            )


def _refuse_taken_roles(entry: Entry, others: list[Entry]) -> None:
    """What stands in for the user's choice is one unit's, as a name is: a default, a file's suffix."""
    for option in ("default", "default_for", "suffixes"):
        mine = entry.options.get(option)
        for other in others if mine else ():
            theirs = other.options.get(option)
            taken = {*(mine or ())} & {*(theirs or ())} if option == "suffixes" else mine == theirs
            if taken:
                raise PluginError(
                    f"{entry.kind} {entry.name!r}: {option}={mine!r} is taken by {other.name!r} of {other.owner}; "
                    "without it, the unit is there for who names it"
                )


def _refuse_wrong_hooks(module: Any) -> None:
    """Hooks are decorated, and take `register`."""
    for name in vars(module) if isinstance(module, ModuleType) else dir(module):
        function: Any = getattr(module, name) if name.startswith("register_") else None
        code = getattr(function, "__code__", None)
        if code is None:
            continue
        place = f"{name} ({code.co_filename}:{code.co_firstlineno})"
        if not hasattr(function, f"{GROUP}_impl"):
            if name in hookspecs.specifications():
                raise PluginError(f"{place} is no hook yet: decorate it with @nbdl.hookimpl")
        elif not {*inspect.signature(function).parameters} <= {"register"}:
            raise PluginError(f"{place} takes {inspect.signature(function)}: a hook's argument is called `register`")


def _refuse_unknown_hooks(callers: list[Any]) -> None:
    for caller in callers:
        if not caller.has_spec():
            hint = did_you_mean(caller.name, hookspecs.specifications())
            raise PluginError(f"there is no hook {caller.name!r}.{hint}")


def target_of(kind: str, name: str, parts: tuple[Any, ...]) -> Any:
    """Check what is registered and return it: a unit's class, a function, or for commands "module:object".

    Raises:
        PluginError: it is not what the kind takes.
    """
    first = parts[0]
    if kind not in UNIT_KINDS:
        _check_function(kind, name, first)
        return first
    base = base_of(kind)
    if isinstance(first, type) and issubclass(first, base):
        if base.__module__ == first.__module__ and kind in first.__dict__.get("kind", ""):
            raise PluginError(f"{name!r}: nbdl.{base.__name__} is what {kind} are derived from, and none itself")
        return first
    if kind not in ELEMENTWISE or isinstance(first, type):
        raise PluginError(f"{name!r}: {kind} are subclasses of nbdl.{base.__name__}, got {first!r}")
    for part in parts:
        refuse_uncompilable(part, name)
    return elementwise(kind, name, parts)


def _check_function(kind: str, name: str, target: Any) -> None:
    if kind != "commands" and not callable(target):
        raise PluginError(f"{name!r}: {kind} are functions, got {target!r}")
    if kind == "commands" and not (isinstance(target, str) and ":" in target):
        raise PluginError(f'{name!r}: a command is given as "module:object", got {target!r}')


def marked(entry: Entry) -> Callable[[], None]:
    """Let a unit's class know its name and what its registration says of it; return what takes that back."""
    if entry.kind not in UNIT_KINDS:
        return lambda: None
    unit, options = entry.target, entry.options
    marks: dict[str, Any] = {"unit_name": entry.name}
    for option in ("renamed", "ignored", "instead", "ranges"):
        if option in options:
            marks[option] = {**getattr(unit, option), **options[option]}
    if "ignored" in marks or "instead" in marks:
        marks["_missing"] = unit._missing.with_(options.get("ignored", {}), options.get("instead", {}))
    if entry.kind == Loss.kind:
        marks |= {option: options[option] for option in ("pairs", "targets", "predictions") if option in options}
    before = {name: unit.__dict__[name] for name in marks if name in unit.__dict__}
    for name, value in marks.items():
        setattr(unit, name, value)

    def unmark() -> None:
        for name in marks:
            if name in before:
                setattr(unit, name, before[name])
            else:
                delattr(unit, name)

    return unmark


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
