"""Store: the named weights and states of a model in one aligned block that never moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbdl.errors import ConfigError, FileFormatError
from nbdl.program.tensor import Tensor

Floats = NDArray[np.float32]
LINE = 16  # floats in a cache line


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

    def __repr__(self) -> str:
        return f"<Weight {self.name}, shape={self.shape}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.value, dtype)

    @property
    def trained(self) -> bool:
        """Whether steps change it: it has a gradient, and its layer is not frozen."""
        return self.trainable and (self.layer is None or bool(self.layer.trainable))


class Store:
    """All weights of a model, contiguous: the trainable ones first, each on a cache line.

    Attributes:
        weights: in the order of creation, layer by layer.
        data: the block.
        trainable_size: floats that have a gradient, gaps included.
        stale: one word, not 0 once the model has other layers; compiled code that holds its address looks at it.
    """

    def __init__(self, weights: Iterable[Weight]) -> None:
        self.weights = list(weights)
        _refuse_others(self.weights)
        offset = 0
        for weight in sorted(self.weights, key=lambda weight: not weight.trainable):
            weight.tensor.offset = offset
            offset = end_of(weight)
        self.trainable_size = max((end_of(weight) for weight in self.weights if weight.trainable), default=0)
        self.size = offset
        self.data = aligned_zeros(offset)
        self.stale = np.zeros(1, np.int64)
        for weight in self.weights:
            weight.value = self.view(self.data, weight)

    def refuse_if_stale(self) -> None:
        """Raise RuntimeError if the model has other layers now, and these are no longer its weights."""
        if self.stale[0]:
            raise RuntimeError("the model has other layers now than when as_njit() was called: call it again")

    def view(self, block: Floats, weight: Weight) -> Floats:
        """A weight's part of a block laid out as the store."""
        start = weight.tensor.offset
        return block[start : start + weight.tensor.features].reshape(weight.tensor.shape)


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
        if weight.name not in shapes:
            raise FileFormatError(f"{where}: weights do not fit the model: missing {weight.name}")
        refuse_other_shape(weight.name, shapes[weight.name], weight.tensor.shape, where)


def refuse_other_shape(name: str, found: tuple[int, ...], expected: tuple[int, ...], where: str) -> None:
    """Raise FileFormatError if a file holds a weight in another shape than the model's."""
    if found != expected:
        raise FileFormatError(f"{where}: {name} has shape {found}, the model's has {expected}")


def end_of(weight: Weight) -> int:
    """Where the next weight may start."""
    return weight.tensor.offset + aligned(weight.tensor.features)
