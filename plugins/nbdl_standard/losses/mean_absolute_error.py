"""Mean absolute error.

Formula: the mean over a row's outputs of |y - p|; its derivative at 0 is 0.

Source: Keras 3, losses/losses.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl.program import sign


def f(y: float, p: float) -> float:
    return abs(y - p)


def df(y: float, p: float) -> float:
    return sign(p - y)


@hookimpl
def register_losses(register: Any) -> None:
    register("mean_absolute_error", f, df, aliases=("mae",))
