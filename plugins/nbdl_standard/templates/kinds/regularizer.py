"""my_unit: a penalty that draws small weights to 0 and leaves large ones nearly alone.

Formula: λ·Σ ln(1 + w²).

Args:
    strength: λ. Default 0.01.

Source: Olshausen and Field 1996.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


# Your formula, of a weight; arguments after it, with defaults, are the penalty's own.
def penalty(w: float, strength: float = 0.01) -> float:
    return strength * math.log1p(w * w)


# Its derivative, with the same arguments.
def gradient(w: float, strength: float = 0.01) -> float:
    return strength * 2.0 * w / (1.0 + w * w)


@hookimpl
def register_regularizers(register: Any) -> None:
    register("my_unit", penalty, gradient, examples=({"strength": 0.5},))
