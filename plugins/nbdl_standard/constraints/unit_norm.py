"""Norms are kept at 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl_standard.constraints.norms import EPSILON, NormConstraint

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def inverse(squares: float) -> float:
    return 1.0 / (EPSILON + math.sqrt(squares))


class UnitNorm(NormConstraint):
    """Norms are kept at 1.

    Formula: w/(ε + ‖w‖), with ε = 1e-7.

    Args:
        axis: what a norm goes over. Default 0: the weights that come into a unit, one column of a matrix; of a vector
            all of it. Several axes, from the first or the last on, are given as a list.

    Source: Keras 3, constraints/constraints.py.
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis

    def scale(self, r: Recorder, squares: Tensor) -> Tensor:
        return r.map(inverse, squares)


@hookimpl
def register_constraints(register: Any) -> None:
    register("unit_norm", UnitNorm, examples=({"axis": -1},))
