"""Normal, cut at two deviations, scaled by fan in, for rectifiers."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.initializers.variance_scaling import VarianceScaling


class HeNormal(VarianceScaling):
    """Normal, cut at two deviations, scaled by fan in, for rectifiers.

    Formula: σ = √(2/fan in) after the cut.

    Keras 1 did not cut it, and PyTorch does not: their like is VarianceScaling(..., distribution="untruncated_normal").

    Source: He, Zhang, Ren and Sun 2015; Keras 3, initializers/random_initializers.py.

    >>> HeNormal()
    HeNormal()
    """

    positions = ("seed", "input_axes", "output_axes")

    def __init__(self) -> None:
        super().__init__(2.0, "fan_in", "truncated_normal")


@hookimpl
def register_initializers(register: Any) -> None:
    register("he_normal", HeNormal)
