"""SiLU, or Swish: x by its own sigmoid.

Formula: y = x·σ(x), with σ(x) = 1/(1 + e⁻ˣ).

Source: Elfwing et al. 2017, Ramachandran et al. 2017; Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.activations.sigmoid import f as sigmoid
from nbdl_standard.activations.sigmoid import slope


def f(x: float) -> float:
    return x * sigmoid(x)


def df(x: float, y: float) -> float:
    return sigmoid(x) + x * slope(x)


@hookimpl
def register_activations(register: Any) -> None:
    register("silu", f, df, aliases=("swish",))
