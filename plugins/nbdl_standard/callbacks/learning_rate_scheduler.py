"""LearningRateScheduler: a learning rate for each epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from nbdl import Callback, hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.callbacks.learning_rate import rate_of, set_rate


def constant(epoch: int, rate: float) -> float:
    """The rate as it is."""
    return rate


class LearningRateScheduler(Callback):
    """Sets the learning rate of each epoch; one that changes from step to step is an `nbdl.Schedule` instead.

    Formula: η = schedule(epoch), or schedule(epoch, η), with epochs from 0.

    The rate that was used stands in the history as "learning_rate".

    Args:
        schedule: a function of the epoch, or of the epoch and the rate so far. Default leaves the rate as it is.
        verbose: 1 says what it sets. Default 0.

    Raises:
        ConfigError: it gives no number of at least 0, or a schedule rules the rate.

    Source: Keras 3, callbacks/learning_rate_scheduler.py.

    >>> LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)).schedule(1)
    0.05
    """

    adds = ("learning_rate",)

    def __init__(self, schedule: Callable[..., float] = constant, verbose: bool | int = 0) -> None:
        if not callable(schedule):
            raise ConfigError(f"LearningRateScheduler: schedule is a function of the epoch, got {schedule!r}")
        self.schedule, self.verbose = schedule, verbose
        try:
            inspect.signature(schedule).bind(0, 0.0)
            self._takes_rate = True
        except (TypeError, ValueError):
            self._takes_rate = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        rate = self.schedule(epoch, rate_of(self)) if self._takes_rate else self.schedule(epoch)
        if not hasattr(rate, "__float__"):
            raise ConfigError(f"LearningRateScheduler: schedule({epoch}) gave {rate!r}, not a number")
        set_rate(self, float(rate))
        if self.verbose:
            print(f"Epoch {epoch + 1}: setting the learning rate to {float(rate):g}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["learning_rate"] = rate_of(self)


@hookimpl
def register_callbacks(register: Any) -> None:
    register("LearningRateScheduler", LearningRateScheduler)
