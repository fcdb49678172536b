"""Ranges that arguments of several units have."""

from __future__ import annotations

import math

from nbdl.units import Range

BELOW_ONE = Range(0.0, math.nextafter(1.0, 0.0))
DROPPED = Range(0.0, BELOW_ONE.high, "is the share that is dropped, 0 <= rate < 1")
NOT_NEGATIVE = Range(0.0, wanted="is not negative")
POSITIVE = Range(math.ulp(0.0), wanted="is positive")
POSITIVE_INTEGER = Range(1, wanted="must be a positive integer", whole=True)
