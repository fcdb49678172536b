"""Mean squared error.

Formula: the mean over a row's outputs of (y - p)², without a factor ½. (scikit-learn's MLPRegressor has one.)

Source: Keras 3, losses/losses.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(y: float, p: float) -> float:
    return (y - p) * (y - p)


def df(y: float, p: float) -> float:
    return 2.0 * (p - y)


@hookimpl
def register_losses(register: Any) -> None:
    register("mean_squared_error", f, df, aliases=("mse",))
