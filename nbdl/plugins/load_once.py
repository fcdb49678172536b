"""Plugins are loaded once, by whichever thread looks a unit up first, without a deadlock.

The lock of Python's import system makes other threads wait until all plugins are there: loading them is the import of
`all_loaded`. A lock of our own would hold two threads for ever where one imports a plugin's module that looks something
up, while the other loads the plugins and wants that module. The import system notices such a pair and lets one thread
go on: with an error where it was to import `all_loaded`, or with a module of the plugin that is imported by half.

- The thread that may not wait for `all_loaded` goes on with what is there (`load_plugins`).
- The thread that loads puts the plugin aside (`must_wait`), and the next look-up goes on with it (`registry.late`).
"""

from __future__ import annotations

import importlib
from types import ModuleType

from nbdl.units.registry import Registry, registry


class HalfImported(Exception):
    """Another thread is in the middle of importing a module, and waits for this one."""


def load_plugins() -> None:
    """Load all plugins into the registry, or what was put aside."""
    if registry.loaded:
        load_late(registry)
        return
    try:
        importlib.import_module("nbdl.plugins.all_loaded")
    except RuntimeError as error:
        if not _is_deadlock(error):
            raise


def load_late(registry: Registry) -> None:
    """Go on with plugins that another thread was in the middle of importing."""
    waiting, registry.late = registry.late, []
    for step in waiting:
        step()


def refuse_half_imported(module: ModuleType) -> None:
    """Raise HalfImported if another thread is in the middle of importing a module."""
    if getattr(module.__spec__, "_initializing", False):
        raise HalfImported


def must_wait(error: BaseException) -> bool:
    """Tell whether a step of loading failed because another thread imports the same module."""
    return isinstance(error, HalfImported) or _is_deadlock(error)


def _is_deadlock(error: BaseException) -> bool:
    """Tell whether the import system found two threads that wait for each other's modules."""
    return type(error).__name__ == "_DeadlockError"  # it has no public name
