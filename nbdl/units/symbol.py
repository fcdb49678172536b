"""Symbols: what layers give when a network is described, before there are any rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbdl.errors import ConfigError

Shape = tuple[int, ...]


class Described:
    """What has no numbers yet, so that arithmetic on it is refused, with what to write."""

    def _refused(self, *_: Any) -> Any:
        raise ConfigError(
            f"{self!r} is a description, and no array: layers are called on it, such as Dense(3)(x), Add()([x, y]) or "
            "Multiply()([x, y]); a scalar function of it is Lambda(function)(x)"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refused
    __matmul__ = __rmatmul__ = __pow__ = __neg__ = _refused


class Symbol(Described):
    """A tensor of a network that is being described: what a layer gives for each row.

    Attributes:
        call: what gives it.
        index: which of the call's outputs it is.
        row_shape: of one row.
    """

    dtype = "float32"

    def __init__(self, call: Call, index: int, row_shape: Shape) -> None:
        self.call = call
        self.index = index
        self.row_shape = row_shape

    @property
    def shape(self) -> tuple[int | None, ...]:
        """The shape with the rows first, which are None."""
        return (None, *self.row_shape)

    @property
    def name(self) -> str:
        """The name of the layer that gives it."""
        return str(getattr(self.call.layer, "name", "")) or "input"

    def __repr__(self) -> str:
        return f"<Symbol {self.name}, shape={self.shape}>"

    __getitem__ = __array__ = __float__ = __bool__ = Described._refused
    __iter__ = None  # else `list(symbol)` would ask for items


@dataclass(eq=False)
class Call:
    """A layer, or a model, that was called on symbols.

    Attributes:
        layer: it; an input's is the layer that declares it, or None.
        inputs: what it was called on; empty for an input of a network.
        outputs: what it gives.
        number: the larger, the later it was made.
    """

    layer: Any
    inputs: tuple[Symbol, ...] = ()
    outputs: tuple[Symbol, ...] = ()
    number: int = field(default_factory=itertools.count().__next__)

    def give(self, shapes: Iterable[Shape]) -> tuple[Symbol, ...]:
        """Make the outputs, of these shapes of a row; return them."""
        self.outputs = tuple(Symbol(self, index, shape) for index, shape in enumerate(shapes))
        return self.outputs


def as_symbol(value: Any) -> Symbol | None:
    """Return the symbol that a value is or, as a layer that declares an input, stands for; None for anything else."""
    if not isinstance(value, Symbol) and getattr(value, "declares_input", False):
        value = value.declared_symbol
    return value if isinstance(value, Symbol) else None


def is_symbolic(value: Any) -> bool:
    """Return whether a value is a symbol, or a list, tuple or dict with one in it."""
    if isinstance(value, Mapping):
        return any(map(is_symbolic, value.values()))
    if isinstance(value, list | tuple):
        return any(map(is_symbolic, value))
    return as_symbol(value) is not None


def symbols_in(value: Any, where: str) -> list[Symbol]:
    """Return the symbols of a value, one or several in a list, tuple or dict, in order.

    Raises:
        ConfigError: there is something else in it, or nothing.
    """
    several = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
    found = []
    for one in several:
        symbol = as_symbol(one)
        if symbol is None:
            raise ConfigError(f"{where}: symbols are wanted, such as Input(shape=(4,)) or Dense(3)(x), got {one!r}")
        found.append(symbol)
    if not found:
        raise ConfigError(f"{where}: one symbol or more is wanted, such as Input(shape=(4,)), got {value!r}")
    return found
