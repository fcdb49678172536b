"""The command line: `nbdl train`, `evaluate`, `predict`, ...; plugins add commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.cli.figures import encoding_of as encoding_of
    from nbdl.cli.figures import number as number
    from nbdl.cli.options import debug_option as debug_option
    from nbdl.cli.options import json_option as json_option
    from nbdl.cli.options import load_model as load_model
    from nbdl.cli.options import model_argument as model_argument
    from nbdl.cli.options import plugin_file_option as plugin_file_option
    from nbdl.cli.options import reading as reading
    from nbdl.cli.options import reading_options as reading_options
    from nbdl.cli.packages import owner_meant as owner_meant
    from nbdl.cli.packages import package_argument as package_argument
    from nbdl.cli.packages import units_of as units_of
    from nbdl.cli.parameters import Command as Command
    from nbdl.cli.source import load as load
    from nbdl.cli.source import targets_for as targets_for

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.cli.figures": "encoding_of number",
        "nbdl.cli.options": (
            "debug_option json_option load_model model_argument plugin_file_option reading reading_options"
        ),
        "nbdl.cli.packages": "owner_meant package_argument units_of",
        "nbdl.cli.parameters": "Command",
        "nbdl.cli.source": "load targets_for",
    },
)


def main() -> None:
    """Run the command line; never returns, but to a shell that asks for completions."""
    from nbdl.cli.app import app
    from nbdl.cli.complete import complete, completing

    if completing():
        complete(app)
        return
    app(prog_name="nbdl")
