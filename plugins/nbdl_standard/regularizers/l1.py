"""L1: a penalty on absolute values.

Formula: λ·Σ|w|, with derivative λ·sgn(w) and sgn(0) = 0.

Args:
    l1: λ. Default 0.01.

Source: Keras 3, regularizers/regularizers.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl.units import Factor


def penalty(w: float, l1: Factor = 0.01) -> float:
    return l1 * abs(w)


def gradient(w: float, l1: Factor = 0.01) -> float:
    return l1 * ((1.0 if w > 0.0 else 0.0) - (1.0 if w < 0.0 else 0.0))


@hookimpl
def register_regularizers(register: Any) -> None:
    register("l1", penalty, gradient, aliases=("activity_l1",), kinks=(0.0,))
