"""CELU: ELU with a derivative that is continuous for any alpha.

Formula: y = max(x, 0) + alpha·(e^(min(x, 0)/alpha) - 1).

Args:
    alpha: minus the value that y tends to for small x.

Source: Barron 2017; Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(x: float, alpha: float = 1.0) -> float:
    return max(x, 0.0) + alpha * math.expm1(min(x, 0.0) / alpha)


def df(x: float, y: float, alpha: float = 1.0) -> float:
    return math.exp(min(x, 0.0) / alpha)


@hookimpl
def register_activations(register: Any) -> None:
    register("celu", f, df, examples=({"alpha": 2.0},))
