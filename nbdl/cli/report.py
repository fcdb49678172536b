"""What a training tells the user: a few lines before it, and one for each thing after it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nbdl.cli.figures import seconds, written
from nbdl.cli.options import PLUGIN_FILES
from nbdl.errors import counted
from nbdl.network.device import stand_in

if TYPE_CHECKING:
    from nbdl.cli.parts import Parts
    from nbdl.cli.source import Reading, Source
    from nbdl.model.sequential import Sequential
    from nbdl.plugins.recipe import Settings


def data_line(source: Source, parts: Parts) -> str:
    """Say what there is to learn from."""
    encoding = parts.encoding
    sizes = [f"{counted(len(parts.train), 'row')} to train on"]
    sizes += [f"{len(parts.validation):,} to validate"] if parts.validation is not None else []
    sizes += [f"{len(parts.test):,} to test"] if parts.test is not None else []
    classes = counted(encoding.outputs, "class", "classes")
    answers = classes if encoding.classes else f"{counted(encoding.outputs, 'value')} to predict"
    name = "standard input" if source.name == "-" else source.name
    return f"{name}: {', '.join(sizes)}; {counted(encoding.shape[0], 'input')}, {answers}"


def training_line(model: Sequential, parts: Parts, settings: Settings) -> str:
    """Say how the net will be trained."""
    rate, name = model.optimizer.learning_rate, model.optimizer.unit_name
    words = [f"{name} at {rate:g}" if isinstance(rate, int | float) else name]
    words += [] if model.loss is None else [model.loss.unit_name]
    words += [f"dropout {settings.dropped:g}"] if settings.dropped else []
    words += [f"l2 {settings.penalty:g}"] if settings.penalty else []
    words += [f"batches of {settings.batch_size}"]
    stops, epochs = settings.patience and parts.validation is not None, counted(settings.epochs or 0, "epoch")
    words += [f"at most {epochs}, patience {settings.patience}" if stops else epochs]
    words += [f"seed {model.seed}"]
    if model.device != "cpu":
        substitute = stand_in(model.device)
        words += [f"on {model.device}: {substitute}" if substitute else f"on {model.device}"]
    return ", ".join(words)


def outcome_line(model: Sequential, callbacks: Sequence[Any], settings: Settings, elapsed: float, compiled: int) -> str:
    """Say how long it took and which weights are kept."""
    history = model.history
    done = 0 if history is None else len(history.epoch)
    text = f"{done} of {counted(settings.epochs or 0, 'epoch')} in {seconds(elapsed)}"
    if compiled:
        text += f", {counted(compiled, 'kernel')} compiled (kept in the cache)"
    best = next((callback.best_epoch for callback in callbacks if hasattr(callback, "best_epoch")), None)
    if done and best is not None and history is not None:
        text += f"; best weights: epoch {best + 1}"
        if best < done:  # Ctrl-C may come before the history has the epoch
            found = {name: values[best] for name, values in history.history.items() if name.startswith("val_")}
            text += f" ({written(found)})"
    return text


def next_line(output: Path, source: Source, how: Reading) -> str:
    """Say how to use the model: a line for the shell that works as it is, once there is a file of new rows.

    The model keeps how its table was read. Where a dataset's files are, and files of units, belong to the
    machine: they are given each time.
    """
    words = ["nbdl", "predict", argument(output)]
    if source.dataset is not None:
        words += [source.name] if how.folder is None else [source.name, "--data", how.folder]
    else:
        new = f"new{Path(source.name).suffix}" if source.name != "-" else "new.csv"
        words += [new, "-o", "answers.csv"]
    for file in click.get_current_context().meta.get(PLUGIN_FILES, ()):
        words += ["--plugin-file", file]
    return shell_line(words)


def argument(path: Path) -> str:
    """Return a path as a command's argument: one that begins with a dash is no option.

    >>> argument(Path("-x.nbdl"))
    './-x.nbdl'
    """
    return f".{os.sep}{path}" if str(path).startswith("-") else str(path)


def shell_line(words: Sequence[str]) -> str:
    """Join words to a line that the shell takes apart again."""
    if os.name != "nt":
        return shlex.join(words)
    import subprocess

    return subprocess.list2cmdline(words)
