"""Binary crossentropy.

Formula: the mean over a row's outputs of -(y·ln p + (1 - y)·ln(1 - p)), with p kept in [ε, 1 - ε], ε = 1e-7. After a
sigmoid the two are one formula of its input z: max(z, 0) - y·z + ln(1 + e^-|z|), with derivative p - y.

Source: Keras 3, losses/losses.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import elementwise_pair, hookimpl

EPSILON = 1e-7


def clip(p: float) -> float:
    return min(max(p, EPSILON), 1.0 - EPSILON)


def f(y: float, p: float) -> float:
    return -(y * math.log(clip(p)) + (1.0 - y) * math.log(1.0 - clip(p)))


def df(y: float, p: float) -> float:
    inside = 1.0 if EPSILON < p < 1.0 - EPSILON else 0.0 * p
    return inside * (clip(p) - y) / (clip(p) * (1.0 - clip(p)))


def f_logits(y: float, z: float) -> float:
    return max(z, 0.0) - y * z + math.log1p(math.exp(-abs(z)))


def df_logits(y: float, z: float) -> float:
    e = math.exp(-abs(z))
    return (1.0 if z >= 0.0 else e) / (1.0 + e) - y


@hookimpl
def register_losses(register: Any) -> None:
    pairs = {"sigmoid": elementwise_pair(f_logits, df_logits)}
    register("binary_crossentropy", f, df, aliases=("bce",), pairs=pairs, targets="probabilities")
