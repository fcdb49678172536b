"""What `cuda.core`'s runtime and its simulated twin share: who may call, and what a launch is given."""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdl.engine.cuda.failures import REMEDIES
from nbdl.engine.cuda.kernel_text import ITEM_SIZE, KernelText, Pointer
from nbdl.errors import DeviceError, DeviceLostError

GRID_LIMITS = (2**31 - 1, 65535, 65535)
Dimensions = tuple[int, ...]
Argument = Any  # Pointer | np.int32 | np.uint32 | np.float32


@dataclass(frozen=True, eq=False)
class LoadedKernel:
    """A kernel that can be launched.

    Attributes:
        text: what it was made of.
        entry: what the runtime launches.
    """

    text: KernelText
    entry: Any


@dataclass(eq=False)
class Graph:
    """Recorded launches. `keeps` are the blocks and kernels that they refer to."""

    recorded: Any
    keeps: list[Any]


@dataclass(frozen=True)
class Product:
    """A matrix product, see `BaseRuntime.product`."""

    a: Pointer
    b: Pointer
    out: Pointer
    m: int
    n: int
    k: int
    lda: int
    ldb: int
    transpose_a: bool = False
    transpose_b: bool = False
    tf32: bool = False

    @property
    def kind(self) -> tuple[Any, ...]:
        """What a library chooses a kernel by: sizes, strides, and how far pointers are from 16 bytes."""
        sizes = (self.m, self.n, self.k, self.lda, self.ldb, self.transpose_a, self.transpose_b, self.tf32)
        return *sizes, *(pointer.start % 16 for pointer in (self.a, self.b, self.out))


class Entered:
    """Within it a thread has the runtime's lock and the device; CUDA's errors leave it explained."""

    def __init__(self, runtime: BaseRuntime, refused: str) -> None:
        self.runtime, self.refused = runtime, refused

    def __enter__(self) -> None:
        runtime = self.runtime
        runtime._check_usable()  # before the lock, which nobody would release in a forked child
        runtime.lock.acquire()
        try:
            runtime._check_usable()
            if self.refused and runtime._keeps is not None:
                raise DeviceError(f"Within a capture {self.refused}; that must happen before or after it.")
            runtime._make_current()
        except BaseException as error:
            self.__exit__(None, error, None)
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:  # other threads come in once it is known that the device is lost
            if error is not None and (clear := self.runtime._explained(error)) is not None:
                raise clear from error
        finally:
            self.runtime.lock.release()


class BaseRuntime:
    """The part of a runtime that needs no device.

    Attributes:
        name: of the device.
        cc: its compute capability.
        simulated: whether Python runs the kernels.
        lock: held by callers over a whole run; every method takes it too.
        peak: bytes, the most that `allocated` has been.
        lost: why the device cannot be used any more, or an empty string.
    """

    simulated = False

    def __init__(self, name: str, cc: tuple[int, int]) -> None:
        self.name, self.cc = name, cc
        self.lock = threading.RLock()
        self.lost, self.peak = "", 0
        self._pid = os.getpid()
        self._blocks: weakref.WeakSet[Any] = weakref.WeakSet()
        self._kernels: dict[tuple[str, tuple[str, ...], int], LoadedKernel] = {}
        self._keeps: list[Any] | None = None  # what a capture refers to, while there is one
        self._warm: set[tuple[Any, ...]] = set()  # kinds of products that have run outside captures

    @property
    def allocated(self) -> int:
        """Bytes of device memory in blocks that are alive."""
        return sum(block.size for block in self._blocks)

    @property
    def cublas(self) -> str:
        """The version of the cuBLAS that `product` uses, or an empty string: then `product` must not be called."""
        return ""

    def kernel(self, text: KernelText) -> LoadedKernel:
        """The kernel of a text, compiled and loaded; the same object for the same text.

        Raises:
            DeviceError: within a capture, or if the device refuses the kernel.
            ConfigError: the text cannot be compiled.
        """
        key = text.text, text.parameters, text.threads
        if key not in self._kernels:
            with self._entered("a kernel is loaded"):
                if key not in self._kernels:
                    self._kernels[key] = self._load(text)
        return self._kernels[key]

    def launch(self, kernel: LoadedKernel, grid: Dimensions, block: Dimensions, arguments: Sequence[Argument]) -> None:
        """Run a kernel, or record it within a capture.

        Args:
            grid: blocks, one to three numbers.
            block: threads of a block, one to three numbers.
            arguments: a `Pointer` for each pointer of the kernel's parameters, else `np.int32`, `np.uint32`,
                `np.float32`.

        Raises:
            TypeError, ValueError: an argument, the grid or the block does not fit the kernel.
            DeviceError: the device refuses the launch.
        """
        check_launch(kernel.text, grid, block, arguments)
        with self._entered():
            if self._keeps is not None:
                self._keeps += kernel, *arguments
            self._launch(kernel, grid, block, arguments)

    def product(
        self,
        a: Pointer,
        b: Pointer,
        out: Pointer,
        m: int,
        n: int,
        k: int,
        lda: int,
        ldb: int,
        transpose_a: bool = False,
        transpose_b: bool = False,
        tf32: bool = False,
    ) -> None:
        """out = op(a)·op(b) by cuBLAS, or record it within a capture. All matrices are row by row.

        Args:
            a: m × k, or k × m if it is transposed.
            b: k × n, or n × k if it is transposed.
            out: m × n, its rows beside each other.
            lda: elements from one row of a to the next.
            ldb: elements from one row of b to the next.
            tf32: round a and b to 10 bits of mantissa, for tensor cores.
        """
        check_matrix(a, (k, m) if transpose_a else (m, k), lda)
        check_matrix(b, (n, k) if transpose_b else (k, n), ldb)
        check_matrix(out, (m, n), n)
        product = Product(a, b, out, m, n, k, lda, ldb, transpose_a, transpose_b, tf32)
        with self._entered():
            if self._keeps is not None:
                self._keeps += a, b, out
            self._product(product)
            if self._keeps is None:
                self._warm.add(product.kind)

    def warm(self, a: Pointer, b: Pointer, out: Pointer, **sizes: Any) -> None:
        """Run a product if none of its kind has run outside a capture; its result's memory must be free for it.

        At its first run cuBLAS chooses a kernel and loads it, which is not for captures: call this before one.

        Args:
            a, b, out: as of `product`.
            sizes: its other arguments, by name.

        Raises:
            DeviceError: within a capture, or as `product`.
        """
        with self._entered("a product is run"):
            if Product(a, b, out, **sizes).kind not in self._warm:
                self.product(a, b, out, **sizes)

    def capture(self, function: Callable[[], None]) -> Graph:
        """What `function` launches, recorded and not run; `replay` runs it.

        Within it there may be launches and products alone: kernels are loaded, products are made `warm`, memory is
        allocated and filled before.
        """
        with self._entered("another capture begins"):
            keeps: list[Any] = []
            self._keeps = keeps
            try:
                return Graph(self._record(function), keeps)
            finally:
                self._keeps = None

    def _entered(self, refused: str = "") -> Entered:
        """For `with`; `refused` says what is attempted, if a capture does not allow it."""
        return Entered(self, refused)

    def _make_current(self) -> None:
        """The calling thread is to use this device."""

    def _explained(self, error: BaseException) -> DeviceError | None:
        return None

    def _load(self, text: KernelText) -> LoadedKernel:
        raise NotImplementedError

    def _launch(self, kernel: LoadedKernel, grid: Dimensions, block: Dimensions, arguments: Sequence[Argument]) -> None:
        raise NotImplementedError

    def _product(self, product: Product) -> None:
        raise NotImplementedError

    def _record(self, function: Callable[[], None]) -> Any:
        raise NotImplementedError

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise DeviceError(
                f"{self.name} was opened before this process was forked, and a child cannot use it. "
                "Start processes by multiprocessing's 'spawn' or 'forkserver', or use device=\"cpu\" in the child."
            )
        if self.lost:
            raise DeviceLostError(self.lost)

    def _count(self, block: Any) -> None:
        self._blocks.add(block)
        self.peak = max(self.peak, self.allocated)

    def _out_of_memory(self, size: int, free: int) -> DeviceError:
        return DeviceError(
            f"Not enough memory on {self.name}: {readable(size)} are asked for, {readable(free)} are free, "
            f"{readable(self.allocated)} are in use by this process's models. {REMEDIES['CUDA_ERROR_OUT_OF_MEMORY']}"
        )


def readable(size: int) -> str:
    """A size in bytes for people.

    >>> readable(5_000_000)
    '5.0 MB'
    """
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(size) >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def check_launch(text: KernelText, grid: Dimensions, block: Dimensions, arguments: Sequence[Argument]) -> None:
    """Refuse what a device would run into, or worse, would not notice."""
    if not 1 <= len(grid) <= 3 or any(not 1 <= n <= most for n, most in zip(grid, GRID_LIMITS, strict=False)):
        raise ValueError(f"{text.title}: a grid of {grid} blocks cannot be launched.")
    if not 1 <= len(block) <= 3 or min(block) < 1 or math.prod(block) > text.threads:
        raise ValueError(f"{text.title}: {block} threads do not fit; a block has at most {text.threads}.")
    if len(arguments) != len(text.parameters):
        raise TypeError(f"{text.title}: takes {len(text.parameters)} arguments, not {len(arguments)}.")
    for index, (parameter, argument) in enumerate(zip(text.parameters, arguments, strict=True)):
        if isinstance(argument, Pointer):
            actual = f"{argument.dtype}*"
            check_pointer(argument)
        else:
            actual = argument.dtype.name if isinstance(argument, np.generic) else type(argument).__name__
        if actual != parameter:
            raise TypeError(f"{text.title}: argument {index} is {actual}, not {parameter}.")


def check_pointer(pointer: Pointer) -> None:
    """Refuse a pointer that reaches beyond its block."""
    end = pointer.start + pointer.size * ITEM_SIZE[pointer.dtype]
    if pointer.size < 0 or pointer.start < 0 or end > pointer.block.size:
        raise ValueError(
            f"A pointer to {pointer.size} {pointer.dtype} at {pointer.offset} leaves its block: {pointer}."
        )


def check_matrix(pointer: Pointer, shape: tuple[int, int], stride: int) -> None:
    """Refuse a matrix that is larger than what is pointed to."""
    rows, columns = shape
    check_pointer(pointer)
    if pointer.dtype != "float32" or min(shape) < 1 or stride < columns:
        raise ValueError(f"{shape} {pointer.dtype}, rows {stride} apart, is not a matrix.")
    if (rows - 1) * stride + columns > pointer.size:
        raise ValueError(
            f"A matrix {shape}, rows {stride} apart, is larger than the {pointer.size} elements pointed to."
        )


def as_bytes(array: Any, block: Any, offset: int) -> Any:
    """An array's own memory as bytes, checked against where it goes in a block."""
    if not array.flags.c_contiguous:
        raise ValueError("An array must be C-contiguous to be copied.")
    if offset < 0 or offset + array.nbytes > block.size:
        raise ValueError(f"{array.nbytes} bytes at {offset} reach beyond a block of {block.size}.")
    return array.reshape(-1).view(np.uint8)
