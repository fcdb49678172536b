"""The data of a run on the device: all of it where it fits, else the batches of two graphs, by turns.

A kernel reads a row through the step's indices. Where the data is resident they are the rows' own; else they count
within a ring of two halves: while one graph works on its half, the next one's batches are gathered into pinned memory
and copied to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbdl.engine.cuda.kernel_text import ITEM_SIZE, Pointer
from nbdl.errors import DeviceError

Array = NDArray[Any]
RESIDENT_SHARE = 0.6  # of the free memory; the rest is for what comes later
CHUNK_BYTES = 64 << 20


def device_dtype(gathered: str | None) -> str:
    """How data lies on the device: bytes as bytes, a quarter of the memory; everything else as float32."""
    return "uint8" if gathered == "uint8" else "float32"


class Resident:
    """All rows of all inputs in device memory."""

    def __init__(self, runtime: Any, arrays: Sequence[Array], dtypes: Sequence[str]) -> None:
        self._pointers = []
        for array, dtype in zip(arrays, dtypes, strict=True):
            rows = array.reshape(len(array), -1)
            row_bytes = rows.shape[1] * ITEM_SIZE[dtype]
            block = runtime.allocate(max(1, len(rows) * row_bytes))
            some = max(1, CHUNK_BYTES // max(1, row_bytes))
            for first in range(0, len(rows), some):
                part = np.ascontiguousarray(rows[first : first + some], np.dtype(dtype))
                runtime.upload(block, first * row_bytes, part)
            self._pointers.append(Pointer(block, 0, rows.size, dtype))

    def pointer(self, number: int) -> Pointer:
        """The data of an input."""
        return self._pointers[number]

    def positions(self, turn: int, indices: Array) -> Array:
        """Where the rows with these indices lie, for the graph of that turn."""
        return indices

    def provide(self, turn: int, indices: Array) -> None:
        """Have these rows on the device before the next launch: they are."""

    def used(self, turn: int) -> None:
        """The launch that reads the turn's rows was made."""


class Streamed:
    """A ring of two halves, each with the batches of one graph."""

    def __init__(self, runtime: Any, arrays: Sequence[Array], dtypes: Sequence[str], rows: int) -> None:
        self.runtime, self.rows, self.dtypes = runtime, rows, list(dtypes)
        self.arrays = [array.reshape(len(array), -1) for array in arrays]
        self._pointers, self._pinned = [], []
        for array, dtype in zip(self.arrays, dtypes, strict=True):
            size = rows * array.shape[1]
            block = runtime.allocate(max(1, 2 * size * ITEM_SIZE[dtype]))
            self._pointers.append(Pointer(block, 0, 2 * size, dtype))
            self._pinned.append([runtime.pinned(max(1, size * ITEM_SIZE[dtype])).view(dtype) for _ in (0, 1)])
        self._copied: list[list[Any]] = [[], []]  # marks of the copies into each half
        self._read: list[Any] = [None, None]  # marks of the launches that read each half

    def pointer(self, number: int) -> Pointer:
        """The ring of an input."""
        return self._pointers[number]

    def positions(self, turn: int, indices: Array) -> Array:
        """Places in the ring, one after another."""
        return np.arange(indices.size).reshape(indices.shape) + turn % 2 * self.rows

    def provide(self, turn: int, indices: Array) -> None:
        """Gather the rows and have them copied, while the launches before go on."""
        half, count = turn % 2, indices.size
        for mark in self._copied[half]:  # the pinned memory is free once its last copy is over
            self.runtime.wait_host(mark)
        marks = []
        for array, pinned, pointer in zip(self.arrays, self._pinned, self._pointers, strict=True):
            width = array.shape[1]
            part = pinned[half][: count * width]
            part.reshape(count, width)[:] = array[indices.reshape(-1)]
            start = half * self.rows * width * ITEM_SIZE[pointer.dtype]
            marks.append(self.runtime.copy_behind(pointer.block, start, part, self._read[half]))
        for mark in marks:
            self.runtime.wait(mark)
        self._copied[half] = marks

    def used(self, turn: int) -> None:
        """The launch that reads the turn's rows was made: its half is free after it."""
        self._read[turn % 2] = self.runtime.mark()


def feed(runtime: Any, arrays: Sequence[Array], dtypes: Sequence[str], rows: int) -> Resident | Streamed:
    """The data of a run; `rows` are those of one graph."""
    size = sum(array.size * ITEM_SIZE[dtype] for array, dtype in zip(arrays, dtypes, strict=True))
    if size <= RESIDENT_SHARE * runtime.free_memory():
        try:
            return Resident(runtime, arrays, dtypes)
        except DeviceError:
            if runtime.lost:
                raise
    return Streamed(runtime, arrays, dtypes, rows)
