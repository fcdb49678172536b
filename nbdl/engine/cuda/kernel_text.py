"""A CUDA kernel as data, and what it is launched with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ITEM_SIZE = {"float32": 4, "int32": 4, "uint8": 1}


@dataclass(frozen=True)
class KernelText:
    """A kernel before it is compiled: the same text for every compiler and for the simulator.

    Attributes:
        title: what it computes, for messages and tables.
        text: a module without imports; it defines `run`, and finds the names of `nbdl.engine.cuda.dialect`.
        parameters: the types of run's arguments: "float32*", "uint8*", "int32*", "int32", "uint32", "float32".
        threads: of a block.
    """

    title: str
    text: str
    parameters: tuple[str, ...]
    threads: int


@dataclass(frozen=True)
class Pointer:
    """A part of a block of device memory as a kernel's argument; offset and size count elements.

    Attributes:
        block: what a runtime's `allocate` gave.
        dtype: "float32", "uint8" or "int32".
    """

    block: Any
    offset: int
    size: int
    dtype: str = "float32"

    @property
    def start(self) -> int:
        """The first byte within the block."""
        return self.offset * ITEM_SIZE[self.dtype]
