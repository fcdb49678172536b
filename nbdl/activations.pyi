# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.activations.linear import Linear as Linear
from nbdl_standard.activations.softmax import Softmax as Softmax

from nbdl import Activation

linear = Linear

class relu(Activation):
    def __init__(self, negative_slope: float = 0.0, max_value: float = ..., threshold: float = 0.0) -> None: ...

class sigmoid(Activation):
    def __init__(self) -> None: ...

softmax = Softmax

class softplus(Activation):
    def __init__(self) -> None: ...

class softsign(Activation):
    def __init__(self) -> None: ...

class tanh(Activation):
    def __init__(self) -> None: ...

def get(given: Any, where: str = ...) -> Activation: ...
