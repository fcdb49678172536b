"""Squared hinge: hinge squared, so that its derivative has no jump.

Formula: the mean over a row's outputs of max(1 - y·p, 0)², with targets y of -1 or 1; 0 counts as -1, see hinge.

Source: Keras 3, losses/losses.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.losses.hinge import margin, side


def f(y: float, p: float) -> float:
    return margin(y, p) * margin(y, p)


def df(y: float, p: float) -> float:
    return -2.0 * side(y) * margin(y, p)


@hookimpl
def register_losses(register: Any) -> None:
    register("squared_hinge", f, df, targets="signs")
