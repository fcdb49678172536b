"""The few parts of pluggy that nbdl's registry uses, for a machine that has no pluggy and cannot fetch it.

gpu_check.py puts this folder on the path only there, and its report says so. Hooks are all historic: a plugin's are
called when it is registered.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__version__ = "0 (stand-in)"


class _Marker:
    suffix = ""

    def __init__(self, project: str) -> None:
        self.attribute = f"{project}_{self.suffix}"

    def __call__(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        def marked(function: Callable[..., Any]) -> Callable[..., Any]:
            setattr(function, self.attribute, options)
            return function

        return marked if function is None else marked(function)


class HookspecMarker(_Marker):
    """Marks a specification."""

    suffix = "spec"


class HookimplMarker(_Marker):
    """Marks an implementation."""

    suffix = "impl"


class HookCaller:
    """One hook: its specification, if there is one, and what it was called with."""

    def __init__(self, name: str, specification: Any = None) -> None:
        self.name, self.specification = name, specification
        self.calls: list[dict[str, Any]] = []

    def has_spec(self) -> bool:
        """Whether it was specified."""
        return self.specification is not None

    def call_historic(self, kwargs: dict[str, Any]) -> None:
        """Call all implementations, those that come later too."""
        self.calls.append(kwargs)

    def catch_up(self, function: Callable[..., Any]) -> None:
        """Call an implementation that came later, with the arguments that it takes."""
        taken = inspect.signature(function).parameters
        for kwargs in self.calls:
            function(**{name: value for name, value in kwargs.items() if name in taken})


class _Hooks:
    pass


class PluginManager:
    """Plugins, and the hooks that they implement."""

    def __init__(self, project: str) -> None:
        self.project, self.hook = project, _Hooks()
        self._plugins: dict[int, tuple[Any, list[HookCaller]]] = {}

    def add_hookspecs(self, module: Any) -> None:
        """Take a module's specifications."""
        for name in dir(module):
            if hasattr(getattr(module, name), f"{self.project}_spec"):
                setattr(self.hook, name, HookCaller(name, getattr(module, name)))

    def is_registered(self, plugin: Any) -> bool:
        """Whether a plugin is."""
        return id(plugin) in self._plugins

    def register(self, plugin: Any, name: str | None = None) -> None:
        """Take a plugin's implementations and call them."""
        found: list[tuple[str, Any]] = [(one, getattr(plugin, one, None)) for one in dir(plugin)]
        marked = [(one, function) for one, function in found if self._implements(function)]
        callers = [getattr(self.hook, one, None) or HookCaller(one) for one, _ in marked]
        self._plugins[id(plugin)] = plugin, callers
        for caller, (_, function) in zip(callers, marked, strict=True):
            caller.catch_up(function)

    def _implements(self, function: Any) -> bool:
        return inspect.isroutine(function) and hasattr(function, f"{self.project}_impl")

    def unregister(self, plugin: Any) -> None:
        """Forget a plugin."""
        del self._plugins[id(plugin)]

    def get_hookcallers(self, plugin: Any) -> list[HookCaller] | None:
        """The hooks that a plugin implements, or None of one that is not registered."""
        return self._plugins[id(plugin)][1] if self.is_registered(plugin) else None
