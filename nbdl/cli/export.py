"""`nbdl export`: a saved model as a file of another format."""

from __future__ import annotations

from pathlib import Path

import click

from nbdl.cli.complete import files, units
from nbdl.cli.options import debug_option, load_model, model_argument, plugin_file_option
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command
from nbdl.errors import ConfigError


@click.command(cls=Command, short_help="Write a model as a file of another format.")
@model_argument
@click.option(
    "--to",
    "format",
    metavar="FORMAT",
    shell_complete=units("exporters"),
    show_default="the suffix of --output",
    help="The format, e.g. c.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=files,
    show_default="MODEL with the format's suffix",
    help="Where to.",
)
@click.option("--name", metavar="NAME", show_default="from the file's name", help="What the net is called in the file.")
@click.option("--header", is_flag=True, help="Of C: write a header beside the file.")
@click.option(
    "--check",
    type=click.Path(exists=True, dir_okay=False),
    help="Only tell whether FILE is an export of MODEL as it is now.",
)
@plugin_file_option
@debug_option
def export(
    model: str, format: str | None, output: str | None, name: str | None, header: bool, check: str | None
) -> None:
    """Write MODEL as a file of another format: a snapshot, which does not follow the model.

    An earlier export is replaced, and a line says so; any other file is never overwritten. --check exits with 1 where
    the model was changed after the export.

    \b
    nbdl export digits.nbdl --to c
    nbdl export digits.nbdl -o net/digits.c --name digits_net --header
    nbdl export digits.nbdl --check digits.c
    """
    from nbdl.model.export import export_model, exporter, is_export_of

    if check is not None:
        if format is not None or output is not None or name is not None or header:
            raise ConfigError("--check writes nothing: leave --to, --output, --name and --header out")
        same = is_export_of(load_model(model), check)
        echo(f"{check} is {'an export' if same else 'no export'} of {model} as it is now")
        click.get_current_context().exit(0 if same else 1)
    entry = exporter(output, format)
    if output is None:
        output = Path(model).stem + entry.options.get("suffixes", (f".{entry.name}",))[0]
    options = {"name": name, "header": header or None}
    target = Path(output).expanduser()
    replaced = target.exists() or (header and target.with_suffix(".h").exists())
    net = load_model(model)
    chosen = {key: value for key, value in options.items() if value is not None}
    following = export_model(net, output, entry.name, **chosen)
    echo(f"exported  {output}{' (replaced an earlier export)' if replaced else ''}")
    if following:
        echo(f"next      {following}")
