"""Norms are kept from growing beyond a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import hookimpl
from nbdl_standard.constraints.norms import EPSILON, NormConstraint
from nbdl_standard.ranges import NOT_NEGATIVE

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def limited(squares: float, max_value: float) -> float:
    norm = math.sqrt(squares)
    return min(norm, max_value) / (EPSILON + norm)


class MaxNorm(NormConstraint):
    """Norms are kept from growing beyond a limit.

    Formula: w·min(‖w‖, max_value)/(ε + ‖w‖), with ε = 1e-7.

    Args:
        max_value: the limit; `m` in Keras 1. Default 2.
        axis: what a norm goes over. Default 0: the weights that come into a unit, one column of a matrix; of a vector
            all of it. Several axes, from the first or the last on, are given as a list.

    Raises:
        ConfigError: the limit is negative.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014; Keras 3, constraints/constraints.py.
    """

    renamed = {"m": "max_value"}
    ranges: ClassVar = {"max_value": NOT_NEGATIVE}

    def __init__(self, max_value: float = 2.0, axis: int | Sequence[int] = 0) -> None:
        self.max_value, self.axis = float(max_value), axis

    def scale(self, r: Recorder, squares: Tensor) -> Tensor:
        return r.map(limited, squares, self.max_value)


@hookimpl
def register_constraints(register: Any) -> None:
    register("max_norm", MaxNorm, examples=({"max_value": 0.7, "axis": -1},))
