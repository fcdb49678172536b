"""Normal, cut at two deviations, scaled by fan in and fan out."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.initializers.variance_scaling import VarianceScaling


class GlorotNormal(VarianceScaling):
    """Normal, cut at two deviations, scaled by fan in and fan out.

    Formula: σ = √(2/(fan in + fan out)) after the cut.

    Keras 1 did not cut it, and PyTorch does not: their like is VarianceScaling(..., distribution="untruncated_normal").

    Source: Glorot and Bengio 2010; Keras 3, initializers/random_initializers.py.

    >>> GlorotNormal()
    GlorotNormal()
    """

    positions = ("seed", "input_axes", "output_axes")

    def __init__(self) -> None:
        super().__init__(1.0, "fan_avg", "truncated_normal")


@hookimpl
def register_initializers(register: Any) -> None:
    register("glorot_normal", GlorotNormal)
