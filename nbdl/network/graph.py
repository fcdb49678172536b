"""Graph: a network that is described by calling layers, and models, on symbols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, cast

from nbdl.errors import ConfigError
from nbdl.network.chain import name_layer
from nbdl.network.network import Network, Step
from nbdl.units.layer import Layer, Shape
from nbdl.units.symbol import Call, Symbol


class Graph(Network):
    """A network from input symbols to output symbols.

    Attributes:
        calls: of layers and models, in the order in which they were made; those of the inputs come first.
        inputs, results: the symbols of the inputs and of the outputs.
        added: symbols whose means over the rows are added to the loss.
    """

    def __init__(self, name: str, seed: int, inputs: Sequence[Symbol], outputs: Sequence[Symbol]) -> None:
        super().__init__(name, seed)
        self.inputs, self.results, self.added = list(inputs), list(outputs), list[Symbol]()
        if len({id(symbol) for symbol in inputs}) < len(inputs):
            raise ConfigError("a model's inputs are different symbols; one is named twice")
        self._scopes: dict[int, str] = {}
        self._lay_out()

    def _lay_out(self) -> None:
        """Number the tensors, and put all layers, those within models too, into steps."""
        self.calls = self._reached()
        self._name()
        self.numbers = {id(symbol): number for number, symbol in enumerate(self.inputs)}
        self._next = len(self.inputs)
        self._steps: list[Step] = []
        for call in self.calls:
            if any(id(symbol) in self.numbers for symbol in call.outputs):
                continue  # an input
            inner = network_of(call.layer)
            if inner is None:
                outputs = [self._number(symbol) for symbol in call.outputs]
                self._steps.append(Step(call.layer, self._of(call.inputs), tuple(outputs)))
            else:
                self._inline(call, inner)

    def _number(self, symbol: Symbol | None = None) -> int:
        number, self._next = self._next, self._next + 1
        if symbol is not None:
            self.numbers[id(symbol)] = number
        return number

    def _of(self, symbols: Sequence[Symbol]) -> tuple[int, ...]:
        return tuple(self.numbers[id(symbol)] for symbol in symbols)

    def _inline(self, call: Call, inner: Network) -> None:
        """Add the steps of a model that serves as a layer."""
        inner.users.add(self)
        known = dict(enumerate(self._of(call.inputs)))
        scope = self._scopes[id(call.layer)]
        for step in inner.steps:
            inputs = tuple(known[number] for number in step.inputs)
            outputs = tuple(self._number() for _ in step.outputs)
            known.update(zip(step.outputs, outputs, strict=True))
            self._steps.append(Step(step.layer, inputs, outputs, (scope, *step.scope)))
        for symbol, number in zip(call.outputs, inner.outputs, strict=True):
            self.numbers[id(symbol)] = known[number]

    def _reached(self) -> list[Call]:
        """The calls between inputs and outputs, in the order in which they were made.

        Raises:
            ConfigError: an output follows from an input that is not named.
        """
        named = {id(symbol) for symbol in self.inputs}
        found: dict[int, Call] = {id(symbol.call): symbol.call for symbol in self.inputs}
        wanted = [*self.results, *self.added]
        while wanted:
            symbol = wanted.pop()
            if id(symbol) in named or id(symbol.call) in found:
                continue
            call = found[id(symbol.call)] = symbol.call
            if not call.inputs:
                raise ConfigError(
                    f"the outputs follow from {symbol!r}, which is not among the inputs: name it there, too"
                )
            wanted += call.inputs
        first = [id(symbol.call) for symbol in self.inputs]
        return sorted(found.values(), key=lambda call: (id(call) not in first, call.number))

    def _name(self) -> None:
        """Give layers and models names of their own."""
        taken: set[str] = set()
        unnamed = []
        for layer in dict.fromkeys(call.layer for call in self.calls if call.layer is not None):
            if network_of(layer) is not None:
                self._scopes.setdefault(id(layer), free_name(layer.name, taken))
                taken.add(self._scopes[id(layer)])
            elif layer.name:
                name_layer(layer, taken)
                taken.add(layer.name)
            else:
                unnamed.append(layer)
        for layer in unnamed:
            name_layer(layer, taken)
            taken.add(layer.name)

    # -- the graph --------------------------------------------------------------------------------------

    @property
    def steps(self) -> Sequence[Step]:
        return self._steps

    @property
    def input_names(self) -> Sequence[str]:
        return self._names(self.inputs, "x")

    @property
    def outputs(self) -> Sequence[int]:
        return self._of(self.results)

    @property
    def output_names(self) -> Sequence[str]:
        return self._names(self.results, "y")

    def _names(self, symbols: Sequence[Symbol], otherwise: str) -> list[str]:
        names: list[str] = []
        for symbol in symbols:
            names.append(free_name(self.title(symbol.call.layer) or otherwise, set(names)))
        return names

    def title(self, layer: Any) -> str:
        """What a layer, or a model that serves as one, is called here."""
        return self._scopes.get(id(layer)) or str(getattr(layer, "name", ""))

    @property
    def penalties(self) -> Sequence[int]:
        return self._of(self.added)

    def add_penalty(self, symbol: Symbol) -> None:
        """Add the mean of a symbol over the rows to the loss."""
        self.added.append(symbol)
        try:
            self._lay_out()
        except ConfigError:
            self.added.pop()
            self._lay_out()
            raise
        self._changed()

    @property
    def layers(self) -> list[Layer]:
        return list(dict.fromkeys(call.layer for call in self.calls if call.layer is not None))

    @property
    def entries(self) -> list[Layer]:
        found: list[Layer] = []
        for layer in self.layers:
            inner = network_of(layer)
            found += [layer] if inner is None else inner.entries
        return list(dict.fromkeys(found))

    def _declared_shapes(self) -> Sequence[Shape]:
        return [symbol.row_shape for symbol in self.inputs]

    def _unknown(self) -> str:
        return "it has no layers: its outputs are its inputs"

    def symbols(self) -> tuple[list[Symbol], list[Symbol]]:
        return self.inputs, self.results

    def _keeps(self, layer: Layer) -> bool:
        return layer.placed

    # -- copies -----------------------------------------------------------------------------------------

    def copied(self, memo: dict[int, Any]) -> Graph:
        other = self.with_layers({id(layer): deepcopy(layer, memo) for layer in self.layers}, self.name, self.seed)
        other.take_names(self)
        return other

    def remade(self, make: Callable[[Layer], Layer], seed: int) -> Graph:
        layers: dict[int, Any] = {}
        for layer in self.layers:
            inner, model = network_of(layer), cast(Any, layer)
            layers[id(layer)] = make(layer) if inner is None else model.around(inner.remade(make, seed))
        return self.with_layers(layers, self.name, seed)

    def with_layers(self, layers: dict[int, Any], name: str, seed: int) -> Graph:
        """Return the same graph of other layers.

        Args:
            layers: by the id of the one that they stand for.
        """
        symbols: dict[int, Symbol] = {}
        for call in self.calls:
            layer = layers.get(id(call.layer))
            inputs = tuple(symbols[id(one)] for one in call.inputs if id(one) in symbols)
            if len(inputs) < len(call.inputs) or not inputs:  # an input, or what the graph was cut at
                layer = layer if layer is not None and getattr(layer, "declares_input", False) else None
                inputs = ()
            made = Call(layer, inputs)
            for old, new in zip(call.outputs, made.give(one.row_shape for one in call.outputs), strict=True):
                symbols[id(old)] = new
            if layer is not None and network_of(layer) is None:
                layer.add_call(made)
        graph = Graph(name, seed, [symbols[id(one)] for one in self.inputs], [symbols[id(one)] for one in self.results])
        for symbol in self.added:
            graph.add_penalty(symbols[id(symbol)])
        return graph


def network_of(layer: Any) -> Network | None:
    """Return the network of a model that serves as a layer; None for a layer."""
    found = None if isinstance(layer, Layer) else getattr(layer, "network", None)
    return found if isinstance(found, Network) else None


def free_name(name: str, taken: set[str]) -> str:
    """Return a name, with a number behind it if it is taken."""
    number, free = 1, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
