"""Builder: what a layer's `build` creates weights with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from nbdl.errors import ConfigError
from nbdl.units.registry import registry

if TYPE_CHECKING:
    from nbdl.engine.store import Weight
    from nbdl.program.tensor import Shape, Tensor


class Named(Protocol):
    """The layer that weights are made for: they are named after it."""

    name: str


class Builder:
    """What a layer's `build` creates weights with.

    A layer keeps the tensors that it is given, and reads them in `forward`:

    >>> from nbdl import Layer
    >>> class Scale(Layer):
    ...     def build(self, b, shape):
    ...         self.factor = b.weight("factor", shape, "ones")
    ...         return shape
    >>> from nbdl import Sequential
    >>> Sequential([Scale(input_shape=(3,))]).count_params()
    3
    """

    def __init__(self, layer: Named, weights: list[Weight]) -> None:
        self._layer, self._weights = layer, weights

    def weight(
        self, name: str, shape: Shape, initializer: Any, regularizer: Any = None, constraint: Any = None
    ) -> Tensor:
        """Make a trainable weight. `backward` passes its gradient to `r.gradient`.

        Args:
            name: unique in the layer.
            shape: of the weight.
            initializer, regularizer, constraint: names or units.
        """
        return self._add(name, shape, initializer, True, regularizer, constraint)

    def state(self, name: str, shape: Shape, initializer: Any) -> Tensor:
        """Make a weight without gradient, which `r.assign` changes."""
        return self._add(name, shape, initializer, False, None, None)

    def _add(
        self, name: str, shape: Shape, initializer: Any, trainable: bool, regularizer: Any, constraint: Any
    ) -> Tensor:
        from nbdl.engine.store import Weight
        from nbdl.program.checks import shape as checked_shape
        from nbdl.program.tensor import Tensor

        where = f"layer {self._layer.name!r}: b.{'weight' if trainable else 'state'}"
        if not isinstance(name, str) or not name:
            raise ConfigError(f"{where}: the name is a word, such as 'kernel', got {name!r}")
        shape = checked_shape(shape, f"{where}({name!r})")
        full = f"{self._layer.name}/{name}"
        if any(weight.name == full for weight in self._weights):
            raise ConfigError(f"{self._layer.name}: two weights are called {name!r}")
        weight = Weight(
            Tensor(shape, False, "weight", full),
            self._layer,
            registry.make("initializers", initializer, full),
            trainable,
            registry.make("regularizers", regularizer, full),
            registry.make("constraints", constraint, full),
            own_name=name,
        )
        self._weights.append(weight)
        return weight.tensor
