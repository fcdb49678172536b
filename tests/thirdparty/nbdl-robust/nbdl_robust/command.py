"""`nbdl outliers`: the rows that a model is most wrong about."""

from __future__ import annotations

import json
from typing import Any

import click

from nbdl.cli import (
    debug_option,
    encoding_of,
    json_option,
    load,
    load_model,
    model_argument,
    number,
    plugin_file_option,
    reading,
    reading_options,
    targets_for,
)


@click.command()
@model_argument
@click.argument("source", metavar="DATA")
@click.option("--top", metavar="N", type=click.IntRange(min=1), default=10, show_default=True, help="So many rows.")
@reading_options
@plugin_file_option
@json_option
@debug_option
def outliers(model: str, source: str, top: int, as_json: bool, **options: Any) -> None:
    """Print the rows of DATA with the largest loss of MODEL, the worst first.

    DATA is a dataset (its test part), a file, or - for standard input. Rows count from 1; of a table the line is
    given too. The loss includes the penalties on the weights, which are the same for every row.

    \b
    nbdl outliers table.nbdl more.csv --top 5
    nbdl outliers digits.nbdl digits --json
    """
    found = load(source, reading(options))
    data = found.data if found.test is None else found.test
    net = load_model(model)
    encoding = encoding_of(net, model)
    rows = worst(net, encoding, data, top)
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        where = f"row {row['row']}" + (f" (line {row['line']})" if "line" in row else "")
        click.echo(f"{where}: loss {number(row['loss'])}, target {row['target']}, prediction {row['prediction']}")


def worst(net: Any, encoding: Any, data: Any, top: int) -> list[dict[str, Any]]:
    """The rows with the largest loss.

    Args:
        net, encoding: a model made by `nbdl train`, and how its data is encoded.
        data: rows with their targets, as `nbdl.cli.source.load` gives them.
        top: how many, at most.

    Returns:
        Plain data, one for each row: row, line (of tables), loss, target, prediction.
    """
    import numpy as np

    x, y = encoding.encode(data), targets_for(net.loss, encoding, data, net.output_shape[-1])
    losses = np.array([loss_of(net, x[row : row + 1], y[row : row + 1]) for row in range(len(x))])
    chosen = np.argsort(-losses, kind="stable")[:top]
    answers = encoding.decode(net.predict(x[chosen]))
    truths = encoding.encode_target(data)[chosen]
    if encoding.task == "classification":
        targets = [encoding.classes[index] for index in truths]
    else:
        targets = encoding.decode(truths)
    lines = getattr(data, "lines", None)
    return [
        {
            "row": int(row) + 1,
            **({} if lines is None else {"line": lines[row]}),
            "loss": float(losses[row]),
            "target": target,
            "prediction": answer,
        }
        for row, target, answer in zip(chosen, targets, answers, strict=True)
    ]


def loss_of(net: Any, x: Any, y: Any) -> float:
    """The loss of a batch, which may be a single row."""
    return float(net.test_on_batch(x, y, return_dict=True)["loss"])
