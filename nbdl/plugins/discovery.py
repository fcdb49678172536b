"""Finds installed plugins: entry points of the group `nbdl`, less those that the environment switches off.

    NBDL_DISABLE_PLUGINS=a,b    these are not loaded
    NBDL_LOAD_PLUGINS=a,b       only these are, beside the standard units; empty: none
    NBDL_STRICT_PLUGINS=1       a plugin that cannot be used raises rather than warns: for its author

A name is an entry point's or a distribution's. Nothing of a plugin is imported before these are looked at.
"""

from __future__ import annotations

import importlib.metadata
import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from nbdl.errors import PluginError
from nbdl.units.entry import Owner, normalise

GROUP = "nbdl"
DISABLE, LOAD, STRICT = "NBDL_DISABLE_PLUGINS", "NBDL_LOAD_PLUGINS", "NBDL_STRICT_PLUGINS"
NOT_READ = ("__main__", "tests", "conftest")


@dataclass(frozen=True)
class Plugin:
    """An entry point, and who offers it."""

    point: importlib.metadata.EntryPoint
    owner: Owner

    @property
    def own(self) -> bool:
        """Whether it comes with nbdl."""
        return self.owner.distribution == GROUP

    def answers_to(self, names: list[str]) -> bool:
        """Whether a list of names holds this one's, or its distribution's."""
        return not {normalise(name) for name in names}.isdisjoint(
            map(normalise, (self.point.name, self.owner.distribution))
        )


@dataclass
class Discovery:
    """What is installed, and what of it is to be loaded.

    Attributes:
        plugins: to be loaded, nbdl's own first: who comes later must not take their names.
        switched_off: not to be loaded, because of the environment.
        unmatched: names in the environment's lists that nothing installed answers to.
    """

    plugins: list[Plugin] = field(default_factory=list)
    switched_off: list[Plugin] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)


def installed() -> list[Plugin]:
    """Every plugin that is installed."""
    found = []
    for point in importlib.metadata.entry_points(group=GROUP):
        name, version = (point.dist.name, point.dist.version) if point.dist else (None, None)
        found.append(Plugin(point, Owner(point.name, name or "unknown distribution", version or "unknown")))
    return sorted(found, key=lambda plugin: (not plugin.own, plugin.point.name, plugin.owner.distribution))


def discover() -> Discovery:
    """Every plugin that is installed, by what the environment says of it."""
    disabled, wanted = listed(DISABLE) or [], listed(LOAD)
    found, result = installed(), Discovery()
    for plugin in found:
        loaded = plugin.own or wanted is None or plugin.answers_to(wanted)
        chosen = result.plugins if loaded and not plugin.answers_to(disabled) else result.switched_off
        chosen.append(plugin)
    result.unmatched = [name for name in [*disabled, *(wanted or [])] if not any(p.answers_to([name]) for p in found)]
    return result


def listed(variable: str) -> list[str] | None:
    """The names in an environment variable; None if it is not set."""
    value = os.environ.get(variable)
    return None if value is None else [name.strip() for name in value.split(",") if name.strip()]


def strict() -> bool:
    """Whether a plugin that cannot be used raises."""
    return os.environ.get(STRICT, "").lower() in ("1", "true", "yes", "on")


def target(plugin: Plugin) -> tuple[str, str]:
    """What an entry point names: a module, and an object in it, or "".

    Raises:
        PluginError: it names neither.
    """
    try:
        return plugin.point.module, plugin.point.attr or ""
    except AttributeError:
        raise PluginError(
            f"its entry point is {plugin.point.value!r}, which is no module: write `{plugin.point.name} = "
            '"my_module"` or "my_module:my_object"'
        ) from None


def modules(package: str) -> Iterator[str]:
    """An imported module and, if it is a package, every module in it, in order; its tests are left out."""
    yield package
    yield from _walk(list(getattr(sys.modules[package], "__path__", [])), f"{package}.")


def _walk(paths: list[str], prefix: str) -> Iterator[str]:
    for info in sorted(pkgutil.iter_modules(paths, prefix), key=lambda info: info.name):
        name = info.name.rpartition(".")[2]
        if name in NOT_READ or name.startswith("test_"):
            continue
        yield info.name
        if info.ispkg:
            package = sys.modules.get(info.name)
            yield from _walk(list(package.__path__) if package else [], f"{info.name}.")


def unmet(plugin: Plugin) -> str:
    """What a plugin's distribution asks of nbdl and this version is not, e.g. "nbdl>=2"; else an empty string."""
    if plugin.own or plugin.point.dist is None:
        return ""
    for line in plugin.point.dist.requires or ():
        if not re.match(rf"{GROUP}(?![\w.-])", line, re.IGNORECASE):
            continue
        from packaging.requirements import InvalidRequirement, Requirement

        try:
            asked = Requirement(line)
        except InvalidRequirement:
            continue
        applies = asked.marker is None or asked.marker.evaluate({"extra": ""})
        if applies and not asked.specifier.contains(importlib.metadata.version(GROUP), prereleases=True):
            return f"{GROUP}{asked.specifier}"
    return ""
