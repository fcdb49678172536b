"""Lambda: a scalar function of one input or several, as a layer."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer, hookimpl
from nbdl.errors import ConfigError
from nbdl.program import derivative, same, times

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


class Lambda(Layer):
    """A scalar function of one input or several, element by element; its derivatives follow from its code.

    Formula: y = f(x₁, x₂, …)

    Args:
        function: plain Python of as many numbers as there are inputs, such as `lambda x: x * x`. The name of an
            activation, or its function, is a function of one input; only such a layer can be saved.

    Raises:
        ConfigError: it is no such function, or takes another number of inputs.

    Source: Keras 3, layers/core/lambda_layer.py, whose function takes whole tensors.

    >>> from nbdl.layers import Input
    >>> Lambda(lambda mean, spread: spread - mean * mean)([Input(shape=(3,)), Input(shape=(3,))]).shape
    (None, 3)
    """

    takes_several = True
    ignored: ClassVar = dict.fromkeys(("output_shape", "mask", "arguments"), (None,))
    positions = ("function", "output_shape", "mask", "arguments")

    def __init__(self, function: Any) -> None:
        plain = getattr(function, "py_func", function)
        if inspect.isfunction(plain):
            self.count = len(inspect.signature(plain).parameters)
            self.applied, self.slopes = plain, [derivative(plain, by) for by in range(self.count)]
        else:
            self.unit_applied, self.count = self.unit("activations", function), 1

    def build(self, b: Builder, *shapes: Shape) -> Shape:
        if len(shapes) != self.count:
            raise ConfigError(f"Lambda {self.name!r}: its function takes {self.count} inputs, got {len(shapes)}")
        if self.applied is None:
            return self.unit_applied.output_shape(shapes[0])
        found = max(shapes, key=lambda shape: (_size(shape), len(shape)))
        if any(shape != found and _size(shape) != 1 for shape in shapes):
            raise ConfigError(
                f"Lambda {self.name!r} goes over rows of one shape, or of one feature: got "
                f"{', '.join(map(str, shapes))}"
            )
        return found

    applied: Any = None

    def forward(self, r: Recorder, *xs: Tensor) -> tuple[Tensor, Any]:
        if self.applied is None:
            return self.unit_applied.forward(r, xs[0])
        return r.map(self.applied, *xs), None

    def backward(self, r: Recorder, xs: Any, y: Tensor, dy: Tensor, saved: Any) -> Any:
        if self.applied is None:
            return (self.unit_applied.backward(r, xs[0], y, dy, saved),)
        found = [r.map(times, dy, r.map(slope, *xs)) for slope in self.slopes]
        return tuple(
            r.sum(same, gradient, over="features") if x.features < gradient.features else gradient
            for x, gradient in zip(xs, found, strict=True)
        )


def _size(shape: Shape) -> int:
    size = 1
    for one in shape:
        size *= one
    return size


@hookimpl
def register_layers(register: Any) -> None:
    register("Lambda", Lambda, examples=({"function": "tanh"},), inputs=1)
