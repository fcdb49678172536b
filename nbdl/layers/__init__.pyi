# Generated from the registry by scripts/docs.py; do not edit.

from collections.abc import Sequence
from typing import Any, overload

from nbdl_standard.layers.activation import Activation as _Activation
from nbdl_standard.layers.activity_regularization import ActivityRegularization as _ActivityRegularization
from nbdl_standard.layers.add import Add as _Add
from nbdl_standard.layers.alpha_dropout import AlphaDropout as _AlphaDropout
from nbdl_standard.layers.average import Average as _Average
from nbdl_standard.layers.batch_normalization import BatchNormalization as _BatchNormalization
from nbdl_standard.layers.concatenate import Concatenate as _Concatenate
from nbdl_standard.layers.dense import Dense as _Dense
from nbdl_standard.layers.dot import Dot as _Dot
from nbdl_standard.layers.dropout import Dropout as _Dropout
from nbdl_standard.layers.elu import ELU as _ELU
from nbdl_standard.layers.embedding import Embedding as _Embedding
from nbdl_standard.layers.flatten import Flatten as _Flatten
from nbdl_standard.layers.gaussian_dropout import GaussianDropout as _GaussianDropout
from nbdl_standard.layers.gaussian_noise import GaussianNoise as _GaussianNoise
from nbdl_standard.layers.identity import Identity as _Identity
from nbdl_standard.layers.input import Input as _Input
from nbdl_standard.layers.lambda_layer import Lambda as _Lambda
from nbdl_standard.layers.layer_normalization import LayerNormalization as _LayerNormalization
from nbdl_standard.layers.leaky_relu import LeakyReLU as _LeakyReLU
from nbdl_standard.layers.maximum import Maximum as _Maximum
from nbdl_standard.layers.maxout_dense import MaxoutDense as _MaxoutDense
from nbdl_standard.layers.minimum import Minimum as _Minimum
from nbdl_standard.layers.multiply import Multiply as _Multiply
from nbdl_standard.layers.normalization import Normalization as _Normalization
from nbdl_standard.layers.permute import Permute as _Permute
from nbdl_standard.layers.prelu import PReLU as _PReLU
from nbdl_standard.layers.relu import ReLU as _ReLU
from nbdl_standard.layers.repeat_vector import RepeatVector as _RepeatVector
from nbdl_standard.layers.rescaling import Rescaling as _Rescaling
from nbdl_standard.layers.reshape import Reshape as _Reshape
from nbdl_standard.layers.rms_normalization import RMSNormalization as _RMSNormalization
from nbdl_standard.layers.softmax import Softmax as _Softmax
from nbdl_standard.layers.subtract import Subtract as _Subtract
from nbdl_standard.layers.thresholded_relu import ThresholdedReLU as _ThresholdedReLU
from nbdl_standard.layers.unit_normalization import UnitNormalization as _UnitNormalization

from nbdl import Layer as Layer

class Activation(_Activation):
    def __init__(
        self,
        activation: Any,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class ActivityRegularization(_ActivityRegularization):
    def __init__(
        self,
        l1: float = 0.0,
        l2: float = 0.0,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Add(_Add):
    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

def add(inputs: Any, *arguments: Any, **options: Any) -> Any: ...

class AlphaDropout(_AlphaDropout):
    @overload
    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: Any = None,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        p: float,
        noise_shape: Any = None,
        seed: Any = None,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Average(_Average):
    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

def average(inputs: Any, *arguments: Any, **options: Any) -> Any: ...

class BatchNormalization(_BatchNormalization):
    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
        beta_init: Any = ...,
        gamma_init: Any = ...,
    ) -> None: ...

class Concatenate(_Concatenate):
    def __init__(
        self,
        axis: int = -1,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

def concatenate(inputs: Any, *arguments: Any, **options: Any) -> Any: ...

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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
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
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        init: Any = ...,
        bias: bool = ...,
        W_regularizer: Any = ...,
        b_regularizer: Any = ...,
        W_constraint: Any = ...,
        b_constraint: Any = ...,
    ) -> None: ...

class Dot(_Dot):
    def __init__(
        self,
        axes: int | tuple[int, int],
        normalize: bool = False,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

def dot(inputs: Any, *arguments: Any, **options: Any) -> Any: ...

class Dropout(_Dropout):
    @overload
    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: Any = None,
        *,
        scaling: str = "inverted",
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        p: float,
        noise_shape: Any = None,
        seed: Any = None,
        scaling: str = "inverted",
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class ELU(_ELU):
    def __init__(
        self,
        alpha: float = 1.0,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Embedding(_Embedding):
    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: Any = None,
        lora_alpha: Any = None,
        quantization_config: Any = None,
        *,
        input_length: int | None = None,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
        init: Any = ...,
        W_regularizer: Any = ...,
        W_constraint: Any = ...,
    ) -> None: ...

class Flatten(_Flatten):
    def __init__(
        self,
        data_format: Any = None,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class GaussianDropout(_GaussianDropout):
    @overload
    def __init__(
        self,
        rate: float,
        seed: Any = None,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        p: float,
        seed: Any = None,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class GaussianNoise(_GaussianNoise):
    @overload
    def __init__(
        self,
        stddev: float,
        seed: Any = None,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        sigma: float,
        seed: Any = None,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Identity(_Identity):
    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Input(_Input):
    def __init__(
        self,
        shape: Any,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: Any = None,
        ragged: Any = None,
        batch_shape: Any = None,
        name: str | None = None,
        tensor: Any = None,
        optional: bool = False,
        *,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

InputLayer = Input

class Lambda(_Lambda):
    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: Any = None,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class LayerNormalization(_LayerNormalization):
    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class LeakyReLU(_LeakyReLU):
    def __init__(
        self,
        negative_slope: float = 0.3,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
        alpha: float = ...,
    ) -> None: ...

class Maximum(_Maximum):
    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

def maximum(inputs: Any, *arguments: Any, **options: Any) -> Any: ...

class MaxoutDense(_MaxoutDense):
    @overload
    def __init__(
        self,
        units: int,
        nb_feature: int = 4,
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
        trainable: bool | None = None,
        activity_regularizer: Any = None,
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
        nb_feature: int = 4,
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
        trainable: bool | None = None,
        activity_regularizer: Any = None,
        init: Any = ...,
        bias: bool = ...,
        W_regularizer: Any = ...,
        b_regularizer: Any = ...,
        W_constraint: Any = ...,
        b_constraint: Any = ...,
    ) -> None: ...

class Minimum(_Minimum):
    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

def minimum(inputs: Any, *arguments: Any, **options: Any) -> Any: ...

class Multiply(_Multiply):
    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

def multiply(inputs: Any, *arguments: Any, **options: Any) -> Any: ...

class Normalization(_Normalization):
    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class PReLU(_PReLU):
    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Permute(_Permute):
    def __init__(
        self,
        dims: Sequence[int],
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class RMSNormalization(_RMSNormalization):
    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-06,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class ReLU(_ReLU):
    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class RepeatVector(_RepeatVector):
    def __init__(
        self,
        n: int,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Rescaling(_Rescaling):
    def __init__(
        self,
        scale: Any,
        offset: Any = 0.0,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Reshape(_Reshape):
    def __init__(
        self,
        target_shape: int | Sequence[int],
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Softmax(_Softmax):
    def __init__(
        self,
        axis: int = -1,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class Subtract(_Subtract):
    def __init__(
        self,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

def subtract(inputs: Any, *arguments: Any, **options: Any) -> Any: ...

class ThresholdedReLU(_ThresholdedReLU):
    def __init__(
        self,
        theta: float = 1.0,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

class UnitNormalization(_UnitNormalization):
    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        *,
        name: str | None = None,
        input_shape: int | Sequence[int] | None = None,
        input_dim: int | None = None,
        trainable: bool | None = None,
        activity_regularizer: Any = None,
    ) -> None: ...

def get(given: Any, where: str = ...) -> Layer: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Layer: ...
