"""Huber: squares for small errors, absolute values for large ones.

Formula: the mean over a row's outputs of ½·e² where |e| <= δ, else δ·|e| - ½·δ², with e = p - y.

Args:
    delta: δ, the largest error that is squared. Default 1.

It is PyTorch's HuberLoss; SmoothL1Loss is this divided by its beta. scikit-learn's HuberRegressor scales its
`epsilon` with the spread of the errors.

Source: Huber 1964; Keras 3, losses/losses.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(y: float, p: float, delta: float = 1.0) -> float:
    e = abs(p - y)
    inside = min(e, delta)
    return inside * (e - 0.5 * inside)


def df(y: float, p: float, delta: float = 1.0) -> float:
    return min(max(p - y, -delta), delta)


@hookimpl
def register_losses(register: Any) -> None:
    register("huber", f, df, aliases=("huber_loss",), examples=({"delta": 0.3},))
