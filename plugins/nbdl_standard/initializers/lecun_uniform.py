"""Uniform, scaled by fan in."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.initializers.variance_scaling import VarianceScaling


class LecunUniform(VarianceScaling):
    """Uniform, scaled by fan in.

    Formula: U(-a, a) with a = √(3/fan in).

    Source: LeCun, Bottou, Orr and Müller 1998; Keras 3, initializers/random_initializers.py.

    >>> LecunUniform()
    LecunUniform()
    """

    positions = ("seed", "input_axes", "output_axes")

    def __init__(self) -> None:
        super().__init__(1.0, "fan_in", "uniform")


@hookimpl
def register_initializers(register: Any) -> None:
    register("lecun_uniform", LecunUniform)
