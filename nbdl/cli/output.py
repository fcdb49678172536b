"""What commands print: lines in which nothing from a file, a table or a name steers the terminal.

Reports and errors are printed by `echo`, escaped wherever they go: no other module of the command line prints. Answers
are data: they are escaped on a terminal alone, and in files and pipes stay as they are.
"""

from __future__ import annotations

from typing import TextIO

import click

from nbdl.errors import printable

PROGRESS = 78  # columns of a line of progress


def echo(text: str, err: bool = False) -> None:
    """Print lines."""
    click.echo(printable(text), err=err)


def echo_over(text: str = "") -> None:
    """Print a line of progress to standard error over the last one, or remove that."""
    click.echo(f"\r{printable(text):<{PROGRESS}.{PROGRESS}}" + ("" if text else "\r"), nl=False, err=True)


class Answers:
    """A stream for data: escaped if a person reads it from a terminal.

    Args:
        stream: Where it goes.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.escaped = stream, stream.isatty()

    def write(self, text: str) -> int:
        """Write text."""
        return self.stream.write(printable(text) if self.escaped else text)
