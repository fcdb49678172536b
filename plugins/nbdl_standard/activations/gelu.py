"""GELU: the Gaussian error linear unit."""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl
from nbdl.units import ElementwiseActivation
from nbdl_standard.activations.sigmoid import f as sigmoid
from nbdl_standard.activations.sigmoid import slope

ROOT_HALF = math.sqrt(0.5)
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
TWICE = 2.0 * math.sqrt(2.0 / math.pi)
CUBIC = 0.044715


def exact_form(x: float) -> float:
    return 0.5 * x * math.erfc(-ROOT_HALF * x)  # 1 + erf cancels below 0


def exact_slope(x: float, y: float) -> float:
    return 0.5 * math.erfc(-ROOT_HALF * x) + x * DENSITY * math.exp(-0.5 * x * x)


def approximate_form(x: float) -> float:
    return x * sigmoid(TWICE * x * (1.0 + CUBIC * x * x))


def approximate_slope(x: float, y: float) -> float:
    u = TWICE * x * (1.0 + CUBIC * x * x)
    return sigmoid(u) + x * slope(u) * TWICE * (1.0 + 3.0 * CUBIC * x * x)


class Gelu(ElementwiseActivation):
    """The Gaussian error linear unit: x by the share of a normal distribution that lies below x.

    Formula: y = x·(1 + erf(x/√2))/2; approximate: y = x·(1 + tanh u)/2, u = √(2/π)·(x + 0.044715·x³).

    Args:
        approximate: whether the second formula is meant. They differ by up to 5e-4; the first is the default, as in
            PyTorch.

    Source: Hendrycks & Gimpel 2016; Keras 3, activations/activations.py.

    >>> Gelu(approximate=True).get_config()
    {'approximate': True}
    """

    functions = (exact_form, exact_slope)

    def __init__(self, approximate: bool = False) -> None:
        self.parameters = {}
        if approximate:
            self.functions = (approximate_form, approximate_slope)  # type: ignore[misc]  # this object's own


@hookimpl
def register_activations(register: Any) -> None:
    register("gelu", Gelu, examples=({"approximate": True},))
