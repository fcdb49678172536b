# Generated from the registry by scripts/docs.py; do not edit.

from collections.abc import Sequence
from typing import Any

from nbdl_standard.schedules.cosine_decay import CosineDecay as _CosineDecay
from nbdl_standard.schedules.cosine_decay_restarts import CosineDecayRestarts as _CosineDecayRestarts
from nbdl_standard.schedules.exponential_decay import ExponentialDecay as _ExponentialDecay
from nbdl_standard.schedules.inverse_square_root_decay import InverseSquareRootDecay as _InverseSquareRootDecay
from nbdl_standard.schedules.inverse_time_decay import InverseTimeDecay as _InverseTimeDecay
from nbdl_standard.schedules.piecewise_constant_decay import PiecewiseConstantDecay as _PiecewiseConstantDecay
from nbdl_standard.schedules.polynomial_decay import PolynomialDecay as _PolynomialDecay

from nbdl import Schedule as Schedule

class CosineDecay(_CosineDecay):
    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str | None = None,
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None: ...

class CosineDecayRestarts(_CosineDecayRestarts):
    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str | None = None,
    ) -> None: ...

class ExponentialDecay(_ExponentialDecay):
    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None: ...

class InverseSquareRootDecay(_InverseSquareRootDecay):
    def __init__(self, initial_learning_rate: float, name: str | None = None) -> None: ...

class InverseTimeDecay(_InverseTimeDecay):
    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None: ...

class PiecewiseConstantDecay(_PiecewiseConstantDecay):
    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str | None = None) -> None: ...

class PolynomialDecay(_PolynomialDecay):
    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = None,
    ) -> None: ...

def get(given: Any, where: str = ...) -> Schedule: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Schedule: ...
