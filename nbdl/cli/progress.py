"""Progress of a training: a live bar on a terminal, plain lines in a log, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nbdl.cli.figures import number, plain, seconds
from nbdl.cli.output import echo
from nbdl.units.callback import Callback, Logs

MODES = ("auto", "bar", "line", "json", "none")
VALIDATED = "val_"
WIDE, NARROW = 100, 60  # columns of a terminal, for a long bar and for any
TIME = 7  # columns of the time that remains


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
        echo(line, err=True)


class Rows(Timed):
    """A JSON object per epoch on standard output."""

    adds = ()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        row = {"epoch": epoch + 1, **(logs or {}), "seconds": round(self.elapsed, 6)}
        echo(json.dumps(row, default=plain))
        sys.stdout.flush()


class Bar(Callback):
    """Feeds a live bar that spans all epochs; between slices only, so it costs no step."""

    adds = ()

    def __init__(self, update: Callable[..., Any]) -> None:
        self.update = update
        self.epoch = 0
        self.validated: Logs = {}
        self.epochs: list[tuple[int, Logs]] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch = epoch

    def on_progress(self, step: int, steps: int, logs: Logs) -> None:
        self.show(self.epoch + step / steps, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        found = dict(logs or {})
        self.epochs.append((epoch, found))
        self.validated = {name: value for name, value in found.items() if name.startswith(VALIDATED)}
        self.show(epoch + 1.0, found)

    def show(self, done: float, logs: Logs) -> None:
        """Draw: the figures so far, and those of the last validation."""
        epochs = self.params["epochs"]
        self.update(
            completed=done,
            total=epochs,
            epoch=f"epoch {min(self.epoch + 1, epochs)}/{epochs}",
            figures=by_interest({**logs, **self.validated}),
        )


def by_interest(logs: Logs) -> list[tuple[str, float]]:
    """Return figures in the order in which they are waited for: metrics before the loss, validation before training.

    >>> [name for name, _ in by_interest({"loss": 1.0, "auc": 0.5, "val_loss": 1.1, "val_auc": 0.4})]
    ['val_auc', 'auc', 'val_loss', 'loss']
    """
    names = [name for name in logs if not name.startswith(VALIDATED)]
    ordered = [*(name for name in names if name != "loss"), *(name for name in names if name == "loss")]
    every = [each for name in ordered for each in (f"{VALIDATED}{name}", name)]
    every += [name for name in logs if name not in every]
    return [(name, logs[name]) for name in every if name in logs]


def fitted(figures: Sequence[tuple[str, float]], columns: int) -> str:
    """Write as many figures as there is room for, whole; of the first one the name is cut before the number is lost.

    >>> fitted([("val_auc", 0.5), ("auc", 0.25)], 40), fitted([("val_auc", 0.5), ("auc", 0.25)], 15)
    ('val_auc 0.5000  auc 0.2500', 'val_auc 0.5000')
    >>> fitted([("val_auc", 0.5)], 11)
    'val… 0.5000'
    """
    text = ""
    for name, value in figures:
        more = f"{text}{'  ' if text else ''}{name} {number(value)}"
        if len(more) <= columns:
            text = more
        elif not text:
            room = columns - len(number(value)) - 2
            return f"{name[:room]}… {number(value)}" if room > 0 else number(value)
    return text


def trace(epochs: Sequence[tuple[int, Logs]], total: int, columns: int) -> list[str]:
    """Return lines of some epochs, ever further apart, with the best and the last: what is left of a bar."""
    chosen = {epoch for epoch, _ in epochs if str(epoch + 1).rstrip("0") in ("1", "2", "5")} | {epochs[-1][0]}
    watched = next((name for name in (f"{VALIDATED}loss", "loss") if name in epochs[0][1]), None)
    if watched is not None:
        chosen.add(min(epochs, key=lambda one: one[1].get(watched, math.inf))[0])
    width = len(str(total))
    heads = {epoch: f"epoch {epoch + 1:>{width}}/{total}  " for epoch in sorted(chosen)}
    return [
        head + fitted(by_interest(logs), columns - len(head))
        for epoch, logs in epochs
        if (head := heads.get(epoch)) is not None
    ]


@contextmanager
def bar() -> Iterator[Bar]:
    """Yield a callback that draws a bar with rich on standard error; NO_COLOR and COLUMNS count.

    On a narrow terminal the bar shrinks, then goes, before a figure does.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    wide = console.width >= WIDE
    line = BarColumn(bar_width=20 if wide else 6)
    columns = [TextColumn("{task.fields[epoch]}"), line, TimeRemainingColumn(compact=True)]
    with Progress(
        *(columns if console.width >= NARROW else columns[:1]),
        TextColumn("{task.fields[figures]}"),
        console=console,
        transient=True,
        refresh_per_second=20,
        auto_refresh=False,
    ) as progress:
        task = progress.add_task("", total=None, epoch="compiling", figures="")

        def update(epoch: str, figures: Sequence[tuple[str, float]], **fields: Any) -> None:
            taken = len(epoch) + 1 + (int(line.bar_width or 0) + 1 + TIME + 1 if console.width >= NARROW else 0)
            progress.update(task, epoch=epoch, figures=fitted(figures, console.width - taken), **fields)
            now = time.monotonic()
            if now - drawn[0] > 0.05:
                drawn[0] = now
                progress.refresh()

        drawn = [0.0]
        progress.refresh()
        callback = Bar(update)
        try:
            yield callback
        finally:
            progress.stop()
            if callback.epochs:
                for text in trace(callback.epochs, callback.params["epochs"], console.width):
                    echo(text, err=True)
