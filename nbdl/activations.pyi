# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.activations.gelu import Gelu as Gelu
from nbdl_standard.activations.glu import Glu as Glu
from nbdl_standard.activations.linear import Linear as Linear
from nbdl_standard.activations.log_softmax import LogSoftmax as LogSoftmax
from nbdl_standard.activations.relu import Relu as _Relu
from nbdl_standard.activations.softmax import Softmax as Softmax
from nbdl_standard.activations.sparsemax import Sparsemax as Sparsemax

from nbdl import Activation as Activation

class celu(Activation):
    def __init__(self, alpha: float = 1.0) -> None: ...

class elu(Activation):
    def __init__(self, alpha: float = 1.0) -> None: ...

class exponential(Activation):
    def __init__(self) -> None: ...

gelu = Gelu
glu = Glu

class hard_shrink(Activation):
    def __init__(self, threshold: float = 0.5) -> None: ...

class hard_sigmoid(Activation):
    def __init__(self, slope: float = 0.16666666666666666) -> None: ...

class hard_silu(Activation):
    def __init__(self) -> None: ...

hard_swish = hard_silu

class hard_tanh(Activation):
    def __init__(self) -> None: ...

class leaky_relu(Activation):
    def __init__(self, negative_slope: float = 0.2) -> None: ...

linear = Linear

class log_sigmoid(Activation):
    def __init__(self) -> None: ...

log_softmax = LogSoftmax

class mish(Activation):
    def __init__(self) -> None: ...

class relu(_Relu):
    def __init__(
        self,
        negative_slope: float = 0.0,
        max_value: float | None = None,
        threshold: float = 0.0,
        *,
        alpha: float = ...,
    ) -> None: ...

Relu = relu

class relu6(Activation):
    def __init__(self) -> None: ...

class selu(Activation):
    def __init__(self) -> None: ...

class sigmoid(Activation):
    def __init__(self) -> None: ...

class silu(Activation):
    def __init__(self) -> None: ...

swish = silu

class soft_shrink(Activation):
    def __init__(self, threshold: float = 0.5) -> None: ...

softmax = Softmax

class softplus(Activation):
    def __init__(self) -> None: ...

class softsign(Activation):
    def __init__(self) -> None: ...

class sparse_plus(Activation):
    def __init__(self) -> None: ...

class sparse_sigmoid(Activation):
    def __init__(self) -> None: ...

sparsemax = Sparsemax

class squareplus(Activation):
    def __init__(self, b: float = 4.0) -> None: ...

class tanh(Activation):
    def __init__(self) -> None: ...

class tanh_shrink(Activation):
    def __init__(self) -> None: ...

class threshold(Activation):
    def __init__(self, threshold: float, default_value: float) -> None: ...

def get(given: Any, where: str = ...) -> Activation: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Activation: ...
