"""CSVLogger: the figures of every epoch in a table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from nbdl import Callback, hookimpl
from nbdl.errors import ConfigError


class CSVLogger(Callback):
    """Writes the figures of every epoch to a file, a row each, as they come.

    Formula: epoch (from 0), then the figures in the order of their names; "NA" for one that an epoch has not.

    Args:
        filename: where to.
        separator: between columns. Default ",".
        append: go on with a file that exists, if its columns are the same, rather than replace it. Default False.

    Raises:
        ConfigError: the separator is not one character, or the file has other columns.

    Source: Keras 3, callbacks/csv_logger.py.

    >>> CSVLogger("log.csv").append
    False
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ConfigError(f"CSVLogger: separator is one character, got {separator!r}")
        self.filename, self.separator, self.append = str(filename), separator, append

    def on_train_begin(self, logs: Any = None) -> None:
        self._columns: list[str] = []
        path = Path(self.filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._goes_on = self.append and path.is_file() and path.stat().st_size > 0
        self._file = path.open("a" if self._goes_on else "w", newline="")
        self._writer = csv.writer(self._file, delimiter=self.separator)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        figures = logs or {}
        if not self._columns:
            self._begin(sorted(figures))
        self._writer.writerow([epoch, *(figures.get(name, "NA") for name in self._columns)])
        self._file.flush()

    def on_train_end(self, logs: Any = None) -> None:
        self._file.close()

    def _begin(self, names: list[str]) -> None:
        if not any(name.startswith("val_") for name in names):  # the validation may come in later epochs
            names = [*names, *(f"val_{name}" for name in names)]
        self._columns = names
        if not self._goes_on:
            self._writer.writerow(["epoch", *names])
            return
        with Path(self.filename).open(newline="") as file:
            there = next(csv.reader(file, delimiter=self.separator), [])
        if there != ["epoch", *names]:
            raise ConfigError(
                f"CSVLogger: {self.filename} has the columns {', '.join(there)}, this training epoch, "
                f"{', '.join(names)}: give another filename, or append=False to replace the file"
            )


@hookimpl
def register_callbacks(register: Any) -> None:
    register("CSVLogger", CSVLogger, examples=({"filename": "log.csv", "separator": ";"},))
