"""Toy loss: half the squared distance; with the toy step before it, one formula of that step's input.

Formula: the mean over a row's outputs of (y - p)²/2.
"""

from __future__ import annotations

from collections.abc import Callable

from nbdl import elementwise_pair, hookimpl
from nbdl_toy.activations import df as d_step
from nbdl_toy.activations import f as step


def f(y: float, p: float) -> float:
    return 0.5 * (y - p) * (y - p)


def df(y: float, p: float) -> float:
    return p - y


def f_step(y: float, z: float) -> float:
    return f(y, step(z))


def df_step(y: float, z: float) -> float:
    return (step(z) - y) * d_step(z, 0.0)


@hookimpl
def register_losses(register: Callable[..., None]) -> None:
    register("toy_loss", f, df, aliases=("toy_distance",), pairs={"toy_step": elementwise_pair(f_step, df_step)})
