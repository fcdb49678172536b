"""MaxTime: an end to training by the clock."""

from __future__ import annotations

import time
from typing import Any

from nbdl import Callback, hookimpl
from nbdl.units import seconds_of


class MaxTime(Callback):
    """Ends training once it has taken so long, within an epoch too, which then counts as far as it came.

    Formula: stop after the first slice of steps (some 50 ms) that ends later than max_time after the beginning.

    Args:
        max_time: a number of seconds, a timedelta, or a text such as "90s", "10m" or "1h30m".

    Raises:
        ConfigError: it is none of these, or not above 0.

    Source: Lightning, callbacks/timer.py, is alike.

    >>> MaxTime("10m").max_time
    600.0
    """

    adds = ()

    def __init__(self, max_time: Any) -> None:
        self.max_time = seconds_of(max_time)

    def on_train_begin(self, logs: Any = None) -> None:
        self._began = time.monotonic()

    def on_progress(self, step: int, steps: int, logs: Any = None) -> None:
        if time.monotonic() - self._began >= self.max_time:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.on_progress(0, 0)  # a long validation counts too


@hookimpl
def register_callbacks(register: Any) -> None:
    register("MaxTime", MaxTime, aliases=("max_time",), examples=({"max_time": 60.0},))
