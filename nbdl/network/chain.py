"""Chain: a network of layers one after another, to which layers can be added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from nbdl.errors import ConfigError
from nbdl.network.network import Network, Step
from nbdl.storage.schema import MOST_NAME, is_name
from nbdl.units.layer import Layer, Shape, shape_of, without_rows
from nbdl.units.symbol import Call, Symbol


class Chain(Network):
    """A network of layers one after another.

    Attributes:
        declared: a layer that was added before all others and only tells the shape of the inputs.
    """

    def __init__(self, name: str, seed: int) -> None:
        super().__init__(name, seed)
        self.declared: Layer | None = None
        self._layers: list[Layer] = []
        self._steps: list[Step] = []
        self._built_shape: Shape | None = None  # of the inputs, where `build` was told
        self._described: list[Call] = []

    # -- the graph --------------------------------------------------------------------------------------

    @property
    def steps(self) -> Sequence[Step]:
        return self._steps

    @property
    def input_names(self) -> Sequence[str]:
        return [self.declared.name if self.declared is not None else "x"]

    @property
    def outputs(self) -> Sequence[int]:
        return [len(self._layers)]

    @property
    def output_names(self) -> Sequence[str]:
        return [self._layers[-1].name if self._layers else "y"]

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order, without an `Input`: it only tells the shape of the inputs."""
        return list(self._layers)

    @property
    def entries(self) -> list[Layer]:
        """What was added: the layers, after an `Input`."""
        return [*([] if self.declared is None else [self.declared]), *self._layers]

    def add(self, layer: Layer) -> None:
        """Append a layer; it gets a name unless it has one.

        Raises:
            ConfigError: it does not fit the layers before it.
        """
        self._refuse_used()
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ConfigError(f"add an instance: {layer.__name__}(...), not the class {layer.__name__}")
        if not isinstance(layer, Layer):
            raise ConfigError(f"a model is made of layers, got {layer!r}")
        if layer not in self._layers:
            name_layer(layer, {other.name for other in self.entries})
        if layer.declares_input:
            self._declare_input(layer)
            return
        if self._layers and layer.given_shape is not None and self.shapes:
            before = self.shapes[len(self._layers)]
            if layer.given_shape != before:
                raise ConfigError(
                    f"{type(layer).__name__} {layer.name!r} says input_shape={layer.given_shape}, but layer "
                    f"{self._layers[-1].name!r} outputs (None, {', '.join(map(str, before))})"
                )
        self._layers.append(layer)
        self._changed()
        if self.input_shapes is not None:
            try:
                self.build()
            except ConfigError:
                self.pop()
                raise

    def pop(self) -> Layer:
        """Remove the last layer and return it; its weights stay with it."""
        self._refuse_used()
        if not self._layers:
            raise ConfigError("the model has no layers to remove")
        layer = self._layers.pop()
        if layer not in self._layers:
            layer.leaves(self)
        self._changed()
        return layer

    def _refuse_used(self) -> None:
        for user in self.users:
            raise ConfigError(
                f"model {self.name!r} is part of model {user.name!r}, so its layers stay as they are: "
                "make a new model of them, Sequential([*model.layers, ...])"
            )

    def _changed(self) -> None:
        for call in self._described:
            if call.inputs:
                call.layer.remove_call(call)
        self._steps = [Step(layer, (number,), (number + 1,)) for number, layer in enumerate(self._layers)]
        self._described = []
        if not self._layers:
            self._store = self.fitted_names = None
        super()._changed()

    def release(self) -> None:
        """Let all layers go, and take their weights from them: there will be no such network."""
        for layer in self._layers:
            layer.leaves(self)
            if not layer.networks:
                layer.forget_weights()

    def copied(self, memo: dict[int, Any]) -> Chain:
        other = Chain(self.name, self.seed)
        other.declared = deepcopy(self.declared, memo)
        other._layers = deepcopy(self._layers, memo)
        other._changed()
        other._built_shape = self._built_shape
        other.take_names(self)
        return other

    def remade(self, make: Callable[[Layer], Layer], seed: int) -> Chain:
        other, made = Chain(self.name, seed), dict[int, Layer]()
        for layer in self.entries:
            if id(layer) not in made:
                made[id(layer)] = make(layer)
            other.add(made[id(layer)])
        if self._layers and self.input_shape is not None and other.input_shape is None:
            other.build((None, *self.input_shape))
        return other

    def _declare_input(self, layer: Layer) -> None:
        known = self.input_shape
        if known is not None:
            raise ConfigError(f"the model takes inputs of shape {known} already: it has one input; leave out {layer!r}")
        if self._layers:
            raise ConfigError(f"{layer!r} tells the shape of the model's inputs: put it before all layers")
        self.declared = layer

    # -- shapes -----------------------------------------------------------------------------------------

    def _declared_shapes(self) -> Sequence[Shape] | None:
        for layer in self.entries[:1]:
            if layer.given_shape is not None:
                return [layer.given_shape]
        return None if self._built_shape is None else [self._built_shape]

    @property
    def built_shape(self) -> Shape | None:
        """The shape of one row of inputs that `build` was told, which a configuration keeps."""
        return self._built_shape

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of the outputs for inputs of a shape; both with the rows, which are None.

        Raises:
            ConfigError: a layer does not take such inputs.
        """
        shape: tuple[int | None, ...] = (None, *without_rows(input_shape, "compute_output_shape"))
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def _unknown(self) -> str:
        if not self._layers:
            return "it has no layers; call model.add(layer)"
        return (
            "the shape of the inputs is not known yet: give the first layer input_dim=... or input_shape=..., "
            "call build(...), or fit"
        )

    def build(self, input_shape: Any = None) -> None:
        if not self._layers:
            raise ConfigError("the model has no layers yet: call model.add(layer)")
        if input_shape is not None:
            self._take_input_shape(input_shape)
        super().build()

    def _take_input_shape(self, input_shape: Any) -> None:
        rows = isinstance(input_shape, Sequence) and len(input_shape) > 1 and input_shape[0] is None
        shape = shape_of(input_shape[1:] if rows else input_shape, "build")
        known = self.input_shape
        if known is not None and known != shape:
            raise ConfigError(f"the model takes inputs of shape {known}, build was given {shape}")
        self._built_shape = shape

    # -- symbols ----------------------------------------------------------------------------------------

    def describe(self) -> None:
        self.symbols()

    def symbols(self) -> tuple[list[Symbol], list[Symbol]]:
        """Return the symbols of the input and of the output; the layers get theirs."""
        if not self._described:
            self.build()
            symbol = None if self.declared is None else self.declared.declared_symbol
            if symbol is None:
                (symbol,) = Call(self.declared).give(self.known_input_shapes())
            calls = [symbol.call]
            for step in self._steps:
                call = Call(step.layer, (symbol,))
                symbol = call.give([self.shapes[number] for number in step.outputs])[0]
                step.layer.add_call(call)
                calls.append(call)
            self._described = calls
        return [self._described[0].outputs[0]], [self._described[-1].outputs[0]]


def name_layer(layer: Layer, taken: set[str]) -> None:
    """Give a layer a name unless it has one.

    Raises:
        ConfigError: its name is taken, or cannot be one.
    """
    if not layer.name:
        layer.name = layer.free_name(taken)
    elif not is_name(layer.name):
        raise ConfigError(f"a layer's name is printable text of up to {MOST_NAME} characters, got {layer.name!r}")
    elif layer.name in taken:
        raise ConfigError(f"two layers are called {layer.name!r}; give them different names")
