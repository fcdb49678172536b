# Generated from the registry by scripts/docs.py; do not edit.

from collections.abc import Sequence
from typing import Any

from nbdl_standard.constraints.max_norm import MaxNorm as _MaxNorm
from nbdl_standard.constraints.min_max_norm import MinMaxNorm as MinMaxNorm
from nbdl_standard.constraints.unit_norm import UnitNorm as UnitNorm

from nbdl import Constraint as Constraint

class max_norm(_MaxNorm):
    def __init__(self, max_value: float = 2.0, axis: int | Sequence[int] = 0, *, m: float = ...) -> None: ...

MaxNorm = max_norm
min_max_norm = MinMaxNorm

class non_neg(Constraint):
    def __init__(self) -> None: ...

NonNeg = non_neg
unit_norm = UnitNorm

def get(given: Any, where: str = ...) -> Constraint: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Constraint: ...
