"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nbdl.cli.complete import among, devices, files, folders, formats
from nbdl.cli.output import echo
from nbdl.cli.parameters import ModelFile, Whole

if TYPE_CHECKING:
    from nbdl.cli.source import Reading

DEBUG = "nbdl.debug"
PLUGIN_FILES = "nbdl.plugin_files"  # the files that were given by --plugin-file
Function = TypeVar("Function", bound=Callable[..., Any])

SLOW = "for tests, some thousand times slower"

model_argument = click.argument("model", type=ModelFile())
threads_option = click.option(
    "--threads",
    metavar="N",
    type=Whole(min=1),
    show_default="all available",
    help="Use at most so many threads.",
)


def resolved(ctx: click.Context, _: click.Parameter, name: str) -> str:
    """Return the device to ask for, before anything is read; say once why "auto" is the CPU, or what is no GPU."""
    if ctx.resilient_parsing:
        return name
    from nbdl.network.device import resolve, stand_in

    device = resolve(name)
    if substitute := stand_in(device):
        echo(f"device {device} is {substitute}: {SLOW}", err=True)
    return device if device == "cpu" else name  # "auto" may still fall back, for a layer


device_option = click.option(
    "--device",
    metavar="DEVICE",
    default="cpu",
    show_default=True,
    callback=resolved,
    shell_complete=among(devices),
    help="Where to run: cpu, cuda (an NVIDIA GPU), cuda:1, ..., or auto: a GPU if there is one.",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "tf32"]),
    default="float32",
    show_default=True,
    help="tf32: large products on a GPU are faster and less exact.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Remember that tracebacks are wanted."""
    if value:
        ctx.meta[DEBUG] = True


debug_option = click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=set_debug,
    help="Show full tracebacks of errors.",
)


def load_files(ctx: click.Context, _: click.Parameter, files: tuple[str, ...]) -> None:
    """Register the units of files, before anything else is looked at."""
    if ctx.resilient_parsing:
        return
    from nbdl.plugins.session import register_file

    for file in files:
        register_file(file)
    ctx.meta.setdefault(PLUGIN_FILES, []).extend(files)


plugin_file_option = click.option(
    "--plugin-file",
    "plugin_file",
    metavar="FILE",
    multiple=True,
    is_eager=True,
    expose_value=False,
    callback=load_files,
    shell_complete=files,
    help="Also take units from a file of Python; may be repeated.",
)


def reading_options(function: Function) -> Function:
    """Add the options that say how data is read; `reading` makes a `Reading` of them."""
    for option in reversed(
        (
            click.option(
                "--data", "folder", metavar="DIR", shell_complete=folders, help="Folder with a dataset's files."
            ),
            click.option("--download", is_flag=True, help="Fetch a dataset's files that are not there."),
            click.option(
                "--format",
                metavar="SUFFIX",
                shell_complete=among(formats),
                show_default="the file's suffix",
                help="Read as, e.g. csv.",
            ),
            click.option("--delimiter", metavar="CHARACTER", show_default="found out", help="Between a table's cells."),
            click.option(
                "--header/--no-header",
                default=None,
                show_default="it has names, and they are not numbers",
                help="Whether a table's first line holds the names of its columns; without, they are called 1, 2, ...",
            ),
        )
    ):
        function = option(function)
    return function


def reading(options: dict[str, Any]) -> Reading:
    """Take the options of `reading_options` out of a command's options."""
    from nbdl.cli.source import Reading

    delimiter = options.pop("delimiter")
    return Reading(
        options.pop("folder"),
        options.pop("download"),
        options.pop("format"),
        {"delimiter": "\t" if delimiter == "\\t" else delimiter, "header": options.pop("header")},
    )


def load_model(path: str, device: str = "cpu", precision: str = "float32") -> Any:
    """Load a model."""
    import nbdl

    model = nbdl.load_model(path, device=device)
    model.precision = precision
    return model
