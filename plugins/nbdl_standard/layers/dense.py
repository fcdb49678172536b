"""Dense: a fully connected layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.program import same
from nbdl_standard.ranges import POSITIVE_INTEGER
from nbdl_standard.weights import keep, make, size_of_vector

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


class Dense(Layer):
    """A fully connected layer.

    Formula: y = activation(x·W + b), with W of shape (features of x, units) and b of shape (units,).

    Args:
        units: number of outputs.
        activation: name or unit; None leaves x·W + b as it is.
        use_bias: whether there is a b.
        kernel_initializer: first values of W.
        bias_initializer: first values of b.
        kernel_regularizer, bias_regularizer: penalties on W and b, added to the loss.
        kernel_constraint, bias_constraint: projections of W and b after each update.

    Keras 1 spellings are accepted: output_dim, init, bias, W_regularizer, b_regularizer, W_constraint,
    b_constraint. Inputs with more than one axis must be flattened first.

    Raises:
        ConfigError: units is not a positive integer, or the input has more than one axis.

    Source: Keras 3, layers/core/dense.py.

    >>> Dense(500, activation="sigmoid", input_dim=784).get_config()["units"]
    500
    """

    output_range = (-math.inf, math.inf)
    renamed = {
        "output_dim": "units",
        "init": "kernel_initializer",
        "bias": "use_bias",
        "W_regularizer": "kernel_regularizer",
        "b_regularizer": "bias_regularizer",
        "W_constraint": "kernel_constraint",
        "b_constraint": "bias_constraint",
    }
    ranges: ClassVar = {"units": POSITIVE_INTEGER}
    bias: Tensor | None = None  # the weight, not the older spelling

    ignored: ClassVar = {"lora_rank": (None,), "lora_alpha": (None,), "quantization_config": (None,)}
    instead: ClassVar = {
        **dict.fromkeys(("lora_rank", "lora_alpha"), "not there: there is no low-rank adaptation"),
        "quantization_config": "not there: everything is float32",
    }
    positions = (
        "units", "activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer",
        "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint", "lora_rank", "lora_alpha",
        "quantization_config",
    )  # fmt: skip

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
    ) -> None:
        self.units = int(units)
        self.use_bias = bool(use_bias)
        self.activation = self.unit("activations", activation)
        keep(self, "kernel", kernel_initializer, kernel_regularizer, kernel_constraint)
        keep(self, "bias", bias_initializer, bias_regularizer, bias_constraint)

    def build(self, b: Builder, shape: Shape) -> Shape:
        self.kernel = make(self, b, "kernel", (size_of_vector(self, shape), self.units))
        self.bias = make(self, b, "bias", (self.units,)) if self.use_bias else None
        return (self.units,)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.gemm(x, self.kernel, bias=self.bias), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        r.gradient(self.kernel, r.gemm(x, dy, transpose_a=True))
        if self.bias is not None:
            r.gradient(self.bias, r.sum(same, dy))
        return r.gemm(dy, self.kernel, transpose_b=True)


@hookimpl
def register_layers(register: Any) -> None:
    register("Dense", Dense, examples=({"units": 4}, {"units": 2, "activation": "softmax", "use_bias": False}))
