"""ModelCheckpoint: save the model while it trains."""

from __future__ import annotations

import glob
import json
import string
from pathlib import Path
from typing import Any

from nbdl import hookimpl
from nbdl.errors import ConfigError, warn
from nbdl.storage import as_path, check_file, check_folder, is_model, schema
from nbdl.units import BATCH_HOOKS
from nbdl_standard.callbacks.monitor import Monitor

NOTE = schema.record({"monitor": schema.text, "value": schema.number, "run": schema.text})


class ModelCheckpoint(Monitor):
    """Saves the model after epochs: each, or those that are the best so far.

    Formula: save where figure < best (or > best), if `save_best_only`.

    A file is written beside its place and renamed, so a run that is killed leaves the former one whole. A saved model
    goes on with the bits of one that never stopped. What is there and is no such file is never replaced.

    With `save_best_only` a better file is not replaced by a worse one where training goes on: the callback keeps the
    best figure from one `fit` to the next, as in Keras, and the file has a note of it, which counts where a trained
    model goes on with other callbacks or in another process, after BackupAndRestore for instance. A model that begins
    its training replaces the file of an earlier training, as in Keras, and a warning says so before the first epoch.

    Args:
        filepath: where to; may hold the epoch, from 1, and figures: "{epoch:02d}-{val_loss:.2f}.nbdl". Missing folders
            are made.
        monitor: name of the figure for `save_best_only`. Default "val_loss".
        verbose: 1 says what is saved. Default 0.
        save_best_only: only where the figure is the best so far. Default False.
        save_weights_only: the weights alone, as `model.save_weights` writes them. Default False.
        mode: "min", "max", or "auto": by the metric's own direction; losses are minimised.
        save_freq: "epoch", or a number of steps, which makes a slice of each step. Default "epoch".
        initial_value_threshold: what the first best must be better than. Default None: than the figure in the file's
            note, where training goes on.
        period: save at most every so many epochs, the Keras 1 way. Default 1.

    In Keras 1 the first epoch in a file's name is 0, here (as in Keras 2 and 3) it is 1.

    Raises:
        ConfigError: an argument is out of range, there is no figure of that name, or the file cannot or should not be
            written.

    Source: Keras 3, callbacks/model_checkpoint.py.

    >>> ModelCheckpoint("{epoch:02d}.nbdl", save_best_only=True).monitor
    'val_loss'
    """

    model: Any  # the whole model, since it is saved

    adds = ()

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: bool | int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
        period: int = 1,
    ) -> None:
        self.watch(monitor, mode)
        self.filepath = str(as_path(filepath, "ModelCheckpoint: filepath"))
        suffix = Path(self.filepath).suffix.lower()
        if suffix in (".h5", ".hdf5", ".keras"):
            instead = ".npz" if save_weights_only else ".nbdl"
            raise ConfigError(f"ModelCheckpoint: nbdl writes its own file format, not {suffix}; use {instead}")
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ConfigError(f"ModelCheckpoint: save_freq is 'epoch' or a number of steps, got {save_freq!r}")
        if period < 1:
            raise ConfigError(f"ModelCheckpoint: period is a number of epochs, got {period!r}")
        self.verbose, self.save_freq, self.period = verbose, save_freq, period
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.initial_value_threshold = initial_value_threshold

    def wants_batches(self) -> bool:
        return self.save_freq != "epoch" or self._overrides(BATCH_HOOKS, ModelCheckpoint)

    def on_train_begin(self, logs: Any = None) -> None:
        from nbdl.model import check_saveable

        self.epoch = self.waited = 0
        if not self.save_weights_only:
            check_saveable(self.model)
        self._check_places()
        if self.save_best_only:
            before = vars(self).get("_best")
            self.start(self.initial_value_threshold)
            self._first_fit = before is None
            self._best = self._best if before is None else min(self._best, before)
        self._begun = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        if not self._begun and self.save_best_only:  # all callbacks have begun, so a backup is restored
            self._look_at_files()
        self._begun = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.save_freq != "epoch":
            self._count(int(self.save_freq), {**(logs or {}), "batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.save_freq == "epoch":
            self._count(self.period, logs or {})

    def _count(self, every: int, logs: dict[str, Any]) -> None:
        self.waited += 1
        if self.waited >= every:
            self.waited = 0
            self._save(logs)

    def _save(self, logs: dict[str, Any]) -> None:
        import numpy as np

        # With TerminateOnNaN, after an update that overflowed.
        if not all(np.isfinite(weight.value).all() for weight in self.model.weights):
            self._say("not saved, since there are weights that are not finite")
            return
        if self.save_best_only:
            before, figure = self.best, self.figure(logs)
            if figure is None:
                return
            if not self.improves(figure):
                self._say(f"{self.monitor} did not improve from {before:.5f}")
                return
            self._say(f"{self.monitor} improved from {before:.5f} to {self.best:.5f}")
        from nbdl.model import save_model, save_weights

        path = self._path(logs)
        path.parent.mkdir(parents=True, exist_ok=True)
        note = {"monitor": self.monitor, "value": self.best, "run": run_of(self.model)} if self.save_best_only else None
        if self.save_weights_only:
            save_weights(self.model, path, note)
        else:
            save_model(self.model, path, note=note)
        self._say(f"saved to {path}")

    def _check_places(self) -> None:
        """Refuse, before the first epoch, what can be known by then."""
        from nbdl.model import is_weights_of

        try:
            fields = {name for _, name, _, _ in string.Formatter().parse(self.filepath) if name is not None}
        except ValueError as error:
            raise ConfigError(f"ModelCheckpoint: filepath {self.filepath!r} cannot be filled in: {error}") from None
        places = [Path(self.filepath)]
        if fields:
            fixed = Path(self.filepath[: self.filepath.index("{")] + "name")
            check_folder(fixed.parent)
            params = vars(self).get("params", {})
            if fields != {"epoch"}:
                of_several = self._figures_of_several(fields)
                figures = params.get("figures")
                if figures is not None:
                    steps = {} if self.save_freq == "epoch" else {"batch": 0}
                    self._path({**{name: of_several.get(name, 0.0) for name in figures}, **steps})
                return
            first, last = params.get("initial_epoch", 0), params.get("epochs", 0)
            self._path({"epoch": first + 1})
            there = set(self._files())  # there may be very many epochs
            paths = (self._path({"epoch": epoch + 1}) for epoch in range(first, last if there else first))
            places = [path for path in paths if path in there]
        for place in places:
            what, known = "a file of weights alone", is_weights_of(self.model)
            if not self.save_weights_only:
                what, known = "a saved model", is_model
            check_file(place, what, known, make_folders=True)

    def _figures_of_several(self, fields: set[str]) -> dict[str, Any]:
        """Examples of the figures that are several numbers; refuse fields that name all of them."""
        found = {val + name: one for name, one in self.model.array_metrics().items() for val in ("", "val_")}
        for name in sorted(fields & found.keys()):
            raise ConfigError(
                f"ModelCheckpoint: filepath {self.filepath!r} names {name!r}, which is {found[name].size} numbers: "
                f"name one of them, as in {{{name}[0]:.2f}}, or let the metric average over the columns"
            )
        return found

    def _look_at_files(self) -> None:
        """Go on from the best figure in the notes of files of this training; warn of a file of another."""
        from nbdl.model import read_note

        state, run = self.model.training_state, run_of(self.model)
        goes_on = state is not None and state.iterations > 0
        for path in self._files():
            note = read_note(path, NOTE)
            if note is None or note["monitor"] != self.monitor:
                continue
            value = note["value"]
            if goes_on and note["run"] == run:
                self._best = min(self._best, self.sign * value)
            elif self._first_fit and self.initial_value_threshold is None and path == Path(self.filepath):
                warn(
                    f"ModelCheckpoint: {path} holds the best model of another training, with {self.monitor} "
                    f"{value:.5g}. It is replaced after the first epoch; to keep it, give another filepath, or "
                    f"initial_value_threshold={value:.5g}",
                    package="nbdl_standard",
                )

    def _files(self) -> list[Path]:
        """The files there that this callback may have written."""
        first = self.filepath.find("{")
        if first < 0:
            return [Path(self.filepath)]
        root = Path(self.filepath[:first] + "name").parent
        parts = string.Formatter().parse(self.filepath)
        pattern = "".join(glob.escape(text) + ("*" if name is not None else "") for text, name, _, _ in parts)
        inner = Path(pattern).relative_to(glob.escape(str(root))) if str(root) != "." else Path(pattern)
        return sorted(root.glob(str(inner)))

    def _path(self, logs: dict[str, Any]) -> Path:
        single = {name: one.item() for name, one in logs.items() if getattr(one, "size", 0) == 1}
        known = {"epoch": self.epoch + 1, **logs, **single}
        try:
            return Path(self.filepath.format(**known))
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ConfigError(
                f"ModelCheckpoint: filepath {self.filepath!r} cannot be filled in: {error}. It may name: "
                f"{', '.join(known)}"
            ) from None

    def _say(self, text: str) -> None:
        if self.verbose:
            print(f"Epoch {self.epoch + 1}: {text}")


def run_of(model: Any) -> str:
    """A digest of layers, seed and loss, by which a training is known again when it goes on."""
    import hashlib

    config = model.get_config()
    text = json.dumps([config["layers"], config["seed"], repr(model.loss)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@hookimpl
def register_callbacks(register: Any) -> None:
    register("ModelCheckpoint", ModelCheckpoint, examples=({"filepath": "{epoch:02d}.nbdl", "save_best_only": True},))
