"""Normal, cut at two deviations, scaled by fan in, as self-normalising nets want it."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.initializers.variance_scaling import VarianceScaling


class LecunNormal(VarianceScaling):
    """Normal, cut at two deviations, scaled by fan in, as self-normalising nets want it.

    Formula: σ = √(1/fan in) after the cut.

    Keras 1 did not cut it, and PyTorch does not: their like is VarianceScaling(..., distribution="untruncated_normal").

    Source: LeCun, Bottou, Orr and Müller 1998; Klambauer et al. 2017; Keras 3, initializers/random_initializers.py.

    >>> LecunNormal()
    LecunNormal()
    """

    positions = ("seed", "input_axes", "output_axes")

    def __init__(self) -> None:
        super().__init__(1.0, "fan_in", "truncated_normal")


@hookimpl
def register_initializers(register: Any) -> None:
    register("lecun_normal", LecunNormal)
