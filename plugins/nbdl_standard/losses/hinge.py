"""Hinge: no loss where the prediction is on the right side by 1 or more.

Formula: the mean over a row's outputs of max(1 - y·p, 0), with targets y of -1 or 1.

A target of 0 counts as -1, so two classes may also be labelled 0 and 1. Keras 3 turns such labels into -1 and 1 where a
whole batch has no others, which gives the same numbers; Keras 1 did not.

Source: Keras 3, losses/losses.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def side(y: float) -> float:
    return -1.0 if y == 0.0 else y


def margin(y: float, p: float) -> float:
    return max(1.0 - side(y) * p, 0.0)


def f(y: float, p: float) -> float:
    return margin(y, p)


def df(y: float, p: float) -> float:
    return -side(y) if side(y) * p < 1.0 else 0.0 * p


@hookimpl
def register_losses(register: Any) -> None:
    register("hinge", f, df, targets="signs")
