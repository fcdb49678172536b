"""How plugins are loaded, for the registry: it lies below the plugins, so `nbdl/__init__.py` tells it here."""

from __future__ import annotations

from collections.abc import Callable

_loaders: list[Callable[[], None]] = []


def set_loader(load: Callable[[], None]) -> None:
    """Say what loads all plugins."""
    _loaders[:] = [load]


def load_plugins() -> None:
    """Load all plugins, as `nbdl/__init__.py` said."""
    for load in _loaders:
        load()
