"""EarlyStopping: end training when a figure no longer improves."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.callbacks.monitor import Monitor


class EarlyStopping(Monitor):
    """Ends training when a figure has not improved for a number of epochs.

    Formula: stop after `patience` epochs in a row without figure < best - min_delta (or > best + min_delta).

    Args:
        monitor: name of the figure. Default "val_loss".
        min_delta: what counts as an improvement. Default 0.
        patience: epochs without improvement. Default 0, which acts as 1. (Keras 1 stopped one epoch later.)
        verbose: 1 says when it stops. Default 0.
        mode: "min", "max", or "auto": by the metric's own direction; losses are minimised.
        baseline: what the figure must be better than, too, for the count of epochs to start anew. Default None.
        restore_best_weights: at the end of training, however it ended, give back the weights of the best epoch.
            Default False.
        start_from_epoch: epochs to wait before watching. Default 0.

    Raises:
        ConfigError: an argument is out of range, or there is no figure of that name; the names there are follow.

    Source: Keras 3, callbacks/early_stopping.py.

    >>> EarlyStopping(patience=2).monitor
    'val_loss'
    """

    adds = ()

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: bool | int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        self.watch(monitor, mode, min_delta)
        if patience < 0:
            raise ConfigError(f"EarlyStopping: patience is a number of epochs, got {patience!r}")
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch

    def on_train_begin(self, logs: Any = None) -> None:
        self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
        self.best_weights: list[Any] | None = None
        self.start()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        figure = self.figure(logs)
        if figure is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)  # so that there is always something to give back
        self.wait += 1
        if self.improves(figure):
            self._keep(epoch)
            if self.baseline is None or self.better(figure, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of the best epoch, {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()


@hookimpl
def register_callbacks(register: Any) -> None:
    register("EarlyStopping", EarlyStopping, role="early_stopping")
