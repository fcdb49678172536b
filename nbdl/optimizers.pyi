# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.optimizers.adam import Adam as _Adam
from nbdl_standard.optimizers.rmsprop import RMSprop as _RMSprop
from nbdl_standard.optimizers.sgd import SGD as _SGD

from nbdl import Optimizer

class Adam(_Adam):
    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-07,
        *,
        lr: Any = ...,
    ) -> None: ...

class RMSprop(_RMSprop):
    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-07,
        *,
        lr: Any = ...,
    ) -> None: ...

class SGD(_SGD):
    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        lr: Any = ...,
    ) -> None: ...

def get(given: Any, where: str = ...) -> Optimizer: ...
