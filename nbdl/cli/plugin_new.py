"""`nbdl plugins new`: a package with one unit, to start from."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from nbdl.cli.complete import folders, units
from nbdl.cli.options import debug_option
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command
from nbdl.errors import ConfigError, did_you_mean
from nbdl.plugins.commands import BUILT_IN
from nbdl.storage.outputs import as_path

if TYPE_CHECKING:
    from nbdl.units.entry import Entry


@click.command(cls=Command, short_help="Write a small plugin package to start from.")
@click.argument("name", required=False)
@click.option(
    "--kind",
    metavar="KIND",
    shell_complete=units("templates"),
    help="What the package offers; without it the kinds are listed.",
)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    shell_complete=folders,
    show_default="nbdl-NAME",
    help="Where to: a new or empty folder.",
)
@click.option("--author", metavar="NAME", default="", help="Who goes into the licence.")
@click.option("--dry-run", is_flag=True, help="Only list the files.")
@debug_option
@click.pass_context
def new(ctx: click.Context, name: str | None, kind: str | None, output: str | None, author: str, dry_run: bool) -> None:
    """Write a package with one unit called NAME: code, tests, README, licence and CI, all of which work at once.

    \b
    nbdl plugins new my_activation --kind activation
    nbdl plugins new MyLayer --kind layer -o ~/my-layer
    """
    from nbdl.plugins import scaffold

    if name is None and kind is None:
        echo(f"nbdl plugins new NAME --kind KIND, with one of these kinds:\n{kinds()}")
        return
    if kind is None:
        echo(f"Say what {name} is to be by --kind:\n{kinds()}", err=True)
        ctx.exit(2)
    if name is None:
        raise click.UsageError(f"Say what the unit is called: nbdl plugins new NAME --kind {kind}")
    entry = template(kind)
    request = scaffold.named(name, entry.options.get("makes", entry.name), author)
    if request.kind == "command" and request.unit.replace("_", "-") in BUILT_IN:
        raise ConfigError(f"nbdl has a command {request.unit!r} of its own; choose another name")
    scaffold.refuse_taken(request)
    files = entry.target(request)
    folder = as_path(request.distribution if output is None else output, "-o FOLDER")
    if not dry_run:
        scaffold.write(files, folder)
    echo(f"{folder}{' would hold' if dry_run else ''}:")
    for file in files:
        echo(f"  {file}")
    if not dry_run:
        echo(f"Next:\n  cd {shlex.quote(str(folder))}\n  pip install -e '.[test]'\n  python -m pytest")


def kinds() -> str:
    """Return the kinds of package that can be written, a line each."""
    from nbdl.units.registry import registry

    entries = registry.entries("templates")
    width = max((len(entry.name) for entry in entries), default=0)
    return "\n".join(f"  {entry.name:<{width}}  {entry.options.get('description', '')}".rstrip() for entry in entries)


def template(kind: str) -> Entry:
    """Return the template for a kind, "layer" or "layers".

    Raises:
        ConfigError: There is none; the message says which there are.
    """
    from nbdl.units.entry import singular
    from nbdl.units.registry import registry

    entry = registry.find("templates", kind) or registry.find("templates", singular(kind))
    if entry is None:
        known = registry.names("templates")
        raise ConfigError(f"no kind {kind!r}.{did_you_mean(kind, known)} Kinds: {', '.join(known) or 'none'}")
    return entry
