"""`nbdl train`: from data to a saved model in one command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from nbdl.cli import arch as nets
from nbdl.cli.complete import among, column_names, files, sources, units
from nbdl.cli.options import (
    debug_option,
    device_option,
    plugin_file_option,
    precision_option,
    reading,
    reading_options,
    threads_option,
)
from nbdl.cli.parameters import Command, Duration, Number, Whole
from nbdl.cli.parts import Run
from nbdl.cli.run import SUFFIX, output_path, train_and_report
from nbdl.plugins import unit_text
from nbdl.plugins.recipe import defaults_of

if TYPE_CHECKING:
    from nbdl.units.entry import Entry

SEE_BELOW = "see below"
SHARE = Number(0, 1, max_open=True)
POSITIVE = Whole(min=1)
TASKS = click.Choice(["classification", "regression"])
PROGRESS = click.Choice(["auto", "bar", "line", "json", "none"])


class TrainCommand(Command):
    """The command; its help ends with what datasets and recipes settle."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [
            (entry.name, ", ".join(f"{name} {value}" for name, value in settings.items()))
            for entry, settings in all_defaults()
        ]
        if rows:
            with formatter.section("What is not given is settled by the dataset, or by the recipe for the task"):
                formatter.write_dl(rows)


def all_defaults() -> list[tuple[Entry, Mapping[str, Any]]]:
    """Return the settings of each dataset and of each recipe."""
    from nbdl.units.registry import registry

    found = [(entry, entry.options.get("recipe", {})) for entry in registry.entries("datasets")]
    found += [(entry, defaults_of(entry)) for entry in registry.entries("recipes")]
    return [(entry, settings) for entry, settings in found if settings]


@click.command(cls=TrainCommand, short_help="Train a net on a dataset or a table and save it.")
@click.argument("source", metavar="SOURCE", shell_complete=sources)
@click.option(
    "--target", metavar="COLUMN", shell_complete=among(column_names), help="The column to predict; needed for tables."
)
@click.option(
    "--ignore",
    metavar="COLUMN",
    multiple=True,
    shell_complete=among(column_names),
    help="A column that is not an input; may be repeated.",
)
@click.option("--task", type=TASKS, show_default="guessed", help="What to predict.")
@click.option("--test", metavar="FILE", shell_complete=files, help="A file with the rows to test on.")
@reading_options
@click.option("--arch", metavar="NET", show_default=SEE_BELOW, help=f"The net: {nets.EXAMPLE}.")
@click.option(
    "--optimizer",
    metavar="NAME",
    shell_complete=units("optimizers"),
    show_default="the recipe's",
    help='How the weights are changed; may have arguments, as any unit here: "name(learning_rate=0.01)".',
)
@click.option(
    "--lr",
    metavar="RATE",
    type=Number(min=0, min_open=True),
    show_default="the optimizer's",
    help="Learning rate.",
)
@click.option(
    "--loss",
    metavar="NAME",
    shell_complete=units("losses"),
    show_default="what fits the last layer",
    help="What is minimised.",
)
@click.option(
    "--dropout",
    "dropped",
    metavar="SHARE",
    type=SHARE,
    show_default="0",
    help="Share of the hidden units to drop while training.",
)
@click.option(
    "--l2",
    "penalty",
    metavar="FACTOR",
    type=Number(min=0),
    show_default="0",
    help="Factor of the penalty on squared weights.",
)
@click.option("--epochs", metavar="N", type=POSITIVE, show_default=SEE_BELOW, help="At most so many.")
@click.option("--batch-size", metavar="N", type=POSITIVE, show_default=SEE_BELOW, help="Rows in a step.")
@click.option(
    "--patience",
    metavar="N",
    type=Whole(min=0),
    show_default=SEE_BELOW,
    help="Stop after so many epochs without a lower validation loss, and take the best weights; 0: never.",
)
@click.option("--max-time", metavar="TIME", type=Duration(), help="Stop after so long: 90s, 10m, 1h30m.")
@click.option(
    "--validation-split",
    metavar="SHARE",
    type=SHARE,
    show_default=SEE_BELOW,
    help="Share of the rows to validate on.",
)
@click.option(
    "--test-split",
    metavar="SHARE",
    type=SHARE,
    show_default=SEE_BELOW,
    help="Share of the rows to test on, if none are given to test.",
)
@click.option(
    "--standardize/--no-standardize",
    default=None,
    show_default="files yes, datasets no",
    help="Bring inputs, and values to predict, to mean 0 and deviation 1.",
)
@click.option(
    "--recipe",
    metavar="NAME",
    shell_complete=units("recipes"),
    show_default="the task's",
    help="What settles all that is not given.",
)
@click.option(
    "--seed",
    metavar="N",
    type=Whole(min=0),
    default=0,
    show_default=True,
    help="The same seed, the same model.",
)
@threads_option
@device_option
@precision_option
@click.option(
    "-o",
    "--output",
    shell_complete=files,
    metavar=f"FILE{SUFFIX}",
    show_default=f"SOURCE{SUFFIX}",
    help="Where to save the model.",
)
@click.option(
    "--progress",
    type=PROGRESS,
    default="auto",
    show_default=True,
    help="auto: a bar on a terminal, else lines; json: a row per epoch on standard output.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
@click.option("-v", "--verbose", is_flag=True, help="Also print the layers.")
@plugin_file_option
@debug_option
def train(source: str, output: str | None, quiet: bool, progress: str, **options: Any) -> None:
    """Train a net on SOURCE and save it.

    SOURCE is a dataset (they are listed below), a table (a .csv with --target), an array file (.npz with x
    and y), or - for a table on standard input.

    Training stops when the validation loss no longer falls; the best weights are kept, tested and saved. A
    model of the same name is replaced, and a line says so; any other file is never overwritten. Ctrl-C, or a
    signal to terminate, saves the best weights so far; before the end of the first epoch it replaces nothing.

    \b
    nbdl train digits
    nbdl train mnist --data DIR --batch-size 100 --epochs 20 \\
      --arch 784-500:sigmoid-500:sigmoid-10:softmax
    nbdl train table.csv --target y -o y.nbdl
    """
    how = reading(options)
    names = (
        "target",
        "ignore",
        "task",
        "test",
        "recipe",
        "seed",
        "threads",
        "device",
        "precision",
        "verbose",
        "dry_run",
    )
    run = Run(
        source=source,
        output=output_path(output, source),
        progress="none" if quiet and progress == "auto" else progress,
        quiet=quiet,
        **{name: options.pop(name) for name in names},
    )
    check_names(options)
    train_and_report(run, how, options)


def check_names(options: dict[str, Any]) -> None:
    """Refuse a misspelt name, wrong arguments or a wrong net before any data is read."""
    if options["optimizer"] is not None:
        unit_text.unit("optimizers", options["optimizer"], learning_rate=options["lr"])
    if options["loss"] is not None:
        unit_text.unit("losses", options["loss"])
    if options["arch"] is not None:
        nets.parse(options["arch"])
