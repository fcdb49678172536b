"""Progress of a training: a live bar on a terminal, plain lines in a log, JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from nbdl.callback import Callback, Logs
from nbdl.cli.figures import number, seconds

MODES = ("auto", "bar", "line", "json", "none")


@contextmanager
def shown(mode: str) -> Iterator[list[Callback]]:
    """Yield the callbacks that show progress in a mode; a bar is taken off the screen at the end."""
    if mode in ("auto", "bar"):  # a bar in a file would be a heap of escape codes
        mode = "bar" if sys.stderr is not None and sys.stderr.isatty() else "line"
    if mode == "bar":
        with bar() as callback:
            yield [callback]
    elif mode == "none":
        yield []
    else:
        yield [Lines() if mode == "line" else Rows()]


class Timed(Callback):
    """Counts epochs and their time."""

    def __init__(self) -> None:
        self.began = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.began = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the epoch began."""
        return time.perf_counter() - self.began


class Lines(Timed):
    """A line per epoch on standard error."""

    adds = ()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        width = len(str(self.params["epochs"]))
        figures = "  ".join(f"{name} {number(value)}" for name, value in (logs or {}).items())
        line = f"epoch {epoch + 1:>{width}}/{self.params['epochs']}  {seconds(self.elapsed):>6}  {figures}"
        click.echo(line, err=True)


class Rows(Timed):
    """A JSON object per epoch on standard output."""

    adds = ()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch + 1, **(logs or {}), "seconds": round(self.elapsed, 6)}
        click.echo(json.dumps(row))
        sys.stdout.flush()


class Bar(Callback):
    """Feeds a live bar that spans all epochs; between slices only, so it costs no step."""

    adds = ()

    def __init__(self, update: Callable[..., Any]) -> None:
        self.update = update
        self.epoch = 0
        self.last: Logs = {}

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch = epoch

    def on_progress(self, step: int, steps: int, logs: Logs) -> None:
        self.show(self.epoch + step / steps, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.last = {name: value for name, value in (logs or {}).items() if name.startswith("val_")}
        self.show(epoch + 1.0, logs or {})

    def show(self, done: float, logs: Logs) -> None:
        """Draw: the figures of the last validation and the loss, or all figures where nothing is validated."""
        epochs = self.params["epochs"]
        chosen = {"loss": logs.get("loss", 0.0), **self.last} if self.last else logs
        figures = "  ".join(f"{name} {number(value)}" for name, value in chosen.items())
        self.update(
            completed=done,
            total=epochs,
            epoch=f"epoch {min(self.epoch + 1, epochs)}/{epochs}",
            figures=figures,
        )


@contextmanager
def bar() -> Iterator[Bar]:
    """Yield a callback that draws a bar with rich on standard error; NO_COLOR and COLUMNS count."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    columns = (
        TextColumn("{task.fields[epoch]}"),
        BarColumn(bar_width=20),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        expand=True,
        refresh_per_second=20,
        auto_refresh=False,
    ) as progress:
        task = progress.add_task("", total=None, epoch="compiling", figures="")

        def update(**fields: Any) -> None:
            progress.update(task, **fields)
            now = time.monotonic()
            if now - drawn[0] > 0.05:
                drawn[0] = now
                progress.refresh()

        drawn = [0.0]
        progress.refresh()
        yield Bar(update)
