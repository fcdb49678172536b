"""A factorization machine: what pairs of features do together, in time linear in their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl import Builder, Recorder, Tensor
    from nbdl.program import Shape


# Scalar functions: nbdl applies them to each element. Σ over pairs i < j of vᵢ·vⱼ xᵢ xⱼ is ½(|Σ vᵢ xᵢ|² - Σ |vᵢ|² xᵢ²),
# so no pair is ever formed.


def square(a: float) -> float:
    return a * a


def product(a: float, b: float) -> float:
    return a * b


def itself(a: float) -> float:
    return a


def alone(x: float, w: float, size: float) -> float:
    """What one feature adds by itself: size is |v|², counted among the pairs and taken off here."""
    return x * (w - 0.5 * size * x)


def joined(alone: float, pairs: float, bias: float) -> float:
    return bias + alone + 0.5 * pairs


def d_alone(dy: float, x: float) -> float:
    """By |v|²/2."""
    return -dy * x * x


def d_factor(through: float, v: float, alone: float) -> float:
    return through + v * alone


def d_input(dy: float, through: float, x: float, w: float, size: float) -> float:
    return dy * (through + w - size * x)


class FactorizationMachine(Layer):
    """A linear model with all products of two features, whose weights are products of learned vectors.

    Formula: y = b + Σᵢ wᵢ·xᵢ + Σᵢ<ⱼ (vᵢ·vⱼ)·xᵢ·xⱼ, one number for each row; w has the shape (features,), and V, of
    shape (factors, features), holds the vᵢ as its columns.

    Args:
        factors: length of the vectors.
        activation: name or unit, applied to y; None leaves y as it is.
        linear_initializer: first values of w.
        factors_initializer: first values of V; they must not be zeros, of which V would never leave.
        linear_regularizer, factors_regularizer: penalties on w and V, added to the loss.

    Raises:
        ConfigError: factors is not a positive integer, or the inputs are not vectors.

    Source: Rendle 2010, Factorization Machines.

    >>> FactorizationMachine(8, activation="sigmoid", input_dim=20).get_config()["factors"]
    8
    """

    def __init__(
        self,
        factors: int = 8,
        activation: Any = None,
        linear_initializer: Any = "zeros",
        factors_initializer: Any = "glorot_uniform",
        linear_regularizer: Any = None,
        factors_regularizer: Any = None,
    ) -> None:
        if isinstance(factors, bool) or not hasattr(factors, "__index__") or factors < 1:
            raise ConfigError(f"FactorizationMachine: factors must be a positive integer, got {factors!r}")
        self.factors = int(factors)
        self.activation = self.unit("activations", activation)
        self.linear_initializer = self.unit("initializers", linear_initializer)
        self.factors_initializer = self.unit("initializers", factors_initializer)
        self.linear_regularizer = self.unit("regularizers", linear_regularizer)
        self.factors_regularizer = self.unit("regularizers", factors_regularizer)

    def build(self, b: Builder, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ConfigError(f"FactorizationMachine {self.name!r} takes vectors, its rows have shape {shape}")
        self.bias = b.weight("bias", (1,), "zeros")
        self.linear = b.weight("linear", shape, self.linear_initializer, self.linear_regularizer)
        self.vectors = b.weight("vectors", (self.factors, shape[0]), self.factors_initializer, self.factors_regularizer)
        return (1,)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        sums = r.gemm(x, self.vectors, transpose_b=True)  # Σ vᵢ·xᵢ: rows × factors
        pairs = r.sum(square, sums, over="features")
        sizes = r.sum(square, self.vectors)  # |vᵢ|²: over the rows of V, one for each feature
        return r.map(joined, r.sum(alone, x, self.linear, sizes, over="features"), pairs, self.bias), sums

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        sums, sizes = saved, r.sum(square, self.vectors)
        r.gradient(self.bias, r.sum(itself, dy))
        r.gradient(self.linear, r.sum(product, dy, x))
        through = r.gemm(r.map(product, dy, sums), x, transpose_a=True)
        r.gradient(self.vectors, r.map(d_factor, through, self.vectors, r.sum(d_alone, dy, x)))
        return r.map(d_input, dy, r.gemm(sums, self.vectors), x, self.linear, sizes)


@hookimpl
def register_layers(register: Any) -> None:
    register(
        "FactorizationMachine",
        FactorizationMachine,
        examples=({"factors": 3, "linear_initializer": "glorot_uniform"}, {"factors": 1, "activation": "sigmoid"}),
        input_shape=(5,),
    )
