"""Uniform, scaled by fan in, for rectifiers."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.initializers.variance_scaling import VarianceScaling


class HeUniform(VarianceScaling):
    """Uniform, scaled by fan in, for rectifiers.

    Formula: U(-a, a) with a = √(6/fan in).

    Source: He, Zhang, Ren and Sun 2015; Keras 3, initializers/random_initializers.py.

    >>> HeUniform()
    HeUniform()
    """

    positions = ("seed", "input_axes", "output_axes")

    def __init__(self) -> None:
        super().__init__(2.0, "fan_in", "uniform")


@hookimpl
def register_initializers(register: Any) -> None:
    register("he_uniform", HeUniform)
