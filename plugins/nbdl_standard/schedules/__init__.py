"""Learning-rate schedules, one a file."""

from __future__ import annotations

from typing import Any

from nbdl.errors import ConfigError


def positive(schedule: Any, name: str, value: float) -> float:
    """A number of steps, refused unless it is positive."""
    if not value > 0:
        raise ConfigError(f"{type(schedule).__name__}: {name} is positive, got {value!r}")
    return value
