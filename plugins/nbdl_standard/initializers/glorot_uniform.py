"""Uniform, scaled by fan in and fan out."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.initializers.variance_scaling import VarianceScaling


class GlorotUniform(VarianceScaling):
    """Uniform, scaled by fan in and fan out.

    Formula: U(-a, a) with a = √(6/(fan in + fan out)).

    Source: Glorot and Bengio 2010; Keras 3, initializers/random_initializers.py.

    >>> GlorotUniform()
    GlorotUniform()
    """

    positions = ("seed", "input_axes", "output_axes")

    def __init__(self) -> None:
        super().__init__(1.0, "fan_avg", "uniform")


@hookimpl
def register_initializers(register: Any) -> None:
    register("glorot_uniform", GlorotUniform)
