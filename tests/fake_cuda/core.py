"""The part of `cuda.core` and `cuda.bindings.driver` that the runtime uses, with their names and signatures."""

from __future__ import annotations

import itertools
import time
import types
from dataclasses import dataclass
from functools import partial
from typing import Any

from fake_cuda import machine as machines
from fake_cuda.machine import CudaError, Memory, Misuse, current

_handles = itertools.count(0x1000)


@dataclass
class StreamOptions:
    nonblocking: bool = True
    priority: int | None = None


@dataclass
class EventOptions:
    timing_enabled: bool = False
    blocking_sync: bool = False
    ipc_enabled: bool = False


@dataclass(frozen=True)
class LaunchConfig:
    grid: tuple[int, ...]
    block: tuple[int, ...]


class Event:
    def __init__(self, timed: bool) -> None:
        self.point, self.timed, self.time = machines.Event(), timed, 0.0

    def sync(self) -> None:
        current().call("event.sync")
        if not self.point.passed:
            self.point.stream.run_until(self.point)

    @property
    def is_done(self) -> bool:
        current().call("event.is_done")
        return self.point.passed

    def __sub__(self, other: Event) -> float:
        if not (self.timed and other.timed):
            raise CudaError("CUDA_ERROR_INVALID_HANDLE: the events record no time")
        return (self.time - other.time) * 1e3


class Stream:
    def __init__(self) -> None:
        self.queue = current().stream()
        self.handle = next(_handles)
        _streams[self.handle] = self

    def sync(self) -> None:
        current().call("stream.sync")
        if self.queue.captured is not None:
            raise Misuse("a stream that captures is waited for")
        self.queue.run()

    def record(self, event: Event | None = None, options: EventOptions | None = None) -> Event:
        current().call("stream.record")
        if event is None:
            event = Event(options is not None and options.timing_enabled)
        event.time = time.perf_counter()
        self.queue.record(event.point)
        return event

    def wait(self, event_or_stream: Event) -> None:
        current().call("stream.wait")
        self.queue.wait(event_or_stream.point)


_streams: dict[int, Stream] = {}


def stream_at(handle: int) -> Stream:
    """What a handle stands for."""
    return _streams[handle]


class Buffer:
    def __init__(self, address: int, size: int, memory: Memory | None = None, stream: Stream | None = None) -> None:
        self.handle, self.size = address, size
        self._memory, self._stream = memory, stream

    @staticmethod
    def from_handle(ptr: int, size: int, mr: Any = None, owner: Any = None, *, stream: Any = None) -> Buffer:
        return Buffer(ptr, size)

    def copy_from(self, src: Buffer, *, stream: Stream, options: Any = None) -> None:
        machine = current()
        machine.call("copy")
        if self.size != src.size:
            raise ValueError("buffer sizes mismatch between src and dst")
        to, source, size = self.handle, src.handle, self.size
        stream.queue.put(lambda: machine.copy(to, source, size))

    def fill(self, value: int, *, stream: Stream) -> None:
        machine = current()
        machine.call("fill")
        address, size = self.handle, self.size
        stream.queue.put(lambda: machine.at(address, size, True).fill(value))

    def close(self, stream: Stream | None = None) -> None:
        machine = current()
        if (memory := self._memory) is not None:
            machine.call("free")
            if machine.capturing:
                raise Misuse("memory is freed within a capture")
            self._memory = None
            if self._stream is None:
                machine.free(memory)  # page-locked memory: at once, even if a copy still reads it
            else:
                self._stream.queue.put(lambda: machine.free(memory))


class _Pool:
    @property
    def attributes(self) -> Any:
        machine = current()
        return types.SimpleNamespace(reserved_mem_current=machine.reserved, used_mem_current=machine.used)


class Device:
    def __init__(self, device_id: int | None = None) -> None:
        number = device_id or 0
        if not 0 <= number < current().devices:
            raise ValueError(f"device_id must be within [0, {current().devices}), got {number}")
        self.device_id, self.name, self.compute_capability = number, "Fake GPU", (9, 0)
        self.memory_resource = _Pool()
        self._ready = False

    def set_current(self, ctx: Any = None) -> None:
        current().make_current()
        self._ready = True

    def _check_ready(self) -> None:
        if not self._ready:
            raise CudaError(
                f"Device {self.device_id} is not yet initialized, perhaps you forgot to call .set_current()?"
            )

    def create_stream(self, obj: Any = None, options: StreamOptions | None = None) -> Stream:
        self._check_ready()
        current().call("create_stream")
        return Stream()

    def allocate(self, size: int, *, stream: Stream) -> Buffer:
        self._check_ready()
        current().call("allocate")
        memory = current().allocate(size, True)
        return Buffer(memory.address, size, memory, stream)

    def create_graph_builder(self) -> GraphBuilder:
        self._check_ready()
        return GraphBuilder(Stream())


class LegacyPinnedMemoryResource:
    def allocate(self, size: int, *, stream: Any = None) -> Buffer:
        current().call("allocate pinned")
        memory = current().allocate(size, False)
        return Buffer(memory.address, size, memory)


class Kernel:
    def __init__(self, index: int) -> None:
        self.index = index
        self.num_arguments = len(current().parameter_sizes(index))
        self.handle = next(_handles)
        current().kernels[self.handle] = self


class ObjectCode:
    def __init__(self, index: int, ptx: bool) -> None:
        self._index, self._ptx = index, ptx

    @staticmethod
    def from_ptx(module: bytes, *, name: str = "", symbol_mapping: Any = None) -> ObjectCode:
        return ObjectCode(int(module.decode().removeprefix("// fake ")), True)

    def get_kernel(self, name: str) -> Kernel:
        current().call("get_kernel")
        if current().capturing:
            raise Misuse("a kernel is loaded within a capture")
        if self._ptx:
            _check_driver_takes_ptx()
        return Kernel(self._index)


def _check_driver_takes_ptx() -> None:
    if current().old_driver:
        raise CudaError("CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the PTX was compiled with an unsupported toolchain")


@dataclass
class LinkerOptions:
    arch: str


class Linker:
    """nvJitLink where it is installed, else the driver's linker."""

    def __init__(self, *object_codes: ObjectCode, options: LinkerOptions) -> None:
        (self._code,) = object_codes
        if options.arch != "sm_90":
            raise Misuse(f"machine code for {options.arch} is made on a device of sm_90")
        if not current().nvjitlink:
            _check_driver_takes_ptx()

    def link(self, target_type: str) -> ObjectCode:
        assert target_type == "cubin"
        current().call("link", context=False)
        return ObjectCode(self._code._index, False)


def launch(stream: Stream, config: LaunchConfig, kernel: Kernel, *kernel_args: Any) -> None:
    machine = current()
    machine.call("launch")
    if kernel.handle not in machine.loaded:
        raise Misuse("a kernel is launched that the driver has not loaded yet")
    packed = machine.packed(kernel.index, kernel_args)
    stream.queue.put(lambda: machine.run_kernel(kernel.index, config.grid, config.block, packed))


class GraphBuilder:
    def __init__(self, stream: Stream) -> None:
        self._stream, self._state = stream, "not started"

    @property
    def stream(self) -> Stream:
        return self._stream

    def begin_building(self, mode: str = "relaxed") -> GraphBuilder:
        current().call("begin capture")
        if self._state != "not started":
            raise RuntimeError("Graph builder is already building.")
        self._stream.queue.captured, self._state = [], "building"
        current().capturing += 1
        return self

    def end_building(self) -> GraphBuilder:
        current().call("end capture")
        if self._state != "building":
            raise RuntimeError("Graph builder is not building.")
        self._work, self._stream.queue.captured, self._state = self._stream.queue.captured, None, "ended"
        current().capturing -= 1
        return self

    def complete(self, options: Any = None) -> Graph:
        current().call("instantiate")
        if self._state != "ended":
            raise RuntimeError("Graph has not finished building.")
        return Graph(self._work)

    def close(self) -> None:
        if self._state == "building":
            self._stream.queue.captured = None
            current().capturing -= 1
        self._state = "closed"


class Graph:
    def __init__(self, work: list[Any]) -> None:
        self._work: list[Any] | None = work

    def upload(self, stream: Stream) -> None:
        current().call("graph.upload")

    def launch(self, stream: Stream) -> None:
        current().call("graph.launch")
        if self._work is None:
            raise Misuse("a graph is launched after it was closed")
        for work in self._work:
            stream.queue.put(partial(self._run, work))

    def _run(self, work: Any) -> None:
        if self._work is None:
            raise Misuse("a graph is closed while it runs")
        work()

    def close(self) -> None:
        self._work = None


class _Result(int):
    """A CUresult."""

    name = "CUDA_SUCCESS"

    @staticmethod
    def of(error: CudaError) -> _Result:
        result = _Result(1)
        result.name = str(error).partition(":")[0]
        return result


def cuMemGetInfo() -> tuple[Any, ...]:
    machine = current()
    try:
        machine.call("cuMemGetInfo")
    except CudaError as error:
        return _Result.of(error), 0, 0
    return _Result(0), machine.size - machine.reserved, machine.size


def cuKernelGetFunction(kernel: int) -> tuple[Any, ...]:
    return _Result(0), kernel


def cuFuncLoad(function: int) -> tuple[Any, ...]:
    machine = current()
    try:
        machine.call("cuFuncLoad")
    except CudaError as error:
        return (_Result.of(error),)
    machine.loaded.add(int(function))
    return (_Result(0),)


def modules() -> dict[str, types.ModuleType]:
    """What takes the place of the installed modules."""
    core, driver = types.ModuleType("cuda.core"), types.ModuleType("cuda.bindings.driver")
    for item in (
        StreamOptions,
        EventOptions,
        LaunchConfig,
        Buffer,
        Device,
        LegacyPinnedMemoryResource,
        LinkerOptions,
        Linker,
        ObjectCode,
        launch,
    ):
        setattr(core, item.__name__, item)
    for function in (cuMemGetInfo, cuKernelGetFunction, cuFuncLoad):
        setattr(driver, function.__name__, function)
    driver.CUkernel = int
    packages = {name: types.ModuleType(name) for name in ("cuda", "cuda.bindings")}
    return {**packages, "cuda.core": core, "cuda.bindings.driver": driver}
