"""The command line: `nbdl train`, `evaluate`, `predict`, ...; plugins add commands."""

from __future__ import annotations


def main() -> None:
    """Run the command line; never returns."""
    from nbdl.cli.app import app

    app(prog_name="nbdl")
