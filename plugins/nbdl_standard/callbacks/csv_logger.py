"""CSVLogger: the figures of every epoch in a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nbdl import Callback, hookimpl
from nbdl.errors import ConfigError
from nbdl.storage import as_path, check_file, write_atomically

EPOCH, MISSING = "epoch", "NA"
Row = list[str]


class CSVLogger(Callback):
    """Writes the figures of every epoch to a file, a row each, as they come.

    Formula: epoch (from 0), then the figures in the order of their names; "NA" for one that an epoch has not.

    A file that is there is replaced or gone on with only if it is such a table.

    Args:
        filename: where to. Missing folders are made.
        separator: between columns. Default ",".
        append: go on with a file that exists, rather than replace it. Columns that it lacks are added, with "NA" in its
            rows. Epochs that a killed training had written, and that it repeats when it is started again, stand there
            once. Default False.

    Raises:
        ConfigError: the separator is not one character, the file is another's, or cannot be written.

    Source: Keras 3, callbacks/csv_logger.py.

    >>> CSVLogger("log.csv").append
    False
    """

    adds = ()

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ConfigError(f"CSVLogger: separator is one character, got {separator!r}")
        self.filename = str(as_path(filename, "CSVLogger: filename"))
        self.separator, self.append = separator, append
        self._fits = 0

    def on_train_begin(self, logs: Any = None) -> None:
        path = Path(self.filename)
        if check_file(path, "a table of CSVLogger", is_table, make_folders=True) and self.append:
            there = separator_of(path)
            if there not in ("", self.separator):
                raise ConfigError(
                    f"CSVLogger: {path} has the separator {there!r}, not {self.separator!r}: give that one"
                )
        path.parent.mkdir(parents=True, exist_ok=True)
        self._columns: list[str] = []
        self._there: dict[int, Row] = {}
        self._fits += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        figures = dict(logs or {})
        if not self._columns:
            self._begin(epoch, sorted(figures))
        row = [str(epoch), *(cell(figures.get(name, MISSING)) for name in self._columns)]
        if self._is_there(epoch, row):
            return
        self._there = {}
        with Path(self.filename).open("a", newline="", encoding="utf-8") as file:
            file.write(self._text([row]))

    def _begin(self, epoch: int, names: list[str]) -> None:
        """Write the line of names, or go on with a table that is there."""
        validates = vars(self).get("params", {}).get("do_validation")
        if validates and not any(name.startswith("val_") for name in names):  # the validation comes in later epochs
            names = [*names, *(f"val_{name}" for name in names)]
        repeats = self._repeats(epoch)
        head, *rows = self._read(repeats) if self.append else [[]]
        before = head[1:]
        self._columns = [*before, *(name for name in names if name not in before)]
        self._there = last_run(rows) if repeats else {}
        whole = [[EPOCH, *self._columns], *(row + [MISSING] * (len(self._columns) + 1 - len(row)) for row in rows)]
        write_atomically(Path(self.filename), self._text(whole).encode())

    def _read(self, repeats: bool) -> list[Row]:
        """The rows of the table that is there, without one that was cut off when its process was killed."""
        path = Path(self.filename)
        text = path.read_bytes().decode() if path.is_file() else ""
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=self.separator)) or [[]]
        if repeats and len(rows) > 1 and not text.endswith("\n"):
            rows.pop()
        return [row for row in rows if len(row) == len(rows[0])]

    def _repeats(self, epoch: int) -> bool:
        """Whether this run may repeat epochs of a killed one: the model's first epochs, or those after a backup."""
        state = self.model.training_state
        return self._fits == 1 and state is not None and state.epochs == epoch + 1

    def _is_there(self, epoch: int, row: Row) -> bool:
        """Whether the table has this row, as far as the model's own figures go."""
        there = self._there.get(epoch)
        if there is None:
            return False
        known = {*self.model.metrics_names, *(f"val_{name}" for name in self.model.metrics_names)}
        pairs = zip([EPOCH, *self._columns], there + [MISSING] * (len(row) - len(there)), row, strict=True)
        return all(old == new for name, old, new in pairs if name in known)

    def _text(self, rows: Iterable[Row]) -> str:
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator).writerows(rows)
        return text.getvalue()


def cell(figure: Any) -> str:
    """What is written of a figure; of several a list in brackets."""
    return str(figure.tolist() if hasattr(figure, "tolist") else figure)


def is_table(path: Path) -> bool:
    """Whether a file is a table of figures: the first column counts epochs, the others hold numbers."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        try:
            head, *rows = csv.reader(file, delimiter=separator_of(path) or ",")
        except (csv.Error, ValueError):
            return False
    whole = [row for row in rows if len(row) == len(head)]
    cells = (cell for row in whole for cell in row[1:] if cell != MISSING)
    named = head[:1] == [EPOCH] and (whole or "loss" in head)
    return bool(named) and all(row[0].isdecimal() for row in whole) and all(map(_is_number, cells))


def separator_of(path: Path) -> str:
    """The character after the first column's name; "" if there is none."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\r\n").removeprefix(EPOCH)[:1]


def last_run(rows: Iterable[Row]) -> dict[int, Row]:
    """The last rows whose epochs rise, by epoch."""
    found: dict[int, Row] = {}
    for row in rows:
        epoch = int(row[0])
        if found and epoch <= max(found):
            found = {}
        found[epoch] = row
    return found


def _is_number(text: str) -> bool:
    try:
        return bool([float(one) for one in text.strip("[]").split(",")])
    except ValueError:
        return False


@hookimpl
def register_callbacks(register: Any) -> None:
    register("CSVLogger", CSVLogger, examples=({"filename": "log.csv", "separator": ";"},))
