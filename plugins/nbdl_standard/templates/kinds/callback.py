"""MyUnit: an end to training once the loss is small enough."""

from __future__ import annotations

from typing import Any

from nbdl import Callback, hookimpl


class MyUnit(Callback):
    """Ends training once a figure is small enough.

    Formula: stop after the first epoch whose figure is at most `target`.

    Args:
        target: small enough.
        monitor: the figure. Default "loss".

    Source: this package.
    """

    def __init__(self, target: float, monitor: str = "loss") -> None:
        self.target, self.monitor = float(target), monitor

    # What is done, and when: on_train_begin, on_epoch_begin, on_train_batch_end, ... are methods, too.
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs and logs[self.monitor] <= self.target:
            self.model.stop_training = True


@hookimpl
def register_callbacks(register: Any) -> None:
    # A callback that needs arguments says by examples which to test.
    register("MyUnit", MyUnit, examples=({"target": 0.1},))
