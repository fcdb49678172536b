"""Weights: named, in blocks of memory that never move; and the store of those that a network reads."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbdl.errors import ConfigError, FileFormatError, NbdlError
from nbdl.program.tensor import Tensor

Floats = NDArray[np.float32]
LINE = 16  # floats in a cache line
PLACE_BITS = 40  # of an offset: the bits above number a block
PLACES = (1 << PLACE_BITS) - 1
_numbers = itertools.count()


def aligned(size: int) -> int:
    """A size rounded up to whole cache lines."""
    return -(-size // LINE) * LINE


def aligned_zeros(size: int) -> Floats:
    """Zeros that start on a cache line."""
    raw = np.zeros(max(size, 1) + LINE, np.float32)
    start = -(raw.ctypes.data // 4) % LINE
    return raw[start : start + max(size, 1)]


@dataclass(eq=False, repr=False)
class Weight:
    """One weight or state of a layer.

    Attributes:
        tensor: how programs name it.
        own_name: the name within the layer, which stays when the layer is renamed.
        trainable: whether it has a gradient (a state has none).
        regularizer, constraint: units, or None.
    """

    tensor: Tensor
    layer: Any
    initializer: Any
    trainable: bool = True
    regularizer: Any = None
    constraint: Any = None
    value: Floats = field(default_factory=lambda: aligned_zeros(0))
    own_name: str = ""
    block: Block | None = None  # that has its memory, once it has some
    within: tuple[Any, ...] = ()  # layers within the layer, from the outermost, that it is a weight of

    @property
    def name(self) -> str:
        """layer/weight, as files name it."""
        return self.tensor.name

    @property
    def path(self) -> str:
        """The same as `name`, as Keras 3 calls it."""
        return self.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.tensor.shape

    @property
    def dtype(self) -> str:
        """The type of the numbers: "float32"."""
        return str(self.value.dtype)

    def numpy(self) -> Floats:
        """A copy of the value."""
        return self.value.copy()

    def assign(self, value: Any) -> None:
        """Set the value.

        Raises:
            ConfigError: it has another shape, or holds something else than numbers.
        """
        self.value[...] = self.checked(value)

    def checked(self, value: Any) -> NDArray[Any]:
        """Return a value as an array that the weight can be set to.

        Raises:
            ConfigError: it has another shape, or holds something else than numbers.
        """
        array = np.asarray(value)
        if array.shape != self.shape:
            raise ConfigError(f"{self.name} has shape {self.shape}, the given array {array.shape}")
        if not np.issubdtype(array.dtype, np.number):
            raise ConfigError(f"{self.name}: weights are numbers, the given array holds {array.dtype}")
        return array

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the block: a copy has values of its own."""
        return {**self.__dict__, "block": None}

    def __repr__(self) -> str:
        return f"<Weight {self.name}, shape={self.shape}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.value, dtype)

    @property
    def trained(self) -> bool:
        """Whether steps change it: it has a gradient, and its layer is not frozen."""
        return self.trainable and (
            self.layer is None or all(bool(layer.trainable) for layer in (self.layer, *self.within))
        )


class Block:
    """Weights that were made together, in one aligned piece of memory that never moves: the trainable ones first.

    Attributes:
        weights: in the order of creation.
        start: of their offsets. An offset names a block and a place in it, so no two blocks share one.
        data: the memory.
        trainable_size: floats that have a gradient, gaps included.
    """

    def __init__(self, weights: Iterable[Weight]) -> None:
        self.weights = list(weights)
        _refuse_others(self.weights)
        self.start = next(_numbers) << PLACE_BITS
        size = 0
        for weight in sorted(self.weights, key=lambda weight: not weight.trainable):
            weight.tensor.offset = self.start + size
            size += aligned(weight.tensor.features)
        self.trainable_size = sum(aligned(weight.tensor.features) for weight in self.weights if weight.trainable)
        self.data = aligned_zeros(size)[:size]
        for weight in self.weights:
            first = weight.tensor.offset - self.start
            weight.value = self.data[first : first + weight.tensor.features].reshape(weight.tensor.shape)
            weight.block = self

    def copied(self) -> Block:
        """Return memory of its own with the same values and offsets; weights keep the first one."""
        other = copy.copy(self)
        other.data = aligned_zeros(len(self.data))[: len(self.data)]
        other.data[:] = self.data
        return other


class Store:
    """All weights that a network reads: of one block, or of several where layers are shared with other networks.

    Gradients and slots of all blocks lie one after another, each laid out as the trainable weights of its block.

    Args:
        weights: in the order of the network's layers. Those without a block get a new one.

    Attributes:
        blocks: each once, in the order of the weights.
        size: floats of all blocks.
        trainable_size: floats that have a gradient, gaps included.
        stale: one word, not 0 once the network has other layers; compiled code that holds its address looks at it.
    """

    def __init__(self, weights: Iterable[Weight]) -> None:
        self.weights = list(weights)
        made = [weight for weight in self.weights if weight.block is None]
        if made:
            Block(made)
        self.blocks = list(dict.fromkeys(weight.block for weight in self.weights if weight.block is not None))
        self.size = sum(len(block.data) for block in self.blocks)
        self.trainable_size = sum(block.trainable_size for block in self.blocks)
        self._by_number = {block.start >> PLACE_BITS: block for block in self.blocks}
        self._first: dict[int, int] = {}  # of a block's gradients, by its number
        first = 0
        for number, block in self._by_number.items():
            self._first[number] = first
            first += block.trainable_size
        self.stale = np.zeros(1, np.int64)

    @property
    def data(self) -> Floats:
        """The memory of the only block."""
        (block,) = self.blocks or [Block([])]
        return block.data

    @property
    def address(self) -> int:
        """The address of the first block: what others are reached from."""
        return int(self.blocks[0].data.ctypes.data) if self.blocks else 0

    def part(self, offset: int, size: int) -> Floats:
        """Return the memory of weights at an offset.

        Raises:
            NbdlError: there are fewer.
        """
        block = self._by_number.get(offset >> PLACE_BITS)
        first = offset & PLACES
        if offset < 0 or block is None or first + size > len(block.data):
            raise NbdlError(f"engine: {size} floats at {offset} lie outside of the weights")
        return block.data[first : first + size]

    def gradient_offset(self, offset: int) -> int:
        """Return where the gradient of the weight at an offset lies, and the weight's part of each slot."""
        return self._first[offset >> PLACE_BITS] + (offset & PLACES)

    def view(self, area: Floats, weight: Weight) -> Floats:
        """Return a trainable weight's part of gradients or of a slot."""
        start = self.gradient_offset(weight.tensor.offset)
        return area[start : start + weight.tensor.features].reshape(weight.tensor.shape)

    def copied(self) -> Store:
        """Return a store of the same weights with memory of its own."""
        other = copy.copy(self)
        other.blocks = [block.copied() for block in self.blocks]
        other._by_number = {block.start >> PLACE_BITS: block for block in other.blocks}
        return other

    def restore(self, other: Store) -> None:
        """Take the values of a copy."""
        for block, kept in zip(self.blocks, other.blocks, strict=True):
            block.data[:] = kept.data

    def refuse_if_stale(self) -> None:
        """Raise RuntimeError if the model has other layers now, and these are no longer its weights."""
        if self.stale[0]:
            raise RuntimeError("the model has other layers now than when as_njit() was called: call it again")


# -- weights of a file ------------------------------------------------------------------------------------

_file: ContextVar[tuple[Mapping[str, tuple[int, ...]], str] | None] = ContextVar("weights of a file", default=None)


@contextmanager
def only_weights(shapes: Mapping[str, tuple[int, ...]], where: str) -> Iterator[None]:
    """Within, refuse a store whose weights a file does not hold, before it takes memory.

    A file is as large as the weights that it holds, but its layers may ask for any number of them.
    """
    token = _file.set((shapes, where))
    try:
        yield
    finally:
        _file.reset(token)


def _refuse_others(weights: list[Weight]) -> None:
    file = _file.get()
    if file is None:
        return
    shapes, where = file
    for weight in weights:
        found = [
            shape for name, shape in shapes.items() if f"/{name}".endswith(f"/{weight.name}")
        ]  # within a model too
        if not found:
            raise FileFormatError(f"{where}: weights do not fit the model: missing {weight.name}")
        if weight.tensor.shape not in found:
            refuse_other_shape(weight.name, found[0], weight.tensor.shape, where)


def refuse_other_shape(name: str, found: tuple[int, ...], expected: tuple[int, ...], where: str) -> None:
    """Raise FileFormatError if a file holds a weight in another shape than the model's."""
    if found != expected:
        raise FileFormatError(f"{where}: {name} has shape {found}, the model's has {expected}")


def end_of(weight: Weight) -> int:
    """Where the next weight may start."""
    return weight.tensor.offset + aligned(weight.tensor.features)
