"""L2: a penalty on squares.

Formula: λ·Σw², without a factor ½, so its derivative is 2λw; the lecture's λ is twice this one.

Args:
    l2: λ. Default 0.01.

Source: Keras 3, regularizers/regularizers.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl.units import Factor


def penalty(w: float, l2: Factor = 0.01) -> float:
    return l2 * w * w


def gradient(w: float, l2: Factor = 0.01) -> float:
    return 2.0 * l2 * w


@hookimpl
def register_regularizers(register: Any) -> None:
    register("l2", penalty, gradient, aliases=("activity_l2",))
