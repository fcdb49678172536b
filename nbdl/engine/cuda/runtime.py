"""The runtime on a GPU: memory, copies, kernels, launches and graphs, by `cuda.core`.

There are two streams: one computes, one copies behind it. All calls are ordered on the first, unless they say so.
Memory is given back when nothing refers to it, but by the next call that may: a finalizer can run in any thread, also
one that has no device, or while a graph is captured, which a free would become a part of.
"""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from nbdl.engine.cuda import compiler, cublas
from nbdl.engine.cuda.base import Argument, BaseRuntime, Dimensions, Graph, LoadedKernel, Product, as_bytes
from nbdl.engine.cuda.failures import explained, found_error
from nbdl.engine.cuda.kernel_text import KernelText, Pointer
from nbdl.errors import DeviceError, DeviceLostError

STAGES, STAGE_SIZE = 4, 1 << 22


@dataclass(eq=False)
class Block:
    """Zeroed device memory.

    Attributes:
        size: in bytes.
        address: of its first byte on the device.
    """

    size: int
    address: int


@dataclass(eq=False)
class Mark:
    """A point of a stream; `keeps` is what the work before it needs."""

    event: Any
    keeps: tuple[Any, ...] = ()


@dataclass(eq=False)
class Stage:
    """Page-locked memory that uploads pass through; `copied` is the event after its last one."""

    memory: Any
    copied: Any = None


class CudaRuntime(BaseRuntime):
    """An NVIDIA GPU.

    Args:
        number: of the device, as CUDA counts.
    """

    def __init__(self, number: int) -> None:
        self._core, self._driver = import_module("cuda.core"), import_module("cuda.bindings.driver")
        self._number, self._local = number, threading.local()
        self._local.device = device = self._core.Device(number)
        device.set_current()
        super().__init__(device.name, tuple(device.compute_capability))
        own = self._core.StreamOptions(nonblocking=True)  # not ordered with other libraries' default stream
        self._compute, self._behind = device.create_stream(options=own), device.create_stream(options=own)
        self._stream = self._compute  # of launches; within a capture the graph's
        self._page_locked = self._core.LegacyPinnedMemoryResource()
        self._stages: deque[Stage] = deque()
        self._copies: deque[Mark] = deque()  # behind, not known to be done; they keep their memory alive
        self._unused: deque[Callable[[], None]] = deque()  # what closes buffers and graphs that nothing refers to
        self._configurations: dict[tuple[Dimensions, Dimensions], Any] = {}
        self._cublas: cublas.Cublas | None = None
        self._cublas_sought = False

    # -- memory -------------------------------------------------------------------------------------------

    def allocate(self, size: int) -> Block:
        """A block of zeroed device memory; it is given back with the last reference to it.

        Args:
            size: bytes.

        Raises:
            DeviceError: there is not enough memory.
        """
        with self._entered("memory is allocated"):
            self._give_back()
            buffer = self._buffer(size) or self._buffer_after_collecting(size)
            if buffer is None:
                raise self._out_of_memory(size, self.free_memory())
            buffer.fill(0, stream=self._compute)
            # A copy behind must not come before the memory is there and zeroed.
            self._behind.wait(self._compute.record())
            block = Block(size, int(buffer.handle))
            weakref.finalize(block, self._unused.append, buffer.close).atexit = False
            self._count(block)
            return block

    def _buffer(self, size: int) -> Any | None:
        try:
            return self._local.device.allocate(max(size, 1), stream=self._compute)
        except Exception as error:
            if "CUDA_ERROR_OUT_OF_MEMORY" in str(error):
                return None
            raise

    def _buffer_after_collecting(self, size: int) -> Any | None:
        """Models refer to themselves, so blocks of those no longer used may still wait for the garbage collector."""
        gc.collect()
        self._give_back()
        self._compute.sync()
        return self._buffer(size)

    def free_memory(self) -> int:
        """Bytes that can be allocated: the device's free ones, and what the driver keeps for this process."""
        with self._entered("memory is counted"):
            self._give_back()
            error, free, _total = self._driver.cuMemGetInfo()
            if problem := found_error(error):
                raise problem
            kept = getattr(self._local.device.memory_resource, "attributes", None)
            return int(free) + (kept.reserved_mem_current - kept.used_mem_current if kept is not None else 0)

    def pinned(self, size: int) -> Any:
        """A zeroed array of bytes that can be copied from while Python goes on: page-locked memory."""
        with self._entered("memory is allocated"):
            self._give_back()
            buffer = self._page_locked.allocate(max(size, 1))
            memory = (ctypes.c_uint8 * size).from_address(int(buffer.handle))
            weakref.finalize(memory, self._unused.append, buffer.close).atexit = False
            array = np.frombuffer(memoryview(memory), np.uint8)
            array.fill(0)
            return array

    def _give_back(self) -> None:
        while self._copies and self._copies[0].event.is_done:
            self._copies.popleft()
        while self._unused:
            self._unused.popleft()()

    # -- copies -------------------------------------------------------------------------------------------

    def upload(self, block: Block, offset: int, array: Any) -> None:
        """Copy an array into a block at an offset in bytes; the array may change as soon as this returns."""
        data = as_bytes(np.ascontiguousarray(array), block, offset)
        with self._entered("data are uploaded"):
            for start in range(0, data.nbytes, STAGE_SIZE):
                part, stage = data[start : start + STAGE_SIZE], self._free_stage()
                stage.memory[: part.nbytes] = part
                self._copy(block.address + offset + start, stage.memory.ctypes.data, part.nbytes, self._compute)
                stage.copied = self._compute.record(stage.copied)

    def _free_stage(self) -> Stage:
        if len(self._stages) < STAGES:
            self._stages.append(Stage(self.pinned(STAGE_SIZE)))
        else:
            self._stages.rotate(-1)
        stage = self._stages[-1]
        if stage.copied is not None:
            stage.copied.sync()
        return stage

    def download(self, block: Block, offset: int, array: Any) -> None:
        """Copy from a block at an offset in bytes into a C-contiguous array, after all work of the compute stream."""
        data = as_bytes(array, block, offset)
        with self._entered("data are downloaded"):
            self._copy(data.ctypes.data, block.address + offset, data.nbytes, self._compute)
            self._compute.sync()

    def copy_behind(self, block: Block, offset: int, pinned: Any, after: Mark | None = None) -> Mark:
        """Copy pinned memory into a block on the copy stream; the array must stay as it is until the mark is reached.

        Args:
            offset: in bytes.
            pinned: of `pinned`, or a part of it.
            after: a mark of the compute stream that the copy waits for.
        """
        data = as_bytes(pinned, block, offset)
        with self._entered("data are copied"):
            self._give_back()
            if after is not None:
                self._behind.wait(after.event)
            self._copy(block.address + offset, data.ctypes.data, data.nbytes, self._behind)
            self._copies.append(Mark(self._behind.record(), (block, pinned)))
            return self._copies[-1]

    def _copy(self, to: int, source: int, size: int, stream: Any) -> None:
        buffer = self._core.Buffer
        if size:
            buffer.from_handle(to, size).copy_from(buffer.from_handle(source, size), stream=stream)

    # -- order --------------------------------------------------------------------------------------------

    def mark(self) -> Mark:
        """A point of the compute stream: what was launched until now."""
        with self._entered("a mark is made"):
            return Mark(self._compute.record())

    def wait(self, mark: Mark) -> None:
        """Have the compute stream wait until a mark is reached; Python goes on."""
        with self._entered("a mark is waited for"):
            self._compute.wait(mark.event)

    def wait_host(self, mark: Mark) -> None:
        """Wait in Python until a mark is reached."""
        with self._entered("Python waits"):
            mark.event.sync()

    def synchronize(self) -> None:
        """Wait for all work of both streams."""
        with self._entered("Python waits"):
            self._compute.sync()
            self._behind.sync()
            self._give_back()

    def elapsed(self, function: Callable[[], None]) -> float:
        """Seconds that the device works on what a function launches."""
        with self._entered("time is taken"):
            timed = self._core.EventOptions(timing_enabled=True)
            start = self._compute.record(options=timed)
            function()
            end = self._compute.record(options=timed)
            end.sync()
            return float(end - start) / 1e3

    # -- launches -----------------------------------------------------------------------------------------

    def capture(self, function: Callable[[], None]) -> Graph:
        """See `BaseRuntime.capture`."""
        graph = super().capture(function)
        weakref.finalize(graph, self._unused.append, partial(self._close_graph, graph.recorded)).atexit = False
        return graph

    def _close_graph(self, graph: Any) -> None:
        self._compute.sync()  # it may still run
        graph.close()

    def replay(self, graph: Graph) -> None:
        """Run what was captured, after all that was launched before; Python goes on."""
        with self._entered("a graph is replayed"):
            graph.recorded.launch(self._compute)

    @property
    def cublas(self) -> str:
        """The version of the cuBLAS that `product` uses, or an empty string: then `product` must not be called."""
        if not self._cublas_sought:
            with self._entered("cuBLAS is started"):
                if not self._cublas_sought:
                    self._cublas = cublas.start(self)
                    self._cublas_sought = True
        return self._cublas.version if self._cublas is not None else ""

    def _load(self, text: KernelText) -> LoadedKernel:
        ptx = compiler.compile_ptx(text, self.cc)
        try:
            entry = self._entry(self._core.ObjectCode.from_ptx(ptx.text.encode(), name=text.title), ptx.entry)
        except Exception as error:
            raise self._explained(error) or DeviceError(f"{self.name} refused {text.title}: {error}") from error
        if entry.num_arguments != len(text.parameters):
            raise DeviceError(f"{text.title}: {entry.num_arguments} arguments were compiled, not {text.parameters}.")
        return LoadedKernel(text, entry)

    def _entry(self, module: Any, name: str) -> Any:
        """A kernel of a module of PTX, as machine code if the PTX is newer than the driver."""
        try:
            return self._loaded(module.get_kernel(name))
        except Exception as error:
            if "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" not in str(error):
                raise
        # By nvJitLink; where there is none this asks the driver, which refuses it as before.
        options = self._core.LinkerOptions(arch=f"sm_{self.cc[0]}{self.cc[1]}")
        return self._loaded(self._core.Linker(module, options=options).link("cubin").get_kernel(name))

    def _loaded(self, entry: Any) -> Any:
        """The driver loads a kernel at its first launch, which may be within a capture; have it do so now."""
        error, function = self._driver.cuKernelGetFunction(self._driver.CUkernel(int(entry.handle)))
        if problem := found_error(error) or found_error(self._driver.cuFuncLoad(function)[0]):
            raise problem
        return entry

    def _launch(self, kernel: LoadedKernel, grid: Dimensions, block: Dimensions, arguments: Sequence[Argument]) -> None:
        configuration = self._configurations.get((grid, block))
        if configuration is None:
            configuration = self._configurations[grid, block] = self._core.LaunchConfig(grid=grid, block=block)
        # cuda.core takes a Python int for an address, and NumPy's numbers by their type.
        values = [address(item) if isinstance(item, Pointer) else item for item in arguments]
        self._core.launch(self._stream, configuration, kernel.entry, *values)

    def _product(self, product: Product) -> None:
        if self._cublas is None:
            raise DeviceError("cuBLAS is not started; `cublas` starts it, before a capture, where it is found.")
        try:
            self._cublas.product(product, int(self._stream.handle))
        except DeviceError:
            self._compute.sync()  # where an earlier kernel has failed, the driver says so, and how
            raise

    def _record(self, function: Callable[[], None]) -> Any:
        builder = self._local.device.create_graph_builder()  # with a stream of its own
        collecting = gc.isenabled()
        gc.disable()  # another library's finalizers could free memory within the capture
        try:
            builder.begin_building()
            self._stream = builder.stream
            function()
            graph = builder.end_building().complete()
        finally:
            self._stream = self._compute
            builder.close()  # which ends a capture that failed
            if collecting:
                gc.enable()
        graph.upload(self._compute)
        return graph

    def _make_current(self) -> None:
        """Contexts belong to threads, and other libraries change them."""
        device = getattr(self._local, "device", None)
        if device is None:
            device = self._local.device = self._core.Device(self._number)
        device.set_current()

    def _explained(self, error: BaseException) -> DeviceError | None:
        clear = explained(error, self.name)
        if isinstance(clear, DeviceLostError):
            self.lost = str(clear)
        return clear


def address(pointer: Pointer) -> int:
    """Where a pointer points on the device."""
    return int(pointer.block.address) + pointer.start


_runtimes: dict[int, CudaRuntime] = {}
_lock = threading.Lock()


def _in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def runtime(number: int = 0) -> CudaRuntime:
    """The runtime of a device, one per process.

    Raises:
        DeviceError: there is no such device, or it cannot be used.
    """
    with _lock:
        if number not in _runtimes:
            try:
                _runtimes[number] = CudaRuntime(number)
            except Exception as error:
                raise explained(error, f"cuda:{number}") or DeviceError(
                    f"cuda:{number} cannot be used: {str(error).rstrip('.')}. `nbdl doctor` tells what there is."
                ) from error
        return _runtimes[number]
