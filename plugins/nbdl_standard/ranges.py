"""Ranges that arguments of several units have."""

from __future__ import annotations

import math

from nbdl.units.arguments import Range

BELOW_ONE = Range(0.0, math.nextafter(1.0, 0.0))
NOT_NEGATIVE = Range(0.0)
