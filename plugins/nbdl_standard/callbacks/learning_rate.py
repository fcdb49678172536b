"""What callbacks that change the learning rate share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl import Callback


def rate_of(callback: Callback) -> float:
    """The optimizer's learning rate: the number that it was given, or what its schedule said of the last step."""
    optimizer, state = callback.model.optimizer, callback.model.training_state
    if not callable(optimizer.learning_rate):
        return float(optimizer.learning_rate)
    steps = max(1, state.iterations if state else 0)
    return float(optimizer.rate(-(-steps // (optimizer.gradient_accumulation_steps or 1))))


def set_rate(callback: Callback, rate: float) -> None:
    """Set the optimizer's learning rate.

    Raises:
        ConfigError: the rate is no positive number, or a schedule rules already.
    """
    who, optimizer = type(callback).__name__, callback.model.optimizer
    if callable(optimizer.learning_rate):
        raise ConfigError(
            f"{who}: the learning rate follows {optimizer.learning_rate!r} already; give the optimizer a number, or "
            f"leave {who} out"
        )
    if isinstance(rate, bool) or not math.isfinite(rate) or rate < 0.0:
        raise ConfigError(f"{who}: a learning rate is a number of at least 0, got {rate!r}")
    optimizer.learning_rate = float(rate)
