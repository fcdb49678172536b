# Generated from the registry by scripts/docs.py; do not edit.

from collections.abc import Sequence
from typing import Any, overload

from nbdl_standard.layers.activation import Activation as _Activation
from nbdl_standard.layers.dense import Dense as _Dense
from nbdl_standard.layers.dropout import Dropout as _Dropout
from nbdl_standard.layers.flatten import Flatten as _Flatten
from nbdl_standard.layers.input import Input as _Input

from nbdl import Layer as Layer

class Activation(_Activation):
    def __init__(
        self,
        activation: Any,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
    ) -> None: ...

class Dense(_Dense):
    @overload
    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        init: Any = ...,
        bias: bool = ...,
        W_regularizer: Any = ...,
        b_regularizer: Any = ...,
        W_constraint: Any = ...,
        b_constraint: Any = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        output_dim: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        init: Any = ...,
        bias: bool = ...,
        W_regularizer: Any = ...,
        b_regularizer: Any = ...,
        W_constraint: Any = ...,
        b_constraint: Any = ...,
    ) -> None: ...

class Dropout(_Dropout):
    @overload
    def __init__(
        self,
        rate: float,
        scaling: str = "inverted",
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        p: float,
        scaling: str = "inverted",
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
    ) -> None: ...

class Flatten(_Flatten):
    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
    ) -> None: ...

class Input(_Input):
    def __init__(
        self,
        shape: Any,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
    ) -> None: ...

InputLayer = Input

def get(given: Any, where: str = ...) -> Layer: ...
