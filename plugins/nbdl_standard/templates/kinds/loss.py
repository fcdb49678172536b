"""my_unit: squares for small errors, logarithms for large ones, so that outliers hardly count.

Formula: the mean over a row's outputs of ln(1 + e²/2), with e = p - y.

Source: Black and Anandan 1996; Barron 2019, A General and Adaptive Robust Loss Function.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


# Your formula, of a target y and a prediction p. Arguments after these, with defaults, are the loss's own.
def f(y: float, p: float) -> float:
    e = p - y
    return math.log1p(0.5 * e * e)


# Its derivative by p, with the same arguments.
def df(y: float, p: float) -> float:
    e = p - y
    return e / (1.0 + 0.5 * e * e)


@hookimpl
def register_losses(register: Any) -> None:
    # targets="probabilities" would refuse others than 0..1; "signs" and "positive" are such, too.
    register("my_unit", f, df)
