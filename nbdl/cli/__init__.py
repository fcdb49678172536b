"""The command line: `nbdl train`, `evaluate`, `predict`, ...; plugins add commands."""

from __future__ import annotations


def main() -> None:
    """Run the command line; never returns, but to a shell that asks for completions."""
    from nbdl.cli.app import app
    from nbdl.cli.complete import complete, completing

    if completing():
        complete(app)
        return
    app(prog_name="nbdl")
