"""What rooms low in the house need from those above: `nbdl/__init__.py` and the loading of plugins say it here."""

from __future__ import annotations

TYPE_CHECKING = False  # as in `nbdl`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

own_packages = {"nbdl"}  # packages that come with nbdl; loading adds those of nbdl's own plugins
_loaders: list[Callable[[], None]] = []
_finders: list[Callable[[str, str], Any]] = []


def set_up(load: Callable[[], None], find: Callable[[str, str], Any]) -> None:
    """Say what loads all plugins, and what finds a name that Keras has in a module."""
    _loaders[:] = [load]
    _finders[:] = [find]


def load_plugins() -> None:
    """Load all plugins: the first look-up of a unit calls this."""
    for load in _loaders:
        load()


def find_keras_name(module: str, name: str) -> Any:
    """Return what Keras has in a module and nbdl has elsewhere.

    Raises:
        AttributeError: nbdl does not have it; the message says what to do instead.
    """
    for find in _finders:
        return find(module, name)
    raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
