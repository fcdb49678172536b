"""`nbdl plugins doctor`: what was found, what it took to load, and why something is not there."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from nbdl.cli.options import debug_option, json_option, plugin_file_option
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command
from nbdl.cli.plugin_info import WIDTH, wrapped
from nbdl.cli.plugins import broken_json, broken_lines, counted, hidden_commands, loaded, numbers

if TYPE_CHECKING:
    from nbdl.units.registry import Registry


@click.command(cls=Command, short_help="What is loaded, how long it takes, what is broken or switched off.")
@plugin_file_option
@json_option
@debug_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Tell of each plugin where it comes from and how long it takes to load; what is broken, and what is switched off.

    Exit code 4 if a plugin is broken.
    """
    registry = loaded()
    report = {
        "versions": versions(),
        "plugins": found(registry),
        "broken": broken_json(registry),
        "switched_off": switched_off(registry),
        "notes": notes(registry),
    }
    echo(json.dumps(report, indent=2) if as_json else "\n".join(lines(registry, report)))
    if registry.broken:
        ctx.exit(4)


def lines(registry: Registry, report: dict[str, Any]) -> list[str]:
    """Return the report as text."""
    text = [", ".join(f"{name} {version}" for name, version in report["versions"].items()), ""]
    for plugin in report["plugins"]:
        text.append(f"{plugin['plugin']}  ({plugin['distribution']} {plugin['version']})".replace(" )", ")"))
        units = numbers(Counter(plugin["units"])) or "nothing"
        text += wrapped(f"{plugin['module']}: {units}{taken(plugin['seconds'])}", WIDTH, 2, 4)
    if registry.broken:
        text += ["", "Broken:", *broken_lines(registry)]
    if report["switched_off"]:
        text += ["", "Switched off:"]
    for plugin in report["switched_off"]:
        text.append(f"{plugin['plugin']}  ({plugin['distribution']} {plugin['version']}), by {plugin['variable']}")
    if report["notes"]:
        text += ["", *report["notes"]]
    return text


def taken(seconds: float | None) -> str:
    """Write how long it took to load; nothing for what was loaded by the way."""
    return "" if seconds is None else f"; loaded in {1000 * seconds:.0f} ms"


def versions() -> dict[str, str]:
    """Return the versions of what plugins build on."""
    from importlib.metadata import version

    from nbdl.hookspecs import VERSION

    return {
        "nbdl": version("nbdl"),
        "hooks": VERSION,
        "python": platform.python_version(),
        "pluggy": version("pluggy"),
    }


def found(registry: Registry) -> list[dict[str, Any]]:
    """Return a description of each plugin: those of packages first, then files and what was registered by hand."""
    from nbdl.plugins.discovery import installed

    units, modules = counted(registry), {plugin.owner: plugin.point.value for plugin in installed()}
    for entry in registry.entries():
        modules.setdefault(entry.owner, entry.module)
    return [
        {
            **asdict(owner),
            "module": module,
            "units": dict(units.get(owner, {})),
            "seconds": registry.seconds.get(owner),
        }
        for owner, module in modules.items()
        if owner not in registry.switched_off
    ]


def switched_off(registry: Registry) -> list[dict[str, str]]:
    """Return the plugins that the environment keeps from being loaded, each with the variable that does."""
    from nbdl.plugins.discovery import DISABLE, LOAD, installed, listed

    return [
        {**asdict(plugin.owner), "variable": DISABLE if plugin.answers_to(listed(DISABLE) or []) else LOAD}
        for plugin in installed()
        if plugin.owner in registry.switched_off
    ]


def notes(registry: Registry) -> list[str]:
    """Say what is odd though nothing is broken."""
    from nbdl.plugins.discovery import DISABLE, LOAD, STRICT, installed, listed

    text = []
    for name in registry.unmatched:
        variable = DISABLE if name in (listed(DISABLE) or []) else LOAD
        text.append(f"{variable} names {name!r}, which is no installed plugin or package")
    owners: dict[str, list[str]] = {}
    for plugin in installed():
        owners.setdefault(plugin.point.name, []).append(str(plugin.owner))
    for name, several in owners.items():
        if len(several) > 1:
            text.append(f"{' and '.join(several)} call their plugin {name!r}: to switch one off, name the package")
    broken = {one.owner for one in registry.broken}
    for owner in registry.seconds.keys() - counted(registry).keys() - broken:
        text.append(f"{owner} registers nothing: its register_... functions need @nbdl.hookimpl")
    for entry in hidden_commands(registry):
        text.append(f"the command {entry.name!r} of {entry.owner} is hidden by the built-in one")
    if os.environ.get(STRICT) == "1":
        text.append(f"{STRICT}=1: other commands end at the first broken plugin")
    return text
