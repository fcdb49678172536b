"""Network: layers joined to a graph, with their weights."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nbdl.errors import ConfigError, MissingError
from nbdl.units.builder import Builder
from nbdl.units.layer import Layer, Shape
from nbdl.units.random import RandomStream, first_values
from nbdl.units.symbol import Symbol
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


@dataclass(frozen=True)
class Step:
    """A layer applied to tensors of a network.

    Attributes:
        inputs, outputs: the numbers of the tensors; those of the network's inputs come first, from 0.
        scope: names of the models that the layer lies in, from the outermost.
    """

    layer: Layer
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    scope: tuple[str, ...] = ()


class Network(Weighted):
    """Layers joined to a graph, with their weights: what everything below the models of users knows.

    Attributes:
        name: shown in `summary`.
        seed: from which all randomness follows.
        encoding: how rows became inputs, if the network was trained on encoded ones.
        fitted_names: the columns of the data frame that it was fitted on last.
        target_names: the columns of the targets, likewise.
        shapes: of one row of each tensor, by its number, once the network is built.
        listener: told of changes; held weakly, since it holds the network.
        users: networks that this one is part of, as a layer.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.seed = seed
        self.encoding: Encoding | None = None
        self.fitted_names: Names | None = None
        self.target_names: Names | None = None
        self.shapes: dict[int, Shape] = {}
        self._ends: tuple[list[Shape], list[Shape]] | None = None  # shapes of inputs and outputs, once it is built
        self._readers: dict[int, list[Layer]] = {}
        self.listener: weakref.ref[Listener] | None = None
        self.users: weakref.WeakSet[Network] = weakref.WeakSet()
        self._store: Store | None = None

    # -- the graph --------------------------------------------------------------------------------------

    @property
    def steps(self) -> Sequence[Step]:
        """The layers in an order in which each comes after those that it reads."""
        raise NotImplementedError

    @property
    def input_names(self) -> Sequence[str]:
        """The names of the inputs, whose tensors have the numbers from 0 on."""
        raise NotImplementedError

    @property
    def outputs(self) -> Sequence[int]:
        """The numbers of the tensors that are the outputs."""
        raise NotImplementedError

    @property
    def output_names(self) -> Sequence[str]:
        """The names of the outputs: of the layers that give them, with a number where one gives several."""
        raise NotImplementedError

    @property
    def penalties(self) -> Sequence[int]:
        """The numbers of tensors whose means over the rows are added to the loss."""
        return ()

    @property
    def layers(self) -> list[Layer]:
        """The layers as a user has put them together; a model that serves as one is one of them."""
        raise NotImplementedError

    @property
    def all_layers(self) -> list[Layer]:
        """Every layer once, those within models too, in the order of the steps."""
        return list(dict.fromkeys(step.layer for step in self.steps))

    @property
    def entries(self) -> list[Layer]:
        """All that a file tells of: the layers, those that declare inputs and those within models too."""
        raise NotImplementedError

    def copied(self, memo: dict[int, Any]) -> Network:
        """Return a network of copies of the layers, which bring the values of their weights.

        Args:
            memo: what `copy.deepcopy` has copied so far.
        """
        raise NotImplementedError

    def remade(self, make: Callable[[Layer], Layer], seed: int) -> Network:
        """Return a network of other layers, each made from one of this network's."""
        raise NotImplementedError

    @property
    def input_shapes(self) -> Sequence[Shape] | None:
        """The shapes of one row of each input, once known."""
        return self._declared_shapes() if self._ends is None else self._ends[0]

    def _declared_shapes(self) -> Sequence[Shape] | None:
        """The shapes of one row of each input that layers or `build` were told."""
        raise NotImplementedError

    @property
    def input_shape(self) -> Any:
        """The shape of one row of inputs, once known; of several inputs a list of them."""
        shapes = self.input_shapes
        return None if shapes is None else shapes[0] if len(shapes) == 1 else list(shapes)

    @property
    def output_shapes(self) -> list[Shape]:
        """The shapes of one row of each output.

        Raises:
            MissingError: they are not known yet.
        """
        if self._ends is None:
            self._refuse_unknown()
            self.build()
        assert self._ends is not None
        return self._ends[1]

    @property
    def output_shape(self) -> Any:
        """The shape of one row of outputs; of several outputs a list of them.

        Raises:
            MissingError: it is not known yet; so `hasattr` says no, and `getattr` gives its default.
        """
        shapes = self.output_shapes
        return shapes[0] if len(shapes) == 1 else shapes

    def _refuse_unknown(self) -> None:
        """Raise MissingError if the shape of the inputs is not known yet."""
        if not self.steps or self.input_shapes is None:
            raise MissingError(f"the model has no output shape yet: {self._unknown()}")

    def known_input_shapes(self) -> Sequence[Shape]:
        """The shapes of one row of the inputs.

        Raises:
            ConfigError: they are not known yet.
        """
        shapes = self.input_shapes
        if shapes is None:
            raise ConfigError(self._unknown())
        return shapes

    def _unknown(self) -> str:
        """Why there are no weights and shapes yet."""
        raise NotImplementedError

    def readers(self, number: int) -> list[Layer]:
        """The layers that first do more with a tensor than to move it."""
        known = self._readers.get(number)
        if known is None:
            moved, found = {number}, dict[Layer, None]()
            for step in self.steps:
                if moved.intersection(step.inputs):
                    if step.layer.moves_only:
                        moved.update(step.outputs)
                    else:
                        found[step.layer] = None
            known = self._readers[number] = list(found)
        return known

    def describe(self) -> None:
        """Have symbols for the layers, so that other networks can be made of them."""

    def symbols(self) -> tuple[list[Symbol], list[Symbol]]:
        """Return the symbols of the inputs and of the outputs."""
        raise NotImplementedError

    # -- building ---------------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._ends is not None

    def build(self, input_shape: Any = None) -> None:
        """Create the weights; layers that had some keep their values.

        Args:
            input_shape: the shape of one row; a leading None (the rows) is dropped.

        Raises:
            ConfigError: there are no layers, no input shape is known, a layer does not fit the one before it, or the
                device cannot run one.
        """
        if self.built:
            return
        from nbdl.engine.store import Store

        kept = [layer for layer in self.all_layers if self._keeps(layer)]
        old = {(id(one), weight.own_name): weight.value for one in self.all_layers for weight in one.weights}
        made, taken, shapes = self._shaped(kept)
        weights = [w for layer in self.all_layers for w in (layer.weights if layer in kept else made[id(layer)])]
        fresh = {id(weight) for several in made.values() for weight in several}
        self._fill(Store(weights), fresh, old)
        self.shapes = shapes
        self._ends = [*self.known_input_shapes()], [shapes[number] for number in self.outputs]
        given = {id(step.layer): [shapes[number] for number in step.outputs] for step in self.steps}
        for layer in self.all_layers:
            layer.joins(self)
            if layer not in kept:
                layer.take_weights(made[id(layer)], taken[id(layer)], given[id(layer)])
        listener = self._listener()
        if listener is not None:
            listener.weights_made()

    def _keeps(self, layer: Layer) -> bool:
        """Whether the weights of a layer stay where they are: other networks read them there."""
        return layer.placed and any(network is not self for network in layer.networks)

    def _shaped(
        self, kept: Sequence[Layer]
    ) -> tuple[dict[int, list[Weight]], dict[int, list[Shape]], dict[int, Shape]]:
        """Let each layer make its weights, but for those that keep theirs.

        Returns:
            The new weights and the shapes that each layer takes, by its id; the shapes of all tensors.
        """
        shapes = dict(enumerate(self.known_input_shapes()))
        made: dict[int, list[Weight]] = {}
        taken: dict[int, list[Shape]] = {}
        given: dict[int, tuple[Shape, ...]] = {}
        moved = set(shapes)  # tensors that are inputs, at most under another shape or order
        for step in self.steps:
            layer, takes = step.layer, [shapes[number] for number in step.inputs]
            if id(layer) not in taken:
                taken[id(layer)] = takes
                if layer in kept:
                    given[id(layer)] = layer.shapes_for(takes)
                    if layer.taken_shapes != takes:
                        raise ConfigError(self._used_twice(layer, layer.taken_shapes, takes))
                else:
                    made[id(layer)] = []
                    given[id(layer)] = layer.outputs(Builder(layer, made[id(layer)]), *takes)
                if len(given[id(layer)]) != len(step.outputs):
                    raise ConfigError(
                        f"layer {layer.name!r} gives {len(given[id(layer)])} outputs, and a Sequential passes one on: "
                        "call it on a symbol, and make a Model(inputs, outputs)"
                    )
            elif taken[id(layer)] != takes:
                raise ConfigError(self._used_twice(layer, taken[id(layer)], takes))
            if layer.input_limit is not None and not moved.issuperset(step.inputs):
                raise ConfigError(
                    f"{type(layer).__name__} {layer.name!r} takes integers, which a layer before it does not give: put "
                    "it first"
                )
            if layer.moves_only and moved.issuperset(step.inputs):
                moved.update(step.outputs)
            shapes.update(zip(step.outputs, given[id(layer)], strict=True))
        return made, taken, shapes

    def _used_twice(self, layer: Layer, first: Sequence[Shape], second: Sequence[Shape]) -> str:
        one, other = (", ".join(map(str, shapes)) for shapes in (first, second))
        return f"layer {layer.name!r} is used twice, with inputs {one} and {other}"

    def _fill(self, store: Store, fresh: set[int], old: dict[tuple[int, str], Any]) -> None:
        """Set initial values of new weights, or those that the layer had before."""
        for site, weight in enumerate(store.weights):
            if id(weight) not in fresh:
                continue
            kept = old.get((id(weight.layer), weight.own_name))
            if kept is not None and kept.shape == weight.value.shape:
                weight.value[...] = kept
            else:
                weight.value[...] = first_values(weight, RandomStream(self.seed, site))
        self._store = store

    def _changed(self) -> None:
        """Let go of what was made for other layers."""
        if self._store is not None:
            self._store.stale[0] = 1  # nets in compiled code have the former layers
        self.shapes = {}
        self._ends = None
        self._readers = {}
        self.target_names = None
        listener = self._listener()
        if listener is not None:
            listener.layers_changed()

    def _listener(self) -> Listener | None:
        return None if self.listener is None else self.listener()

    # -- weights ----------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The weights' memory; builds the network if need be."""
        if self._ends is None:
            self.build()
        assert self._store is not None
        return self._store

    @property
    def weights(self) -> list[Weight]:
        """All weights and states, layer by layer; empty until the shape of the inputs is known."""
        return self.store.weights if self.steps and self.input_shapes is not None else []

    def existing_weights(self) -> list[Weight]:
        return self.store.weights

    def named_weights(self) -> dict[str, Weight]:
        """All weights by the names that files have: those in models within this one begin with the model's."""
        scopes = {id(step.layer): step.scope for step in reversed(self.steps)}
        return {"/".join([*scopes.get(id(w.layer), ()), w.name]): w for w in self.weights}

    def _shown(self) -> str:
        return "the model"

    @property
    def trainable(self) -> bool:
        """Whether any layer is; setting it freezes all layers, or none, at once."""
        return any(layer.trainable for layer in self.all_layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.all_layers:
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
        for layer in (step.layer for step in self.steps):
            if layer.feature_names is not None:
                return layer.feature_names
            if layer.weights or layer._output_shape != self.input_shape:
                return None
        return None

    def take_names(self, other: Network) -> None:
        """Know of the columns what another network knows."""
        self.fitted_names = other.fitted_names
        self.target_names = other.target_names

    def rename_features(self, names: Sequence[str] | None) -> None:
        """Take other names for the columns of the inputs, or none."""
        for layer in self.all_layers:
            layer.feature_names = None
        self.fitted_names = None if names is None else tuple(names)
