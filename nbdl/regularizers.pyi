# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.regularizers.orthogonal_regularizer import OrthogonalRegularizer as OrthogonalRegularizer

from nbdl import Regularizer as Regularizer

class l1(Regularizer):
    def __init__(self, l1: float = 0.01) -> None: ...

activity_l1 = l1
L1 = l1

class l1_l2(Regularizer):
    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None: ...

activity_l1l2 = l1_l2
L1L2 = l1_l2

class l2(Regularizer):
    def __init__(self, l2: float = 0.01) -> None: ...

activity_l2 = l2
L2 = l2
orthogonal_regularizer = OrthogonalRegularizer

def get(given: Any, where: str = ...) -> Regularizer: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Regularizer: ...
