"""`nbdl evaluate`: how well a model does on data with known answers."""

from __future__ import annotations

import json
from typing import Any

import click

from nbdl.cli.complete import sources
from nbdl.cli.figures import compared, figures_of, floats, plain, written
from nbdl.cli.named_arrays import inputs_from, targets_from
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

    Of a model that `nbdl train` did not make, SOURCE is an .npz file with an array for each input and for each output
    that has a loss, called as they are, or x and y.

    \b
    nbdl evaluate digits.nbdl digits
    nbdl evaluate table.nbdl more.csv --json
    """
    net = load_model(model, device, precision)
    how = reading(options)
    notes: list[str] = []
    if net.encoding is None:
        x = inputs_from(source, net, model, how)
        result = floats(net.evaluate(x, targets_from(source, net), verbose=0, return_dict=True, threads=threads))
        rows = len(x[0])
    else:
        how = how.like(net.encoding)
        with saying_how_read(how):
            found = load(source, how)
            data = found.data if found.test is None else found.test
            result, notes = figures_of(net, net.encoding, compared(net, net.encoding, data), threads)
            rows = len(data)
    if as_json:
        echo(json.dumps({**result, "rows": rows}, default=plain))
    else:
        echo(f"{written(result)} ({counted(rows, 'row')})")
        for note in notes:
            echo(note, err=True)
