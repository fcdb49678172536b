"""SELU: ELU scaled so that mean 0 and variance 1 pass from layer to layer; goes with lecun_normal and AlphaDropout.

Formula: y = 1.05070099·x for x > 0, 1.05070099·1.67326324·(eˣ - 1) below.

Source: Klambauer et al. 2017; Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl

SCALE = 1.0507009873554805
BELOW = SCALE * 1.6732632423543772


def f(x: float) -> float:
    return SCALE * x if x > 0.0 else BELOW * math.expm1(x)


def df(x: float, y: float) -> float:
    return SCALE if x > 0.0 else BELOW * math.exp(x)


@hookimpl
def register_activations(register: Any) -> None:
    register("selu", f, df, kinks=(0.0,))
