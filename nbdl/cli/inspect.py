"""`nbdl summary` and `nbdl explain`: what a saved model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nbdl.cli.complete import among, devices
from nbdl.cli.options import debug_option, load_model, model_argument, plugin_file_option
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command, Whole

if TYPE_CHECKING:
    from nbdl.data.encoding import Encoding


@click.command(cls=Command, short_help="The layers of a model, and the data it is for.")
@model_argument
@plugin_file_option
@debug_option
def summary(model: str) -> None:
    """Print the layers of MODEL, their weights, and the data that it takes and gives."""
    from nbdl.data.table import listed

    net = load_model(model)
    net.summary(print_fn=echo)
    if net.compiled is not None:
        losses = net.loss if isinstance(net.loss, dict) else {"": net.loss}
        names = [f"{loss.unit_name} of {output}" if output else loss.unit_name for output, loss in losses.items()]
        echo(f"Trained with {net.optimizer.unit_name} on {listed(names)}, seed {net.seed}")
    if net.encoding is not None:
        for line in described(net.encoding):
            echo(line)


def described(encoding: Encoding) -> list[str]:
    """Say what data a model takes and gives."""
    from nbdl.cli.source import written_options
    from nbdl.data.table import listed
    from nbdl.errors import counted

    takes = counted(encoding.shape[0], "number") if not encoding.features else listed(encoding.features)
    about = f" of {encoding.target!r}" if encoding.target is not None else ""
    gives = listed(encoding.classes) if encoding.classes else counted(encoding.outputs, "number")
    text = [f"Takes: {takes}", f"Gives: {encoding.task}{about}: {gives}"]
    if encoding.reading:
        text.append(f"Reads: {written_options(encoding.reading)}")
    return text


@click.command(cls=Command, short_help="The program of a model, an operation a line.")
@model_argument
@click.option("--schedule", is_flag=True, help="How it runs instead: tiles and memory, or the launches of a GPU.")
@click.option(
    "--device",
    metavar="DEVICE",
    shell_complete=among(devices),
    show_default="cpu",
    help="Whose schedule: cpu, cuda, which takes no GPU here, or auto: a GPU's if there is one.",
)
@click.option("--batch-size", type=Whole(min=1), default=32, show_default=True, help="Rows to count for.")
@plugin_file_option
@debug_option
def explain(model: str, schedule: bool, device: str | None, batch_size: int) -> None:
    """Print the program that MODEL was compiled to: a line per operation with operands, FLOPs and bytes."""
    if device is not None and not schedule:
        raise click.UsageError("--device says whose schedule is shown, and the program has no device: add --schedule")
    load_model(model).explain(schedule, batch_size, echo, device or "cpu")
