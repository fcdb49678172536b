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

    def __init__(self, layer: Named, weights: list[Weight], within: tuple[Any, ...] = ()) -> None:
        self._layer, self._weights, self._within = layer, weights, within

    def layer(self, layer: Any, *shapes: Shape) -> Any:
        """Build a layer within this one; its weights are this one's, under its name: "block/dense/kernel".

        `forward` applies it by `layer.applied(r, x)`, and `backward` goes back by `layer.propagated(r, saved, dy)`.

        Args:
            layer: an attribute of the layer, made in its `__init__`.
            shapes: of one row of each of its inputs.

        Returns:
            The shape of one row of its outputs; of several a tuple.

        Raises:
            ConfigError: it does not take such inputs, or has a penalty on its outputs.
        """
        if layer.activity_regularizer is not None:
            raise ConfigError(f"layer {self._layer.name!r}: a layer within it has no activity_regularizer")
        taken = {weight.within[: len(self._within) + 1] for weight in self._weights}
        names = {path[-1].name for path in taken if len(path) == len(self._within) + 1 and path[-1] is not layer}
        layer.name = layer.name or layer.free_name(names)
        if layer.name in names:
            raise ConfigError(f"layer {self._layer.name!r}: two layers within it are called {layer.name!r}")
        before = len(self._weights)
        outputs = layer.outputs(Builder(self._layer, self._weights, (*self._within, layer)), *shapes)
        layer.take_weights(self._weights[before:], list(shapes), list(outputs))
        return outputs[0] if len(outputs) == 1 else outputs

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
        name = "/".join([*(layer.name for layer in self._within), name])
        full = f"{self._layer.name}/{name}"
        if any(weight.layer is self._layer and weight.own_name == name for weight in self._weights):
            raise ConfigError(f"{self._layer.name}: two weights are called {name!r}")
        weight = Weight(
            Tensor(shape, False, "weight", full),
            self._layer,
            registry.make("initializers", initializer, full),
            trainable,
            registry.make("regularizers", regularizer, full),
            registry.make("constraints", constraint, full),
            own_name=name,
            within=self._within,
        )
        self._weights.append(weight)
        return weight.tensor
