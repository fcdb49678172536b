"""Placed: where a layer stands: the networks that it is part of, its calls on symbols, its weights."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl.errors import ConfigError, MissingError
from nbdl.units.symbol import Call, Shape, Symbol
from nbdl.units.weighted import Weighted

if TYPE_CHECKING:
    from nbdl.engine.store import Weight


class Placed(Weighted):
    """What a layer knows of the networks around it. A copy of the layer belongs to none."""

    takes_several: ClassVar[bool] = False
    _networks: weakref.WeakSet[Any] | None = None  # those that this layer is part of, once it is built
    _calls: tuple[Call, ...] = ()  # on symbols
    _weights: list[Weight] | None = None  # once they exist; they keep the model's memory alive
    _output_shape: Any = None  # of one row, once it is built; of several outputs a list of them
    _taken_shape: Any = None  # that of its inputs, likewise

    @property
    def declared_shape(self) -> Shape | None:
        """The shape of one row of the input that this layer declares; None if it declares none."""
        return None

    # -- calls on symbols -------------------------------------------------------------------------------

    @property
    def declared_symbol(self) -> Symbol | None:
        """The symbol of the input that this layer declares; None if it declares none."""
        shape = self.declared_shape
        if shape is None:
            return None
        if not self._calls:
            call = Call(self)
            call.give([shape])
            self._calls = (call,)
        return self._calls[0].outputs[0]

    def _only_call(self, name: str) -> Call:
        symbol = self.declared_symbol
        if symbol is not None:
            return symbol.call
        for network in self._networks or ():
            network.describe()
        if len(self._calls) != 1:
            found = "was not called on symbols" if not self._calls else f"was called {len(self._calls)} times"
            raise MissingError(f"{self._shown()} has no {name}: it {found}")
        return self._calls[0]

    def add_call(self, call: Call) -> None:
        """Remember a call on symbols."""
        self._calls = (*self._calls, call)

    def remove_call(self, call: Call) -> None:
        """Forget a call on symbols."""
        self._calls = tuple(one for one in self._calls if one is not call)

    # -- networks and weights ---------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the layer's weights exist."""
        return self._weights is not None

    @property
    def weights(self) -> list[Weight]:
        """This layer's weights and states, in the order in which `build` made them; empty until they exist."""
        return list(self._weights or ())

    @property
    def placed(self) -> bool:
        """Whether the weights exist and lie in a block."""
        return self._weights is not None and all(weight.block is not None for weight in self._weights)

    @property
    def networks(self) -> list[Any]:
        """The networks that this layer is part of."""
        return list(self._networks or ())

    @property
    def taken_shapes(self) -> list[Shape]:
        """The shapes of one row of the inputs that it was built for."""
        return list(self._taken_shape) if self.takes_several else [self._taken_shape]

    def joins(self, network: Any) -> None:
        """Become part of a network."""
        if self._networks is None:
            self._networks = weakref.WeakSet()
        self._networks.add(network)

    def leaves(self, network: Any) -> None:
        """Be part of a network no more."""
        if self._networks is not None:
            self._networks.discard(network)

    def take_weights(self, weights: list[Weight], taken: Sequence[Shape], given: Sequence[Shape]) -> None:
        """Have these weights, made for inputs and outputs of these shapes."""
        self._weights = weights
        self._taken_shape = list(taken) if self.takes_several else taken[0]
        self._output_shape = given[0] if len(given) == 1 else list(given)

    def forget_weights(self) -> None:
        """Have no weights: those that made them are gone."""
        self._weights = self._output_shape = self._taken_shape = None

    def existing_weights(self) -> list[Weight]:
        if self._weights is None:
            raise ConfigError(f"{self._shown()} has no weights yet: a model whose input shape is known makes them")
        return list(self._weights)
