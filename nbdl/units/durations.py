"""Durations as people write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from nbdl.errors import ConfigError

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
TEXT = re.compile(r"(?:\d+(?:\.\d+)?[hms])+")
MEANT = 'a number of seconds, a timedelta, or a text such as "90s", "10m" or "1h30m"'


def seconds_of(value: Any) -> float:
    """Seconds of a number, a timedelta or a text such as "90s", "10m" or "1h30m".

    Raises:
        ConfigError: it is none of these, or not above 0.

    >>> seconds_of("1h30m")
    5400.0
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, str):
        text = value.strip().lower()
        if TEXT.fullmatch(text):
            value = sum(float(part[:-1]) * UNITS[part[-1]] for part in re.findall(r"[\d.]+[hms]", text))
        else:
            try:
                value = float(text)
            except ValueError:
                raise ConfigError(f"max_time is {MEANT}; got {value!r}") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigError(f"max_time is {MEANT}; got {value!r}")
    return float(value)
