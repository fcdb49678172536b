"""Loads what is installed into the registry; a plugin that is broken is reported, and takes nothing else down."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from nbdl.errors import PluginError, PluginWarning
from nbdl.plugins import discovery
from nbdl.plugins.discovery import GROUP, Plugin
from nbdl.units import arguments
from nbdl.units.entry import Broken, Owner

if TYPE_CHECKING:
    from nbdl.plugins.registry import Registry


def load(registry: Registry) -> None:
    """Find and load all plugins."""
    found = discovery.discover()
    registry.switched_off = [plugin.owner for plugin in found.switched_off]
    registry.unmatched, registry.broken = found.unmatched, []
    for plugin in found.plugins:
        started = time.perf_counter()
        guarded(registry, plugin.owner, plugin.point.value, functools.partial(_load_plugin, registry, plugin))
        registry.seconds[plugin.owner] = time.perf_counter() - started
    registry.loaded = True
    if not registry.quiet:
        _warn(registry.broken)


def _load_plugin(registry: Registry, plugin: Plugin) -> None:
    owner = plugin.owner
    asked = discovery.unmet(plugin)
    if asked:
        error = PluginError(f"it needs {asked}, and this is {GROUP} {importlib.metadata.version(GROUP)}")
        newer = f"`pip install -U {owner.distribution}` may bring a version of it for this {GROUP}"
        _refuse(registry, owner, plugin.point.value, error, f"`pip install '{asked}'` brings what it needs, {newer}")
        return
    module, attribute = discovery.target(plugin)
    if plugin.own:
        arguments.OWN.add(module.partition(".")[0])
    package = importlib.import_module(module)
    if attribute:
        for name in attribute.split("."):
            package = getattr(package, name)
        if not registry.register_module(package, owner):
            raise PluginError(
                f"{plugin.point.value} has no hooks: decorate its register_... functions with @nbdl.hookimpl"
            )
        return
    for name in discovery.modules(module):
        guarded(registry, owner, name, functools.partial(_import_and_register, registry, name, owner))


def _import_and_register(registry: Registry, name: str, owner: Owner) -> None:
    with registry.owned(owner, name):
        module = importlib.import_module(name)
        if getattr(module.__spec__, "_initializing", False):
            raise _HalfImported
        registry.register_module(module, owner)


class _HalfImported(Exception):
    """Another thread is in the middle of importing a module, and waits for this one."""


def load_late(registry: Registry) -> None:
    """Go on with plugins that another thread was in the middle of importing."""
    waiting, registry.late = registry.late, []
    for step in waiting:
        step()


def guarded(registry: Registry, owner: Owner, module: str, action: Callable[[], Any]) -> None:
    """Run one step of loading; whatever a plugin does wrong (even exiting) is reported, not raised."""
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of a command's output
            action()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, _HalfImported) or discovery.is_deadlock(error):
            registry.late.append(functools.partial(guarded, registry, owner, module, action))
            return
        if isinstance(error, PluginError) and error.__cause__ is not None and discovery.strict():
            raise  # it has been said, by a step within this one
        _refuse(registry, owner, module, error)


def _refuse(registry: Registry, owner: Owner, module: str, error: BaseException, remedy: str = "") -> None:
    """Take note of what is wrong with a plugin; raise it instead where authors ask for that."""
    text = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
    remedy = remedy or f"Update or remove {owner.distribution} (`pip install -U {owner.distribution}`)"
    reason = " ".join(text.split()) or type(error).__name__
    broken = Broken(owner, module, reason, f"{remedy}, or set {discovery.DISABLE}={owner.plugin}")
    if discovery.strict() and not registry.quiet:
        raise PluginError(str(broken)) from error
    registry.broken.append(broken)


def _warn(broken: list[Broken]) -> None:
    """One warning for each distribution."""
    for distribution in dict.fromkeys(one.owner.distribution for one in broken):
        first, *others = [one for one in broken if one.owner.distribution == distribution]
        more = f" ({len(others)} more of its modules are broken: `nbdl plugins doctor`)" if others else ""
        warnings.warn(f"{first}{more}", PluginWarning, stacklevel=2)
