"""`nbdl profile`: where a step of a net goes on this machine's CPU, operation by operation."""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

import click
from click.core import ParameterSource

from nbdl.cli import arch as nets
from nbdl.cli.complete import units
from nbdl.cli.options import debug_option, json_option, load_model, plugin_file_option, threads_option
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command, ModelFile, Number, Whole
from nbdl.cli.warmup import compiled
from nbdl.errors import ConfigError
from nbdl.plugins.recipe import Request, choose, defaults_of, settle

WHAT = click.Choice(["train", "evaluate", "predict"])
BY = click.Choice(["operation", "layer", "phase"])
TASKS = click.Choice(["classification", "regression"])
ONLY_WITH_ARCH = ("loss", "optimizer", "task")


@click.command(cls=Command, short_help="Where a step goes: µs, GFLOP/s, GB/s, share of the roofline.")
@click.argument("model", metavar="[MODEL]", required=False, type=ModelFile())
@click.option("--arch", metavar="NET", help=f"A new net instead of MODEL: {nets.EXAMPLE}.")
@click.option("--task", type=TASKS, show_default="classification", help="What the new net is for.")
@click.option(
    "--loss",
    metavar="NAME",
    shell_complete=units("losses"),
    show_default="what fits the last layer",
    help="Of the new net.",
)
@click.option(
    "--optimizer",
    metavar="NAME",
    shell_complete=units("optimizers"),
    show_default="the recipe's",
    help="Of the new net.",
)
@click.option("--what", type=WHAT, default="train", show_default=True, help="Whose steps.")
@click.option("--batch-size", type=Whole(min=1), default=32, show_default=True, help="Rows in a step.")
@click.option(
    "--rows",
    metavar="N",
    type=Whole(min=1),
    show_default="up to 64 batches",
    help="Random rows to go through; as many as in a step are read in place, as `fit` does with a single batch.",
)
@click.option("--by", type=BY, default="operation", show_default=True, help="A line for each.")
@click.option(
    "--seconds",
    type=Number(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="How long to measure, about.",
)
@threads_option
@json_option
@plugin_file_option
@debug_option
def profile(
    model: str | None,
    arch: str | None,
    what: str,
    batch_size: int,
    rows: int | None,
    by: str,
    seconds: float,
    threads: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure where a step of MODEL, or of a new net, goes on this machine's CPU; MODEL is not changed.

    The rows are random. Operations are measured on one thread, the whole step on one and on all.

    \b
    nbdl profile digits.nbdl --batch-size 100
    nbdl profile --arch 784-500:sigmoid-10:softmax --optimizer adam --by layer
    """
    by_given = click.get_current_context().get_parameter_source("by") is ParameterSource.COMMANDLINE
    if as_json and by_given:
        raise click.UsageError("--by groups the lines of the table; --json has every operation: leave one of them out")
    if (model is None) == (arch is None):
        raise click.UsageError("give a saved MODEL, or a net with --arch" + (", not both" if model else ""))
    if model is not None:
        for name in ONLY_WITH_ARCH:
            if options[name] is not None:
                raise click.UsageError(f"--{name} is for a net of --arch; {model} has its own")
    if rows is not None and rows < batch_size:
        raise ConfigError(f"--rows {rows} is less than a step's --batch-size {batch_size}")
    net = load_model(model) if model is not None else new_net(str(arch), batch_size, **options)
    found = measured(net, what, batch_size, rows, seconds, threads)
    if as_json:
        echo(json.dumps(found.to_dict(), indent=2))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in found.lines(by, width):
        echo(line)


def new_net(text: str, rows: int, task: str | None, loss: str | None, optimizer: str | None) -> Any:
    """Return the net that `nbdl train` would make of --arch."""
    net = nets.parse(text)
    recipe = choose(task or "classification", None)
    settings = settle({"loss": loss, "optimizer": optimizer}, defaults_of(recipe))
    wanted = Request(
        task or "classification", net.inputs, net.stages[-1].units, rows, net.stages, validated=True, settings=settings
    )
    return compiled(recipe.target(wanted))


def measured(net: Any, what: str, batch_size: int, rows: int | None, seconds: float, threads: int | None) -> Any:
    """Return the profile on random rows."""
    x = y = None
    if rows is not None:
        from nbdl.inspection.measure import random_data
        from nbdl.model.owner import job_of

        x, y = random_data(job_of(net), what, batch_size, rows)
    return net.profile(x, y, batch_size=batch_size, what=what, seconds=seconds, threads=threads)
