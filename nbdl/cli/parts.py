"""What a training from the command line was asked for, and the parts of its data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbdl.cli.output import echo
from nbdl.cli.screen import flowed

if TYPE_CHECKING:
    from nbdl.data.encoding import Encoding
    from nbdl.data.target import Data, Task


@dataclass(frozen=True)
class Run:
    """One call of the command.

    Args:
        source, target, ignore, task, test, recipe: What to learn from, and how it is understood.
        output: The file of the model.
        seed, threads, device, precision, progress, quiet, verbose: As the options of these names.
    """

    source: str
    target: str | None
    ignore: tuple[str, ...]
    task: Task | None
    test: str | None
    recipe: str | None
    output: Path
    seed: int
    threads: int | None
    device: str
    precision: str
    progress: str
    quiet: bool
    verbose: bool
    dry_run: bool

    def say(self, label: str, text: str) -> None:
        """Print one line of the report: to standard error where standard output carries JSON.

        A terminal gets it broken between words; a line for the shell stays one, to be copied.
        """
        if not self.quiet:
            line = f"{label:<9} {text}"
            self.echo(line if label == "next" else flowed(line, self.progress == "json", " " * 10))

    def echo(self, line: str) -> None:
        """Print a line beside the JSON, if there is any."""
        echo(line, err=self.progress == "json")


@dataclass(frozen=True)
class Parts:
    """The rows to train on, to validate on and to test on, and how they are encoded."""

    train: Data
    validation: Data | None
    test: Data | None
    encoding: Encoding
