"""ELU: exponential below 0, the identity above.

Formula: y = x for x > 0, alpha·(eˣ - 1) below.

Args:
    alpha: minus the value that y tends to for small x.

Source: Clevert et al. 2016; Keras 3, activations/activations.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(x: float, alpha: float = 1.0) -> float:
    return x if x > 0.0 else alpha * math.expm1(x)


def df(x: float, y: float, alpha: float = 1.0) -> float:
    return 1.0 if x > 0.0 else alpha * math.exp(x)  # y + alpha would cancel


@hookimpl
def register_activations(register: Any) -> None:
    register("elu", f, df, kinks=(0.0,), examples=({"alpha": 0.5},))
