"""Network: layers one after another, joined with their weights."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nbdl.errors import ConfigError, MissingError
from nbdl.storage.schema import MOST_NAME, is_name
from nbdl.units.builder import Builder
from nbdl.units.layer import Layer, Shape, shape_of, snake_case, without_rows
from nbdl.units.random import RandomStream, first_values
from nbdl.units.weighted import Weighted

if TYPE_CHECKING:
    from nbdl.data.columns import Names
    from nbdl.data.encoding import Encoding
    from nbdl.engine.store import Store, Weight


class Listener(Protocol):
    """What follows the changes of a network."""

    def layers_changed(self) -> None:
        """The network has other layers: what was made for the former ones is of no use."""

    def weights_made(self) -> None:
        """The network has just been built."""


class Network(Weighted):
    """Layers one after another, with their weights: what everything below the models of users knows.

    Attributes:
        name: shown in `summary`.
        seed: from which all randomness follows.
        encoding: how rows became inputs, if the network was trained on encoded ones.
        fitted_names: the columns of the data frame that it was fitted on last.
        target_names: the columns of the targets, likewise.
        shapes: of one row of each layer's outputs, once it is built.
        listener: told of changes; held weakly, since it holds the network.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.seed = seed
        self.encoding: Encoding | None = None
        self.fitted_names: Names | None = None
        self.target_names: Names | None = None
        self.shapes: list[Shape] = []
        self.listener: weakref.ref[Listener] | None = None
        self.input: Layer | None = None  # an `Input` that was added before all layers
        self._layers: list[Layer] = []
        self._store: Store | None = None
        self._built_shape: Shape | None = None  # of the inputs, where `build` was told

    # -- layers -----------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order, without an `Input`: it only tells the shape of the inputs."""
        return list(self._layers)

    @property
    def entries(self) -> list[Layer]:
        """What was added: the layers, after an `Input`."""
        return [*([] if self.input is None else [self.input]), *self._layers]

    def add(self, layer: Layer) -> None:
        """Append a layer; it gets a name unless it has one.

        Raises:
            ConfigError: it does not fit the layers before it, or belongs to another network.
        """
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ConfigError(f"add an instance: {layer.__name__}(...), not the class {layer.__name__}")
        if not isinstance(layer, Layer):
            raise ConfigError(f"a model is made of layers, got {layer!r}")
        self._refuse_foreign(layer)
        if layer not in self._layers:
            self._name(layer)
        if layer.declares_input:
            self._declare_input(layer)
            return
        if self._layers and layer.given_shape is not None and self.shapes and layer.given_shape != self.shapes[-1]:
            raise ConfigError(
                f"{type(layer).__name__} {layer.name!r} says input_shape={layer.given_shape}, but layer "
                f"{self._layers[-1].name!r} outputs (None, {', '.join(map(str, self.shapes[-1]))})"
            )
        self._layers.append(layer)
        self._changed()
        if self.input_shape is not None:
            try:
                self.build()
            except ConfigError:
                self.pop()
                raise

    def pop(self) -> Layer:
        """Remove the last layer and return it; its weights stay with it."""
        if not self._layers:
            raise ConfigError("the model has no layers to remove")
        layer = self._layers.pop()
        if layer not in self._layers:
            layer._network = None
        self._changed()
        return layer

    def release(self) -> None:
        """Let all layers go, and take their weights from them: there will be no such network."""
        for layer in self._layers:
            layer._network = layer._weights = layer._output_shape = layer._taken_shape = None

    def take_entries(self, declared: Layer | None, layers: Sequence[Layer]) -> None:
        """Have the entries of another network, copied: they keep their names, and bring the values of their weights."""
        self.input = declared
        self._layers = list(layers)

    def take_facts(self, other: Network) -> None:
        """Know of the inputs and the columns what another network knows."""
        self._built_shape = other._built_shape
        self.fitted_names = other.fitted_names
        self.target_names = other.target_names

    def _declare_input(self, layer: Layer) -> None:
        known = self.input_shape
        if known is not None:
            raise ConfigError(f"the model takes inputs of shape {known} already: it has one input; leave out {layer!r}")
        if self._layers:
            raise ConfigError(f"{layer!r} tells the shape of the model's inputs: put it before all layers")
        self.input = layer

    def _name(self, layer: Layer) -> None:
        taken = {other.name for other in self.entries}
        if not layer.name:
            base, number = snake_case(type(layer).__name__), 1
            while f"{base}_{number}" in taken:
                number += 1
            layer.name = f"{base}_{number}"
        elif not is_name(layer.name):
            raise ConfigError(f"a layer's name is printable text of up to {MOST_NAME} characters, got {layer.name!r}")
        elif layer.name in taken:
            raise ConfigError(f"two layers are called {layer.name!r}; give them different names")

    def _refuse_foreign(self, layer: Layer) -> None:
        """A layer of another network would lose its values there, or begin again here."""
        owner = None if layer._network is None else layer._network()
        if layer._network is None or owner is self:
            return
        whose = "a model that is gone" if owner is None else f"model {owner.name!r}"
        raise ConfigError(
            f"layer {layer.name!r} belongs to {whose}; a layer's weights live in one model: use copy.deepcopy(model), "
            "or a new layer and set_weights"
        )

    def _changed(self) -> None:
        if self._store is not None:
            self._store.stale[0] = 1  # nets in compiled code have the former layers
        if not self._layers:
            self._store = self.fitted_names = None
        self.shapes = []
        self.target_names = None
        listener = self._listener()
        if listener is not None:
            listener.layers_changed()

    def _listener(self) -> Listener | None:
        return None if self.listener is None else self.listener()

    # -- shapes -----------------------------------------------------------------------------------------

    @property
    def input_shape(self) -> Shape | None:
        """The shape of one row of inputs, once known."""
        for layer in self.entries[:1]:
            if layer.given_shape is not None:
                return layer.given_shape
        return self._built_shape

    @property
    def built_shape(self) -> Shape | None:
        """The shape of one row of inputs that `build` was told, which a configuration keeps."""
        return self._built_shape

    @property
    def output_shape(self) -> Shape:
        """The shape of one row of outputs.

        Raises:
            MissingError: it is not known yet; so `hasattr` says no, and `getattr` gives its default.
        """
        if not self._layers or self.input_shape is None:
            raise MissingError(f"the model has no output shape yet: {self._unknown()}")
        self.build()
        return self.shapes[-1]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """The shape of the outputs for inputs of a shape; both with the rows, which are None.

        Raises:
            ConfigError: a layer does not take such inputs.
        """
        shape: tuple[int | None, ...] = (None, *without_rows(input_shape, "compute_output_shape"))
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def known_input_shape(self) -> Shape:
        """The shape of one row of inputs.

        Raises:
            ConfigError: it is not known yet.
        """
        shape = self.input_shape
        if shape is None:
            raise ConfigError(self._unknown())
        return shape

    def _unknown(self) -> str:
        """Why there are no weights and shapes yet."""
        if not self._layers:
            return "it has no layers; call model.add(layer)"
        return (
            "the shape of the inputs is not known yet: give the first layer input_dim=... or input_shape=..., "
            "call build(...), or fit"
        )

    # -- building ---------------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._store is not None and len(self.shapes) == len(self._layers)

    def build(self, input_shape: Any = None) -> None:
        """Create the weights; layers that had some keep their values.

        Args:
            input_shape: the shape of one row; a leading None (the rows) is dropped.

        Raises:
            ConfigError: there are no layers, no input shape is known, a layer does not fit the one before it, or the
                device cannot run one.
        """
        if not self._layers:
            raise ConfigError("the model has no layers yet: call model.add(layer)")
        if input_shape is not None:
            self._take_input_shape(input_shape)
        if self.built:
            return
        from nbdl.engine.store import Store

        for layer in self._layers:
            self._refuse_foreign(layer)
        weights: list[Weight] = []
        taken, shapes = self._shaped(weights)
        self._fill(Store(weights))
        self.shapes = shapes
        for layer, shape in zip(self._layers, shapes, strict=True):
            layer._network = weakref.ref(self)
            layer._output_shape = shape
            layer._taken_shape = taken[id(layer)]
            layer._weights = [weight for weight in weights if weight.layer is layer]
        listener = self._listener()
        if listener is not None:
            listener.weights_made()

    def _take_input_shape(self, input_shape: Any) -> None:
        rows = isinstance(input_shape, Sequence) and len(input_shape) > 1 and input_shape[0] is None
        shape = shape_of(input_shape[1:] if rows else input_shape, "build")
        known = self.input_shape
        if known is not None and known != shape:
            raise ConfigError(f"the model takes inputs of shape {known}, build was given {shape}")
        self._built_shape = shape

    def _shaped(self, weights: list[Weight]) -> tuple[dict[int, Shape], list[Shape]]:
        """Let each layer add its weights to these; return the shape that each takes, and those that they give."""
        shape = self.known_input_shape()
        shapes: list[Shape] = []
        taken: dict[int, Shape] = {}
        outputs: dict[int, Shape] = {}
        for layer in self._layers:
            if id(layer) not in taken:
                taken[id(layer)] = shape
                outputs[id(layer)] = layer.outputs(Builder(layer, weights), shape)
            elif taken[id(layer)] != shape:
                raise ConfigError(f"layer {layer.name!r} is used twice, with inputs {taken[id(layer)]} and {shape}")
            if layer.input_limit is not None and not all(earlier.moves_only for earlier in self._layers[: len(shapes)]):
                raise ConfigError(
                    f"{type(layer).__name__} {layer.name!r} takes integers, which a layer before it does not give: put "
                    "it first"
                )
            shape = outputs[id(layer)]
            shapes.append(shape)
        return taken, shapes

    def _fill(self, store: Store) -> None:
        """Set initial values, or those that the layer had before."""
        old = {(id(one), weight.own_name): weight.value for one in self._layers for weight in one.weights}
        for site, weight in enumerate(store.weights):
            kept = old.get((id(weight.layer), weight.own_name))
            if kept is not None and kept.shape == weight.value.shape:
                weight.value[...] = kept
            else:
                weight.value[...] = first_values(weight, RandomStream(self.seed, site))
        self._store = store

    # -- weights ----------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The weights' memory; builds the network if need be."""
        self.build()
        assert self._store is not None
        return self._store

    @property
    def weights(self) -> list[Weight]:
        """All weights and states, layer by layer; empty until the shape of the inputs is known."""
        return self.store.weights if self._layers and self.input_shape is not None else []

    def existing_weights(self) -> list[Weight]:
        return self.store.weights

    def _shown(self) -> str:
        return "the model"

    @property
    def trainable(self) -> bool:
        """Whether any layer is; setting it freezes all layers, or none, at once."""
        return any(layer.trainable for layer in self._layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._layers:
            layer.trainable = value

    # -- names of columns -------------------------------------------------------------------------------

    @property
    def feature_names(self) -> Names | None:
        """The names of the columns of the inputs: of the last fit, of the encoding, or those that a layer knows."""
        encoded = self.encoding.features if self.encoding is not None else None
        return self.fitted_names or encoded or self.adapted_names or None

    @property
    def adapted_names(self) -> Names | None:
        """The names of the columns that a layer took statistics of, where the inputs reach it column by column."""
        for layer in self._layers:
            if layer.feature_names is not None:
                return layer.feature_names
            if layer.weights or layer._output_shape != self.input_shape:
                return None
        return None

    def rename_features(self, names: Sequence[str] | None) -> None:
        """Take other names for the columns of the inputs, or none."""
        for layer in self._layers:
            layer.feature_names = None
        self.fitted_names = None if names is None else tuple(names)
