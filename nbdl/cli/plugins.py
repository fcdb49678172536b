"""`nbdl plugins`: what is installed, from which package, and what is broken."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from typing import Any

import click

from nbdl.cli.app import COMMANDS
from nbdl.cli.options import debug_option, json_option
from nbdl.errors import ConfigError, did_you_mean


@click.group(invoke_without_command=True, short_help="What is installed, from which package, what is broken.")
@json_option
@debug_option
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List the installed plugins, the package each comes from, and broken ones with the reason."""
    if ctx.invoked_subcommand is None:
        overview(as_json)


@plugins.command("list", short_help="Every unit, or those of one kind.")
@click.option("--kind", metavar="KIND", help="Only this kind: layers, activations, datasets, ...")
@json_option
@debug_option
def list_units(kind: str | None, as_json: bool) -> None:
    """List every registered unit with the package that it comes from."""
    registry = loaded()
    from nbdl.hookspecs import KINDS

    if kind is not None and kind not in KINDS:
        raise ConfigError(f"no kind {kind!r}.{did_you_mean(kind, KINDS)} Kinds: {', '.join(KINDS)}")
    entries = registry.entries(kind)
    if as_json:
        click.echo(json.dumps([unit(entry) for entry in entries], indent=2))
        return
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        description = entry.options.get("description", "")
        click.echo(f"{entry.kind:<13} {entry.name:<{width}}  {entry.owner}  {description}".rstrip())


def unit(entry: Any) -> dict[str, Any]:
    """Return one unit for JSON."""
    return {
        "kind": entry.kind,
        "name": entry.name,
        "aliases": list(entry.aliases),
        "distribution": entry.owner.distribution,
        "version": entry.owner.version,
        "module": entry.module,
    }


def loaded() -> Any:
    """Return the registry; that something is broken is told by the list rather than by a warning."""
    from nbdl.registry import registry

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        registry.load()
    return registry


def overview(as_json: bool) -> None:
    """Print one block per plugin, then the broken ones."""
    registry = loaded()
    found: dict[Any, Counter[str]] = {}
    for entry in registry.entries():
        found.setdefault(entry.owner, Counter())[entry.kind] += 1
    shadowed = [entry for entry in registry.entries("commands") if entry.name in COMMANDS]
    if as_json:
        click.echo(json.dumps(overview_json(registry, found), indent=2))
        return
    for owner, kinds in found.items():
        click.echo(f"{owner.plugin}  ({owner})")
        click.echo(f"  {', '.join(f'{count} {kind}' for kind, count in kinds.items())}")
    for entry in shadowed:
        click.echo(f"The command {entry.name!r} of {entry.owner} is hidden by the built-in one.", err=True)
    if registry.broken:
        click.echo("\nBroken:")
    for broken in registry.broken:
        click.echo(f"{broken.owner.plugin}  ({broken.owner}), module {broken.module}")
        click.echo(f"  {broken.reason}")
        click.echo(f"  {broken.remedy}")


def overview_json(registry: Any, found: dict[Any, Counter[str]]) -> dict[str, Any]:
    """Return the overview for JSON."""
    return {
        "plugins": [
            {
                "plugin": owner.plugin,
                "distribution": owner.distribution,
                "version": owner.version,
                "units": dict(kinds),
            }
            for owner, kinds in found.items()
        ],
        "broken": [
            {
                "plugin": broken.owner.plugin,
                "distribution": broken.owner.distribution,
                "version": broken.owner.version,
                "module": broken.module,
                "reason": broken.reason,
                "remedy": broken.remedy,
            }
            for broken in registry.broken
        ],
    }
