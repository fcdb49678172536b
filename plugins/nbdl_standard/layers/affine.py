"""What layers of matrices and biases share: the arguments of Dense, their older spellings, and their weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer
from nbdl.errors import ConfigError
from nbdl_standard.ranges import POSITIVE_INTEGER

if TYPE_CHECKING:
    from nbdl.program.recorder import Tensor
    from nbdl.units.builder import Builder
    from nbdl.units.layer import Shape


class AffineLayer(Layer):
    """Base of layers that multiply vectors by matrices W and add biases b."""

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

    def __init__(
        self,
        units: int,
        use_bias: bool,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
    ) -> None:
        self.units = int(units)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = self.unit("initializers", kernel_initializer)
        self.bias_initializer = self.unit("initializers", bias_initializer)
        self.kernel_regularizer = self.unit("regularizers", kernel_regularizer)
        self.bias_regularizer = self.unit("regularizers", bias_regularizer)
        self.kernel_constraint = self.unit("constraints", kernel_constraint)
        self.bias_constraint = self.unit("constraints", bias_constraint)

    def make_weights(self, b: Builder, shape: Shape, suffix: str = "") -> tuple[Tensor, Tensor | None]:
        """Make W and b, without b if there is none.

        Raises:
            ConfigError: the input has more than one axis.
        """
        if len(shape) != 1:
            raise ConfigError(
                f"{type(self).__name__} {self.name!r} takes vectors, its input has shape "
                f"(None, {', '.join(map(str, shape))}): add Flatten() before it"
            )
        size = (shape[0], self.units)
        kernel = b.weight(
            f"kernel{suffix}", size, self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
        )
        if not self.use_bias:
            return kernel, None
        return kernel, b.weight(
            f"bias{suffix}", size[1:], self.bias_initializer, self.bias_regularizer, self.bias_constraint
        )
