"""Registration: what plugins and sessions register is checked and put into the registry, or taken back as a whole."""

from __future__ import annotations

import functools
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
from nbdl.errors import PluginError, did_you_mean
from nbdl.plugins.discovery import GROUP
from nbdl.plugins.options import deprecated_option, malformed_option, unknown_option
from nbdl.units.elementwise import ELEMENTWISE, elementwise, refuse_uncompilable
from nbdl.units.entry import SESSION, Entry, Owner
from nbdl.units.loss import Loss
from nbdl.units.registry import UNIT_KINDS, Registry, base_of, registry


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


class Registrar:
    """Checks what plugins and sessions register, and puts it into a registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._manager = _Manager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._lock = threading.RLock()
        for kind in hookspecs.KINDS:
            hook = getattr(self._manager.hook, f"register_{kind}")
            hook.call_historic(kwargs={"register": functools.partial(self.add, kind)})

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
            _check_name(kind, one)
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
        catalogue = self.registry.catalogue
        replaced = None
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
        location = f"{name} ({code.co_filename}:{code.co_firstlineno})"
        if not hasattr(function, f"{GROUP}_impl"):
            if name in hookspecs.specifications():
                raise PluginError(f"{location} is no hook yet: decorate it with @nbdl.hookimpl")
        elif not {*inspect.signature(function).parameters} <= {"register"}:
            raise PluginError(f"{location} takes {inspect.signature(function)}: a hook's argument is called `register`")


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


def _check_name(kind: str, name: Any) -> None:
    word = name.removeprefix("plugins ") if kind == "commands" and isinstance(name, str) else name
    if not isinstance(word, str) or not word.replace("_", "").replace("-", "").isalnum():
        also = ', and a command may begin with "plugins "' if kind == "commands" else ""
        raise PluginError(f"register_{kind}: a name is letters, digits and underscores{also}; got {name!r}")


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


registrar = Registrar(registry)
