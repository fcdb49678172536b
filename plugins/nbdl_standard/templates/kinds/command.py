"""my-unit: a command that tells the size of each layer's weights."""

from __future__ import annotations

from typing import Any

import click

from nbdl import hookimpl


# Your command; its docstring is its help.
@click.command()
@click.argument("path", metavar="MODEL", type=click.Path(exists=True, dir_okay=False))
def command(path: str) -> None:
    """Tell the size of the weights of MODEL, a saved model."""
    import nbdl

    for weight in nbdl.load_model(path).weights:
        shape = "x".join(str(size) for size in weight.value.shape)
        click.echo(f"{weight.name:<20} {shape:>12} {abs(weight.value).max():12.6f}")


@hookimpl
def register_commands(register: Any) -> None:
    register("my-unit", "nbdl_my_unit:command", help="Tell the size of a model's weights.")
