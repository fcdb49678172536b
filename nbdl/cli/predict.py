"""`nbdl predict`: answers for rows, as CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from nbdl.cli.figures import encoding_of
from nbdl.cli.options import (
    debug_option,
    device_option,
    load_model,
    model_argument,
    plugin_file_option,
    precision_option,
    reading,
    reading_options,
    threads_option,
)
from nbdl.cli.parameters import Command
from nbdl.cli.source import check_outputs, load, saying_how_read
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nbdl.data.encoding import Encoding

ANSWER = "prediction"


@click.command(cls=Command, short_help="Answers for rows: a table in, CSV out.")
@model_argument
@click.argument("source", metavar="[SOURCE]", default="-")
@reading_options
@click.option("-o", "--output", metavar="FILE", show_default="standard output", help="Where to write the answers.")
@click.option("--proba", is_flag=True, help="Add the probability of each class.")
@threads_option
@device_option
@precision_option
@plugin_file_option
@debug_option
def predict(
    model: str,
    source: str,
    output: str | None,
    proba: bool,
    threads: int | None,
    device: str,
    precision: str,
    **options: Any,
) -> None:
    """Print the answers of MODEL for each row of SOURCE.

    SOURCE is a file, - for standard input, or a dataset (its test part). Its columns may stand in any order;
    those that the model does not need are ignored. The answers are CSV below a line of names: class names, or
    numbers in the target's own unit.

    \b
    nbdl predict table.nbdl new.csv -o answers.csv
    nbdl predict table.nbdl - < new.csv | head
    """
    how = reading(options)
    if source == "-" and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("give a file, or rows on standard input")
    net = load_model(model, device, precision)
    encoding = encoding_of(net, model)
    if proba and encoding.task != "classification":
        raise ConfigError("--proba is for classes; this model predicts numbers")
    check_outputs(encoding, net.output_shape[-1], "the model")
    how = how.like(encoding)
    with saying_how_read(how):
        found = load(source, how)
        x = encoding.encode(found.data if found.test is None else found.test)
    predictions = net.predict(x, threads=threads, encoded=True)
    rows = table(encoding, predictions, proba)
    if output is None or output == "-":
        write(sys.stdout, rows)
        sys.stdout.flush()
    else:
        with Path(output).expanduser().open("w", encoding="utf-8", newline="") as file:
            write(file, rows)


def write(file: TextIO, rows: Iterator[list[Any]]) -> None:
    """Write CSV with line feeds."""
    csv.writer(file, lineterminator="\n").writerows(rows)


def table(encoding: Encoding, predictions: NDArray[Any], proba: bool) -> Iterator[list[Any]]:
    """Yield a row of names, then a row for each answer."""
    answers = encoding.decode(predictions)
    several = bool(answers) and isinstance(answers[0], list)
    names = [f"{ANSWER}_{number}" for number in range(1, encoding.outputs + 1)] if several else [ANSWER]
    yield [*names, *(f"probability_{name}" for name in encoding.classes)] if proba else names
    chances = probabilities(predictions) if proba else None
    for row, answer in enumerate(answers):
        cells = [shortened(value) for value in (answer if isinstance(answer, list) else [answer])]
        if chances is not None:
            cells += [shortened(value) for value in chances[row].tolist()]
        yield cells


def probabilities(predictions: NDArray[Any]) -> NDArray[Any]:
    """Return a column for each class; of a single output, that of the first class is the rest to 1."""
    import numpy as np

    single = predictions.shape[1] == 1
    return np.concatenate([1.0 - predictions, predictions], axis=1) if single else predictions


def shortened(value: Any) -> str:
    """Write a number with the seven digits that float32 has.

    >>> shortened(0.1 + 0.2), shortened("setosa")
    ('0.3', 'setosa')
    """
    return value if isinstance(value, str) else f"{value:.7g}"
