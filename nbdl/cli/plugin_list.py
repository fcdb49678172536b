"""`nbdl plugins list`: every unit, or those of one kind."""

from __future__ import annotations

import json
import shutil
import sys

import click

from nbdl.cli.complete import among, kinds
from nbdl.cli.options import debug_option, json_option, plugin_file_option
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command
from nbdl.cli.plugins import loaded

KIND = "Only this kind: layers, activations, datasets, ..."


@click.command("list", cls=Command, short_help="Every unit, or those of one kind.")
@click.argument("kind", metavar="[KIND]", shell_complete=among(kinds), required=False)
@click.option("--kind", "same", metavar="KIND", shell_complete=among(kinds), help=KIND)
@plugin_file_option
@json_option
@debug_option
def list_units(kind: str | None, same: str | None, as_json: bool) -> None:
    """List the registered units, all or those of a KIND: its package, and a line on each.

    \b
    nbdl plugins list optimizers
    nbdl plugins list --json
    """
    from nbdl.plugins.description import summary_of
    from nbdl.units.registry import kind_named

    if kind and same:
        raise click.UsageError("give the kind once: KIND or --kind")
    wanted = kind or same
    entries = loaded().entries(kind_named(wanted) if wanted else None)
    if as_json:
        units = [
            {
                "kind": entry.kind,
                "name": entry.name,
                "aliases": list(entry.aliases),
                "distribution": entry.owner.distribution,
                "version": entry.owner.version,
                "module": entry.module,
                "summary": summary_of(entry),
            }
            for entry in entries
        ]
        echo(json.dumps(units, indent=2))
        return
    if loaded().broken:
        echo("Some plugins are broken; `nbdl plugins` tells why.", err=True)
    name = max((len(entry.name) for entry in entries), default=0)
    owner = max((len(str(entry.owner)) for entry in entries), default=0)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None  # whole lines for other programs
    for entry in entries:
        line = f"{entry.kind:<13} {entry.name:<{name}}  {entry.owner!s:<{owner}}  {summary_of(entry)}".rstrip()
        echo(line[:width])
