"""Norms are kept between two limits, or moved towards them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl.units import Range
from nbdl_standard.constraints.norms import EPSILON, NormConstraint

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def bounded(squares: float, min_value: float, max_value: float, rate: float) -> float:
    norm = math.sqrt(squares)
    return (rate * min(max(norm, min_value), max_value) + (1.0 - rate) * norm) / (EPSILON + norm)


class MinMaxNorm(NormConstraint):
    """Norms are kept between two limits, or moved towards them.

    Formula: w·(rate·min(max(‖w‖, min_value), max_value) + (1 - rate)·‖w‖)/(ε + ‖w‖), with ε = 1e-7.

    Args:
        min_value: the lower limit. Default 0.
        max_value: the upper limit. Default 1.
        rate: how much of the way to the limits a step goes: 1, the default, keeps within them.
        axis: what a norm goes over. Default 0: the weights that come into a unit, one column of a matrix; of a vector
            all of it. Several axes, from the first or the last on, are given as a list.

    Raises:
        ConfigError: not 0 ≤ min_value ≤ max_value, or the rate is not from 0 to 1.

    Source: Keras 3, constraints/constraints.py.
    """

    ranges: ClassVar = {"rate": Range(0.0, 1.0, "is from 0 to 1")}

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        if not 0.0 <= min_value <= max_value:
            raise ConfigError(f"MinMaxNorm: 0 ≤ min_value ≤ max_value, got {min_value!r} and {max_value!r}")
        self.min_value, self.max_value, self.rate, self.axis = float(min_value), float(max_value), float(rate), axis

    def scale(self, r: Recorder, squares: Tensor) -> Tensor:
        return r.map(bounded, squares, self.min_value, self.max_value, self.rate)


@hookimpl
def register_constraints(register: Any) -> None:
    register("min_max_norm", MinMaxNorm, examples=({"min_value": 0.5, "max_value": 0.8, "rate": 0.6, "axis": -1},))
