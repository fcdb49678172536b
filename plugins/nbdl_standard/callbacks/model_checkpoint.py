"""ModelCheckpoint: save the model while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.callbacks.monitor import Monitor


class ModelCheckpoint(Monitor):
    """Saves the model after epochs: each, or those that are the best so far.

    Formula: save where figure < best (or > best), if `save_best_only`.

    A file is written beside its place and renamed, so a run that is killed leaves the former one whole. A saved model
    goes on with the bits of one that never stopped.

    Args:
        filepath: where to; may hold the epoch, from 1, and figures: "{epoch:02d}-{val_loss:.2f}.nbdl". Missing folders
            are made.
        monitor: name of the figure for `save_best_only`. Default "val_loss".
        verbose: 1 says what is saved. Default 0.
        save_best_only: only where the figure is the best so far. Default False.
        save_weights_only: the weights alone, as `model.save_weights` writes them. Default False.
        mode: "min", "max", or "auto": by the metric's own direction; losses are minimised.
        save_freq: "epoch", or a number of steps, which makes a slice of each step. Default "epoch".
        initial_value_threshold: what the first best must be better than. Default None.
        period: save at most every so many epochs, the Keras 1 way. Default 1.

    In Keras 1 the first epoch in a file's name is 0, here (as in Keras 2 and 3) it is 1.

    Raises:
        ConfigError: an argument is out of range, or there is no figure of that name.

    Source: Keras 3, callbacks/model_checkpoint.py.

    >>> ModelCheckpoint("{epoch:02d}.nbdl", save_best_only=True).monitor
    'val_loss'
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: int | str = "epoch",
        initial_value_threshold: float | None = None,
        period: int = 1,
    ) -> None:
        self.watch(monitor, mode)
        self.filepath = str(filepath)
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
        return self.save_freq != "epoch"

    def on_train_begin(self, logs: Any = None) -> None:
        if self.save_best_only:
            self.start(self.initial_value_threshold)
        self.epoch = self.waited = 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

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
        if self.save_best_only:
            before, figure = self.best, self.figure(logs)
            if figure is None:
                return
            if not self.improves(figure):
                self._say(f"{self.monitor} did not improve from {before:.5f}")
                return
            self._say(f"{self.monitor} improved from {before:.5f} to {self.best:.5f}")
        path = self._path(logs)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        self._say(f"saved to {path}")

    def _path(self, logs: dict[str, Any]) -> Path:
        known = {"epoch": self.epoch + 1, **logs}
        try:
            return Path(self.filepath.format(**known))
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(
                f"ModelCheckpoint: filepath {self.filepath!r} cannot be filled in: {error}. It may name: "
                f"{', '.join(known)}"
            ) from None

    def _say(self, text: str) -> None:
        if self.verbose:
            print(f"Epoch {self.epoch + 1}: {text}")


@hookimpl
def register_callbacks(register: Any) -> None:
    register("ModelCheckpoint", ModelCheckpoint, examples=({"filepath": "{epoch:02d}.nbdl", "save_best_only": True},))
