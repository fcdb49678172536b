"""`nbdl predict`: answers for rows, as CSV."""

from __future__ import annotations

import csv
import io
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from nbdl.cli.complete import files, sources
from nbdl.cli.named_arrays import inputs_from
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
from nbdl.cli.output import Answers, echo
from nbdl.cli.parameters import Command
from nbdl.cli.source import check_outputs, load, saying_how_read
from nbdl.errors import ConfigError
from nbdl.storage.atomic import named, write_atomically
from nbdl.storage.outputs import as_path, check_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nbdl.cli.source import Reading
    from nbdl.data.encoding import Encoding
    from nbdl.units.loss import Loss

ANSWER, PROBABILITY = "prediction", "probability"
HEAD = 1 << 20  # characters of a file, among which its first line is looked for


@click.command(cls=Command, short_help="Answers for rows: a table in, CSV out.")
@model_argument
@click.argument("source", shell_complete=sources, metavar="[SOURCE]", default="-")
@reading_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=files,
    show_default="standard output",
    help="Where to write the answers.",
)
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

    On a terminal, characters of class names that would steer it are shown as their numbers; files and pipes get them
    as they are.

    SOURCE is a file, - for standard input, or a dataset (its test part). Its columns may stand in any order;
    those that the model does not need are ignored. The answers are CSV below a line of names: class names, or
    numbers in the target's own unit.

    Of a model that `nbdl train` did not make, SOURCE is an .npz file with an array for each input, called as the
    input is, or x. The answers are the numbers that the model gives, a column for each.

    -o replaces an earlier file of answers, and a line says so: a file whose first line has the names of predictions,
    with or without probabilities after them. Any other file is never overwritten.

    \b
    nbdl predict table.nbdl new.csv -o answers.csv
    nbdl predict table.nbdl - < new.csv | head
    """
    how = reading(options)
    if source == "-" and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("give a file, or rows on standard input")
    target = None if output in (None, "-") else answers_path(str(output), model, source)
    net = load_model(model, device, precision)
    if net.encoding is None:
        if proba:
            raise ConfigError("--proba is for models of `nbdl train`, which know their classes")
        rows = columns(net.output_names, net.predict(inputs_from(source, net, model, how), threads=threads))
    else:
        rows = answers_to(source, net, how, proba, threads)
    if target is None:
        write(Answers(sys.stdout), rows)
        sys.stdout.flush()
        return
    replaced = save_answers(target, rows)
    if replaced:
        echo(f"{target}: replaced earlier answers", err=True)


def answers_to(source: str, net: Any, how: Reading, proba: bool, threads: int | None) -> Iterator[list[Any]]:
    """Return the table of answers of a model that knows how its data is encoded.

    Args:
        proba: whether to add the probability of each class.
    """
    encoding: Encoding = net.encoding
    if proba and encoding.task != "classification":
        raise ConfigError("--proba is for classes; this model predicts numbers")
    check_outputs(encoding, net.output_shape[-1], "the model")
    how = how.like(encoding)
    with saying_how_read(how):
        found = load(source, how)
        x = encoding.encode(found.data if found.test is None else found.test)
    return table(encoding, net.predict(x, threads=threads, encoded=True), proba, net.loss)


def answers_path(output: str, model: str, source: str) -> Path:
    """Return where the answers go; refuse a place that they cannot or should not go to, before any work is done.

    Raises:
        ConfigError: SOURCE or MODEL is there under whatever name, another file that holds no answers, or the place
            cannot be written to.
    """
    target = as_path(output, "-o FILE").expanduser()
    read = {"MODEL": Path(model), "SOURCE": Path(source).expanduser()}
    for role, path in read.items():
        if same_file(target, path if path != Path("-") else None):
            raise ConfigError(f"-o {output}: is {role} itself, so it is not overwritten; give another name")
    if not is_device(target):
        check_file(target, "a file of answers", is_answers)
    return target


def same_file(target: Path, other: Path | None) -> bool:
    """Return whether two paths name one file; of None, whether the first is what standard input reads."""
    try:
        there = os.fstat(sys.stdin.fileno()) if other is None else other.stat()
        return os.path.samestat(target.stat(), there)
    except (OSError, ValueError, AttributeError):  # one is not there, or standard input is no file
        return False


def is_device(path: Path) -> bool:
    """Return whether a path is a device or a pipe, which holds nothing that could be lost."""
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except OSError:
        return False


def is_answers(path: Path) -> bool:
    """Return whether a file begins with the line of names that `table` or `columns` writes."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        try:
            names = next(csv.reader(io.StringIO(file.read(HEAD))), [])
        except csv.Error:
            return False
    while names and names[-1].startswith(f"{PROBABILITY}_"):
        names.pop()
    return bool(names) and all(name == ANSWER or name.startswith(f"{ANSWER}_") for name in names)


def save_answers(target: Path, rows: Iterator[list[Any]]) -> bool:
    """Write the answers whole or not at all; return whether they replaced earlier ones."""
    if is_device(target):
        try:
            with target.open("w", encoding="utf-8", newline="") as file:
                write(file, rows)
        except OSError as error:
            raise named(error, target) from None
        return False
    replaced = check_file(target, "a file of answers", is_answers)  # again: it may have changed meanwhile
    text = io.StringIO(newline="")
    write(text, rows)
    write_atomically(target, text.getvalue().encode())
    return replaced


def write(file: TextIO | Answers, rows: Iterator[list[Any]]) -> None:
    """Write CSV with line feeds."""
    csv.writer(file, lineterminator="\n").writerows(rows)


def table(encoding: Encoding, predictions: NDArray[Any], proba: bool, loss: Loss | None = None) -> Iterator[list[Any]]:
    """Yield a row of names, then a row for each answer; the loss says what the predictions are."""
    answers = encoding.decode(predictions, 0.5 if loss is None else loss.boundary)
    several = bool(answers) and isinstance(answers[0], list)
    names = [f"{ANSWER}_{number}" for number in range(1, encoding.outputs + 1)] if several else [ANSWER]
    yield [*names, *(f"{PROBABILITY}_{name}" for name in encoding.classes)] if proba else names
    logits = loss is not None and loss.boundary == 0.0
    chances = probabilities(of_logits(predictions) if logits else predictions) if proba else None
    for row, answer in enumerate(answers):
        cells = [shortened(value) for value in (answer if isinstance(answer, list) else [answer])]
        if chances is not None:
            cells += [shortened(value) for value in chances[row].tolist()]
        yield cells


def columns(outputs: Sequence[str], predictions: Any) -> Iterator[list[Any]]:
    """Yield a row of names, then a row of numbers for each row of predictions.

    Args:
        outputs: the names of the outputs, which tell columns apart where there are several.
        predictions: an array, or a list with one for each output.
    """
    several = isinstance(predictions, list)
    parts = predictions if several else [predictions]
    names = []
    for output, part in zip(outputs, parts, strict=True):
        name, width = f"{ANSWER}_{output}" if several else ANSWER, math.prod(part.shape[1:])
        names += [name] if width == 1 else [f"{name}_{number}" for number in range(1, width + 1)]
    yield names
    for rows in zip(*(part.reshape(len(part), -1) for part in parts), strict=True):
        yield [shortened(value) for row in rows for value in row.tolist()]


def of_logits(z: NDArray[Any]) -> NDArray[Any]:
    """Return probabilities: the logistic function of a single output, the softmax of several."""
    import numpy as np

    z = z if z.shape[1] > 1 else np.concatenate([np.zeros_like(z), z], axis=1)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    shares: NDArray[Any] = e / e.sum(axis=1, keepdims=True)
    return shares if shares.shape[1] > 2 else shares[:, -1:]


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
