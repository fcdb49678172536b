"""L1 and L2 together.

Formula: λ₁·Σ|w| + λ₂·Σw².

Args:
    l1: λ₁. Default 0, as in Keras 3; Keras 1's `l1l2` had 0.01.
    l2: λ₂. Default 0, the same.

Source: Keras 3, regularizers/regularizers.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl.units import Factor


def penalty(w: float, l1: Factor = 0.0, l2: Factor = 0.0) -> float:
    return l1 * abs(w) + l2 * w * w


def gradient(w: float, l1: Factor = 0.0, l2: Factor = 0.0) -> float:
    return l1 * ((1.0 if w > 0.0 else 0.0) - (1.0 if w < 0.0 else 0.0)) + 2.0 * l2 * w


@hookimpl
def register_regularizers(register: Any) -> None:
    register("l1_l2", penalty, gradient, aliases=("activity_l1l2",), kinks=(0.0,), examples=({"l1": 0.02, "l2": 0.03},))
