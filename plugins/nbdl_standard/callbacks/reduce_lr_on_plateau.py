"""ReduceLROnPlateau: smaller steps once a figure no longer improves."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.callbacks.learning_rate import rate_of, set_rate
from nbdl_standard.callbacks.monitor import Monitor


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by a factor once a figure has not improved for a number of epochs.

    Formula: η ← max(factor·η, min_lr) after `patience` epochs in a row without figure < best - min_delta (or >).

    The rate that was used stands in the history as "learning_rate".

    Args:
        monitor: name of the figure. Default "val_loss".
        factor: 0 < factor < 1. Default 0.1.
        patience: epochs without improvement. Default 10.
        verbose: 1 says when it acts. Default 0.
        mode: "min", "max", or "auto": by the metric's own direction; losses are minimised.
        min_delta: what counts as an improvement. Default 1e-4.
        cooldown: epochs after a reduction that do not count. Default 0.
        min_lr: the least rate. Default 0.

    The Keras 1 spelling `epsilon` of min_delta is accepted.

    Raises:
        ConfigError: an argument is out of range, there is no figure of that name, or a schedule rules the rate.

    Source: Keras 3, callbacks/reduce_lr_on_plateau.py.

    >>> ReduceLROnPlateau(epsilon=0.01).min_delta
    0.01
    """

    adds = ("learning_rate",)

    renamed = {"epsilon": "min_delta"}

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: bool | int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        self.watch(monitor, mode, min_delta)
        if not 0.0 < factor < 1.0:
            raise ConfigError(f"ReduceLROnPlateau: factor lies between 0 and 1, got {factor!r}")
        if patience < 0 or cooldown < 0:
            raise ConfigError("ReduceLROnPlateau: patience and cooldown are numbers of epochs, 0 or more")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr

    def on_train_begin(self, logs: Any = None) -> None:
        self.start()
        self.wait = self.cooling = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        figure, rate = self.figure(logs), rate_of(self)
        if logs is not None:
            logs["learning_rate"] = rate
        if figure is None:
            return
        if self.cooling:
            self.cooling -= 1
            self.wait = 0
        if self.improves(figure):
            self.wait = 0
        elif not self.cooling:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                self._reduce(epoch, rate)

    def _reduce(self, epoch: int, rate: float) -> None:
        lower = max(self.factor * rate, self.min_lr)
        set_rate(self, lower)
        self.cooling, self.wait = self.cooldown, 0
        if self.verbose:
            print(f"Epoch {epoch + 1}: reducing the learning rate to {lower:g}")


@hookimpl
def register_callbacks(register: Any) -> None:
    register("ReduceLROnPlateau", ReduceLROnPlateau, examples=({"factor": 0.5, "patience": 2},))
