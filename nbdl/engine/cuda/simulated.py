"""The runtime without a GPU: NumPy's memory and Numba's CUDA simulator, which runs each thread as Python.

It is strict where a GPU is silent: a kernel that indexes outside its pointers raises, also below zero. Copies on the
copy stream happen when somebody waits for them, not before, so that a missing wait gives wrong data here too.
"""

from __future__ import annotations

import functools
import importlib
import linecache
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, FunctionType
from typing import Any

import numpy as np

from nbdl.engine.cuda import dialect
from nbdl.engine.cuda.base import Argument, BaseRuntime, Dimensions, Graph, LoadedKernel, Product, as_bytes
from nbdl.engine.cuda.kernel_text import ITEM_SIZE, KernelText, Pointer
from nbdl.engine.denormals import flushed
from nbdl.errors import KernelError
from nbdl.program.language.explain import author_line, failed

MOST_THREADS = 32  # of a block: each is a thread of Python
QUICK = 1e-5  # seconds until Python switches threads
COMPUTE_CAPABILITY = (9, 0)

# Beside the kernel and not around its launch: each of the simulator's threads has settings of its own.
QUIET = """

def nbdl_run(*arguments):
    with nbdl_quiet():
        run(*arguments)
"""


@dataclass(frozen=True, eq=False)
class Mark:
    """A point of a stream: how many copies were asked for when it was made."""

    copies: int


class Block:
    """Simulated device memory: zeroed bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.memory = np.zeros(size, np.uint8)

    def view(self, pointer: Pointer) -> Any:
        """What a pointer points to, and nothing beside it."""
        size = pointer.size * ITEM_SIZE[pointer.dtype]
        return self.memory[pointer.start : pointer.start + size].view(pointer.dtype)


class SimulatedRuntime(BaseRuntime):
    """The simulator as a device.

    Attributes:
        limit: of the memory in bytes, for tests; None is no limit.
        library: the version of cuBLAS that `cublas` tells of, for tests: `product` is always there, by NumPy.
    """

    simulated = True

    def __init__(self) -> None:
        super().__init__("Numba's CUDA simulator", COMPUTE_CAPABILITY)
        self.limit: int | None = None
        self.library = ""
        self._scope = dialect.scope("simulator")
        _one_shared_array()
        self._recorded: list[Callable[[], None]] | None = None
        self._copies: deque[Callable[[], None]] = deque()
        self._asked = self._copied = 0  # of the copy stream

    @property
    def cublas(self) -> str:
        """What tests have set as `library`."""
        return self.library

    def allocate(self, size: int) -> Block:
        """A block of zeroed device memory.

        Args:
            size: bytes.

        Raises:
            DeviceError: `limit` does not allow it.
        """
        with self._entered("memory is allocated"):
            if size > self.free_memory():
                raise self._out_of_memory(size, self.free_memory())
            block = Block(size)
            self._count(block)
            return block

    def free_memory(self) -> int:
        """Bytes that can be allocated."""
        return sys.maxsize if self.limit is None else self.limit - self.allocated

    def upload(self, block: Block, offset: int, array: Any) -> None:
        """Copy an array into a block at an offset in bytes, after all that was launched."""
        with self._entered("data are uploaded"):
            block.memory[offset : offset + array.nbytes] = as_bytes(np.ascontiguousarray(array), block, offset)

    def download(self, block: Block, offset: int, array: Any) -> None:
        """Copy from a block at an offset in bytes into an array, after all that was launched."""
        with self._entered("data are downloaded"):
            as_bytes(array, block, offset)[:] = block.memory[offset : offset + array.nbytes]

    def replay(self, graph: Graph) -> None:
        """Run what was captured."""
        with self._entered("a graph is replayed"):
            for step in graph.recorded:
                step()

    def synchronize(self) -> None:
        """Wait for all work of both streams."""
        with self._entered("Python waits"):
            self._copy_until(self._asked)

    def pinned(self, size: int) -> Any:
        """A zeroed array of bytes that can be copied from while Python goes on."""
        return np.zeros(size, np.uint8)

    def copy_behind(self, block: Block, offset: int, pinned: Any, after: Mark | None = None) -> Mark:
        """Copy pinned memory into a block on the copy stream; the array must stay as it is until the mark is reached.

        Args:
            offset: in bytes.
            after: a mark of the compute stream that the copy waits for.
        """
        data = as_bytes(pinned, block, offset)
        with self._entered("data are copied"):

            def copy() -> None:
                block.memory[offset : offset + data.nbytes] = data

            self._copies.append(copy)
            self._asked += 1
            return Mark(self._asked)

    def mark(self) -> Mark:
        """A point of the compute stream: what was launched until now."""
        with self._entered("a mark is made"):
            return Mark(0)

    def wait(self, mark: Mark) -> None:
        """Have the compute stream wait until a mark is reached."""
        with self._entered("a mark is waited for"):
            self._copy_until(mark.copies)

    def wait_host(self, mark: Mark) -> None:
        """Wait in Python until a mark is reached."""
        self.wait(mark)

    def elapsed(self, function: Callable[[], None]) -> float:
        """Seconds that the device works on what a function launches."""
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    def _load(self, text: KernelText) -> LoadedKernel:
        scope = {**dialect.scope("simulator"), "nbdl_quiet": _settings}
        source, filename = text.text + QUIET, f"<{text.title} {len(self._kernels)}>"
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        exec(compile(source, filename, "exec"), scope)
        return LoadedKernel(text, scope["cuda"].jit(scope["nbdl_run"]))

    def _launch(self, kernel: LoadedKernel, grid: Dimensions, block: Dimensions, arguments: Sequence[Argument]) -> None:
        if math.prod(block) > MOST_THREADS:
            raise ValueError(
                f"{kernel.text.title}: the simulator runs at most {MOST_THREADS} threads a block, not {block}."
            )
        array = _strict_array(self._scope["cuda"])
        views = [array(item.block.view(item)) if isinstance(item, Pointer) else item for item in arguments]

        def run() -> None:
            try:
                with _quick_threads():
                    kernel.entry[grid, block](*views)
            except Exception as error:
                error.add_note(f"in the kernel {kernel.text.title!r}")
                raise self._told(error, kernel.text) or error from None

        self._run_or_record(run)

    def _told(self, error: Exception, text: KernelText) -> KernelError | None:
        """An error of a hand-written body, at its author's line."""

        def author_of(frame: FrameType, line: int) -> tuple[FunctionType, int] | None:
            return author_line(text.text, line) if frame.f_code.co_filename.startswith(f"<{text.title} ") else None

        return failed(error, text.title, author_of)

    def _product(self, product: Product) -> None:
        def run() -> None:
            with _settings():
                product_of(product, [item.block.view(item) for item in (product.a, product.b, product.out)])

        self._run_or_record(run)

    def _record(self, function: Callable[[], None]) -> list[Callable[[], None]]:
        recorded: list[Callable[[], None]] = []
        self._recorded = recorded
        try:
            function()
        finally:
            self._recorded = None
        return recorded

    def _run_or_record(self, step: Callable[[], None]) -> None:
        if self._recorded is None:
            step()
        else:
            self._recorded.append(step)

    def _copy_until(self, count: int) -> None:
        while self._copied < count:
            self._copies.popleft()()
            self._copied += 1


def product_of(product: Product, memory: Sequence[Any]) -> None:
    """A product by NumPy, of flat arrays."""
    a, b, out = memory
    m, n, k = product.m, product.n, product.k
    left = _matrix(a, k, m, product.lda).T if product.transpose_a else _matrix(a, m, k, product.lda)
    right = _matrix(b, n, k, product.ldb).T if product.transpose_b else _matrix(b, k, n, product.ldb)
    _matrix(out, m, n, n)[:] = np.einsum("ij,jk->ik", left, right)  # as in the reference, without threads


def _matrix(flat: Any, rows: int, columns: int, stride: int) -> Any:
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), (stride * flat.itemsize, flat.itemsize))


@contextmanager
def _settings() -> Iterator[None]:
    """Arithmetic as on a GPU: it raises nothing, and denormals count as zero."""
    with np.errstate(all="ignore"), flushed():
        yield


@contextmanager
def _quick_threads() -> Iterator[None]:
    """The simulator polls its threads; by Python's default each poll may take 5 ms from them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(QUICK)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _one_shared_array() -> None:
    """Give all threads of a block the same array for a place in a kernel.

    The simulator looks for it and then adds it, so two threads can come to have two; and two arrays of one line, by
    which it looks, would be one. This is the only private name of
    the simulator in use; where it is gone, kernels run as the simulator runs them.
    """
    shared = getattr(importlib.import_module("numba.cuda.simulator.kernelapi"), "FakeCUDAShared", None)
    if shared is None or not hasattr(shared, "array"):
        return

    def array(self: Any, shape: Any, dtype: Any) -> Any:
        frame = sys._getframe(1)
        key = frame.f_code, frame.f_lasti
        return self._allocations.setdefault(key, np.empty(shape, dtype))  # which is atomic

    shared.array = array


@functools.cache
def _strict_array(cuda: Any) -> Any:
    """The simulator's own array type, which it takes as it is, with indices below zero refused.

    Arrays of NumPy it would copy and copy back, so that two pointers to the same place would be two places.
    """
    array = type(cuda.device_array(1, np.uint8))

    class StrictArray(array):  # type: ignore[misc, valid-type]
        def __getitem__(self, index: Any) -> Any:
            return super().__getitem__(_not_negative(index))

        def __setitem__(self, index: Any, value: Any) -> None:
            super().__setitem__(_not_negative(index), value)

    return StrictArray


def _not_negative(index: Any) -> Any:
    if index < 0:  # NumPy counts from the end; a GPU reads what lies before
        raise IndexError(f"index {index} is below zero")
    return index


_runtime: list[SimulatedRuntime] = []
_lock = threading.Lock()


def runtime() -> SimulatedRuntime:
    """The simulator's runtime of this process."""
    with _lock:
        if not _runtime:
            _runtime.append(SimulatedRuntime())
        return _runtime[0]
