"""`nbdl evaluate`: how well a model does on data with known answers."""

from __future__ import annotations

import json
from typing import Any

import click

from nbdl.cli.complete import sources
from nbdl.cli.figures import compared, encoding_of, figures_of, plain, written
from nbdl.cli.options import (
    debug_option,
    device_option,
    json_option,
    load_model,
    model_argument,
    plugin_file_option,
    precision_option,
    reading,
    reading_options,
    threads_option,
)
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command
from nbdl.cli.source import load, saying_how_read
from nbdl.errors import counted


@click.command(cls=Command, short_help="Loss and metrics of a model on data with answers.")
@model_argument
@click.argument("source", shell_complete=sources, metavar="SOURCE")
@reading_options
@threads_option
@device_option
@precision_option
@json_option
@plugin_file_option
@debug_option
def evaluate(
    model: str, source: str, threads: int | None, device: str, precision: str, as_json: bool, **options: Any
) -> None:
    """Print loss and metrics of MODEL on SOURCE.

    SOURCE is a dataset (its test part), a file, or - for standard input. Of a regression also the root mean
    squared error in the target's own unit, and R2, the share of the variance that is explained.

    \b
    nbdl evaluate digits.nbdl digits
    nbdl evaluate table.nbdl more.csv --json
    """
    net = load_model(model, device, precision)
    encoding = encoding_of(net, model)
    how = reading(options).like(encoding)
    with saying_how_read(how):
        found = load(source, how)
        data = found.data if found.test is None else found.test
        result, notes = figures_of(net, encoding, compared(net, encoding, data), threads)
    if as_json:
        echo(json.dumps({**result, "rows": len(data)}, default=plain))
    else:
        echo(f"{written(result)} ({counted(len(data), 'row')})")
        for note in notes:
            echo(note, err=True)
