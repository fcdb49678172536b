"""`nbdl plugins`: what is installed, from which package, and what is broken."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from nbdl.cli.groups import Group
from nbdl.cli.options import debug_option, json_option, plugin_file_option
from nbdl.cli.output import echo
from nbdl.errors import ConfigError, did_you_mean
from nbdl.plugins.commands import BUILT_IN

if TYPE_CHECKING:
    from nbdl.units.entry import Entry, Owner
    from nbdl.units.registry import Registry

SUBCOMMANDS = {
    "list": "nbdl.cli.plugin_list:list_units",
    "info": "nbdl.cli.plugin_info:info",
    "check": "nbdl.cli.plugin_check:check",
    "doctor": "nbdl.cli.plugin_doctor:doctor",
    "new": "nbdl.cli.plugin_new:new",
}


SUMMARIES = {
    "list": "Every unit, or those of one kind.",
    "info": "Formula, arguments, defaults, source and owner of a unit.",
    "check": "Run the conformance suite on a package, a file or a unit.",
    "doctor": "What is loaded, how long it takes, what is broken or switched off.",
    "new": "Write a small plugin package to start from.",
}


class Plugins(Group):
    """The commands about plugins; a word that is a kind or a unit gets a hint."""

    built_in, summaries = SUBCOMMANDS, SUMMARIES
    within = "plugins"

    def of_plugins(self) -> Mapping[str, click.Command]:
        loaded()
        return super().of_plugins()

    def hint(self, ctx: click.Context, name: str) -> str:
        from nbdl.hookspecs import KINDS
        from nbdl.units.registry import kind_named

        try:
            return f" To list them: nbdl plugins list {kind_named(name)}"
        except ConfigError:
            pass
        if any(loaded().find(kind, name) for kind in KINDS):
            return f" It is a unit: nbdl plugins info {name}"
        return did_you_mean(name, [*self.list_commands(ctx), *KINDS]) or " `nbdl plugins --help` lists them."


@click.group(cls=Plugins, invoke_without_command=True, short_help="What is installed, what is broken; check, describe.")
@plugin_file_option
@json_option
@debug_option
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List the installed plugins, the package each comes from, and broken ones with the reason.

    \b
    nbdl plugins list losses
    nbdl plugins info adam
    nbdl plugins check my_units.py
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # formulas are not ASCII, the terminal may be
        sys.stdout.reconfigure(errors="backslashreplace")
    if ctx.invoked_subcommand is None:
        overview(as_json)
    elif as_json:
        name = ctx.invoked_subcommand
        raise click.UsageError(f"write --json after the command: nbdl plugins {name} --json", ctx)


def loaded() -> Registry:
    """Return the registry; what is broken is in it rather than a warning, or an error under NBDL_STRICT_PLUGINS."""
    from nbdl.units.registry import registry

    registry.load(quiet=True)
    return registry


def counted(registry: Registry) -> dict[Owner, Counter[str]]:
    """Return how many units of each kind every owner has registered."""
    found: dict[Owner, Counter[str]] = {}
    for entry in registry.entries():
        found.setdefault(entry.owner, Counter())[entry.kind] += 1
    return found


def numbers(kinds: Counter[str]) -> str:
    """Write how many units of each kind there are."""
    from nbdl.units.entry import singular

    return ", ".join(f"{count} {kind if count > 1 else singular(kind)}" for kind, count in kinds.items())


def hidden_commands(registry: Registry) -> list[Entry]:
    """Return the commands that have the name of a built-in one."""
    return [entry for entry in registry.entries("commands") if entry.name in BUILT_IN]


def overview(as_json: bool) -> None:
    """Print one block per plugin, then the broken ones."""
    registry = loaded()
    found = counted(registry)
    if as_json:
        plugins = [{**asdict(owner), "units": dict(kinds)} for owner, kinds in found.items()]
        echo(json.dumps({"plugins": plugins, "broken": broken_json(registry)}, indent=2))
        return
    for owner, kinds in found.items():
        echo(f"{owner.plugin}  ({owner})")
        echo(f"  {numbers(kinds)}")
    for entry in hidden_commands(registry):
        echo(f"The command {entry.name!r} of {entry.owner} is hidden by the built-in one.", err=True)
    if registry.broken:
        echo("\nBroken:")
    for line in broken_lines(registry):
        echo(line)


def broken_lines(registry: Registry) -> list[str]:
    """Write what is broken: the module, below it the reason and the remedy."""
    text = []
    for broken in registry.broken:
        text.append(f"{broken.owner.plugin}  ({broken.owner}), module {broken.module}")
        text += [f"  {broken.reason}", f"  {broken.remedy}"]
    return text


def broken_json(registry: Registry) -> list[dict[str, Any]]:
    """Return what is broken, for JSON."""
    return [
        {**asdict(broken.owner), "module": broken.module, "reason": broken.reason, "remedy": broken.remedy}
        for broken in registry.broken
    ]
