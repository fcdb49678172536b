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
from nbdl.loader import own_packages
from nbdl.plugins import discovery
from nbdl.plugins.discovery import GROUP, Plugin
from nbdl.plugins.load_once import must_wait, refuse_half_imported
from nbdl.units.entry import Broken, Owner

if TYPE_CHECKING:
    from nbdl.plugins.registrar import Registrar


def load(registrar: Registrar) -> None:
    """Find and load all plugins."""
    registry = registrar.registry
    found = discovery.discover()
    registry.switched_off = [plugin.owner for plugin in found.switched_off]
    registry.unmatched, registry.broken = found.unmatched, []
    for plugin in found.plugins:
        started = time.perf_counter()
        guarded(registrar, plugin.owner, plugin.point.value, functools.partial(_load_plugin, registrar, plugin))
        registry.seconds[plugin.owner] = time.perf_counter() - started
    registry.loaded = True
    if not registry.quiet:
        _warn(registry.broken)


def _load_plugin(registrar: Registrar, plugin: Plugin) -> None:
    owner = plugin.owner
    asked = discovery.unmet(plugin)
    if asked:
        error = PluginError(f"it needs {asked}, and this is {GROUP} {importlib.metadata.version(GROUP)}")
        newer = f"`pip install -U {owner.distribution}` may bring a version of it for this {GROUP}"
        _refuse(registrar, owner, plugin.point.value, error, f"`pip install '{asked}'` brings what it needs, {newer}")
        return
    module, attribute = discovery.target(plugin)
    if plugin.own:
        own_packages.add(module.partition(".")[0])
    package = importlib.import_module(module)
    if attribute:
        for name in attribute.split("."):
            package = getattr(package, name)
        if not registrar.register_module(package, owner):
            raise PluginError(
                f"{plugin.point.value} has no hooks: decorate its register_... functions with @nbdl.hookimpl"
            )
        return
    for name in discovery.modules(module):
        guarded(registrar, owner, name, functools.partial(_import_and_register, registrar, name, owner))


def _import_and_register(registrar: Registrar, name: str, owner: Owner) -> None:
    with registrar.owned(owner, name):
        module = importlib.import_module(name)
        refuse_half_imported(module)
        registrar.register_module(module, owner)


def guarded(registrar: Registrar, owner: Owner, module: str, action: Callable[[], Any]) -> None:
    """Run one step of loading; whatever a plugin does wrong (even exiting) is reported, not raised."""
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of a command's output
            action()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if must_wait(error):
            registrar.registry.late.append(functools.partial(guarded, registrar, owner, module, action))
            return
        if isinstance(error, PluginError) and error.__cause__ is not None and discovery.strict():
            raise  # it has been said, by a step within this one
        _refuse(registrar, owner, module, error)


def _refuse(registrar: Registrar, owner: Owner, module: str, error: BaseException, remedy: str = "") -> None:
    """Take note of what is wrong with a plugin; raise it instead where authors ask for that."""
    text = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
    remedy = remedy or f"Update or remove {owner.distribution} (`pip install -U {owner.distribution}`)"
    reason = " ".join(text.split()) or type(error).__name__
    broken = Broken(owner, module, reason, f"{remedy}, or set {discovery.DISABLE}={owner.plugin}")
    if discovery.strict() and not registrar.registry.quiet:
        raise PluginError(str(broken)) from error
    registrar.registry.broken.append(broken)


def _warn(broken: list[Broken]) -> None:
    """One warning for each distribution."""
    for distribution in dict.fromkeys(one.owner.distribution for one in broken):
        first, *others = [one for one in broken if one.owner.distribution == distribution]
        more = f" ({len(others)} more of its modules are broken: `nbdl plugins doctor`)" if others else ""
        warnings.warn(f"{first}{more}", PluginWarning, stacklevel=2)
