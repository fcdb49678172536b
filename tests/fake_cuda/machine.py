"""The machine: memory, streams, kernels, failures."""

from __future__ import annotations

import ctypes
import re
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nbdl.engine.cuda import compiler, dialect, runtime, simulated
from nbdl.engine.cuda.kernel_text import KernelText

NEW, FREED = 0xAB, 0xCD
STICKY = {"CUDA_ERROR_ILLEGAL_ADDRESS", "CUDA_ERROR_LAUNCH_FAILED", "CUDA_ERROR_ECC_UNCORRECTABLE"}
SIZES = {"int32": 4, "uint32": 4, "float32": 4}


class Misuse(AssertionError):
    """What a GPU would punish without a word."""


class CudaError(Exception):
    """cuda.core's CUDAError: its text begins with the driver's name for the error."""


@dataclass(eq=False)
class Memory:
    """An allocation; it is never given back to the host, so that use after a free is seen."""

    array: Any
    device: bool
    freed: bool = False

    @property
    def address(self) -> int:
        return int(self.array.ctypes.data)


@dataclass(eq=False)
class Event:
    """A point of a stream; asked for again, it is another point."""

    stream: Stream | None = None
    passed: bool = True
    wanted: int = 0


@dataclass(eq=False)
class Stream:
    """A queue of work. While it captures, work goes to `captured` instead."""

    machine: Machine
    eager: bool = False
    queue: deque[Callable[[bool], bool]] = field(default_factory=deque)
    captured: list[Callable[[], None]] | None = None

    def put(self, work: Callable[[], None]) -> None:
        """Work that depends on nothing but what was put before."""

        def step(force: bool) -> bool:
            work()
            return True

        if self.captured is not None:
            self.captured.append(work)
        else:
            self.queue.append(step)
            self.machine.progress()

    def record(self, event: Event) -> None:
        self._check_not_capturing("an event is recorded")
        event.stream, event.passed, event.wanted = self, False, event.wanted + 1
        wanted = event.wanted

        def step(force: bool) -> bool:
            event.passed = event.passed or event.wanted == wanted
            return True

        self.queue.append(step)
        self.machine.progress()

    def wait(self, event: Event) -> None:
        self._check_not_capturing("an event is waited for")

        def step(force: bool) -> bool:
            if not event.passed and force:
                event.stream.run_until(event)
            return event.passed

        self.queue.append(step)
        self.machine.progress()

    def run(self, force: bool = True) -> None:
        """All that is queued; without `force`, as far as no other stream has to go on."""
        while self.queue and self.queue[0](force):
            self.queue.popleft()

    def run_until(self, event: Event) -> None:
        while not event.passed:
            if not self.queue[0](True):
                raise Misuse("a stream waits for itself")
            self.queue.popleft()

    def _check_not_capturing(self, what: str) -> None:
        if self.captured is not None:
            raise Misuse(f"{what} within a capture")


class Machine:
    """A host with fake GPUs.

    Args:
        size: bytes of a device's memory.
        eager: which streams work as soon as they can, in the order of their making; others as late as they may.
        devices: how many.
    """

    def __init__(self, size: int = 1 << 28, eager: tuple[int, ...] = (), devices: int = 1) -> None:
        self.size, self.eager, self.devices = size, eager, devices
        self.memories: dict[int, Memory] = {}
        self.used = self.reserved = 0
        self.streams: list[Stream] = []
        self.calls: Counter[str] = Counter()
        self.dead = ""
        self.texts: list[KernelText] = []
        self.ptx: dict[KernelText, str] = {}
        self.kernels: dict[int, Any] = {}
        self.loaded: set[int] = set()
        self.capturing = 0
        self.old_driver, self.nvjitlink = False, True
        self._failing: tuple[int, str] | None = None
        self._thread = threading.local()
        self._simulator: Any = None

    # -- calls --------------------------------------------------------------------------------------------

    def fail(self, after: int, code: str) -> None:
        """Have a call fail: the next one where `after` is 0."""
        self._failing = after, code

    def call(self, name: str, context: bool = True) -> None:
        """What every call of the driver does first."""
        self.calls[name] += 1
        if context and not getattr(self._thread, "current", False):
            raise CudaError(f"CUDA_ERROR_INVALID_CONTEXT: {name} in a thread without a current device")
        if self.dead:
            raise CudaError(f"{self.dead}: an earlier call failed for good")
        if self._failing is not None:
            left, code = self._failing
            self._failing = (left - 1, code) if left else None
            if left == 0:
                self.broke(code)

    def broke(self, code: str) -> None:
        self.dead = code if code in STICKY else ""
        raise CudaError(f"{code}: {'sticky' if self.dead else 'this call failed'}")

    def make_current(self) -> None:
        self._thread.current = True
        self.call("set_current")

    # -- memory -------------------------------------------------------------------------------------------

    def allocate(self, size: int, device: bool) -> Memory:
        if self.capturing:
            raise Misuse("memory is allocated within a capture")
        if device and self.used + size > self.size:
            raise CudaError("CUDA_ERROR_OUT_OF_MEMORY: The API call failed because it was unable to allocate memory")
        memory = Memory(np.full(size, NEW, np.uint8), device)
        self.memories[memory.address] = memory
        if device:
            self.used += size
            self.reserved = max(self.reserved, self.used)
        return memory

    def free(self, memory: Memory) -> None:
        if self.capturing:
            raise Misuse("memory is freed within a capture")
        memory.freed = True
        memory.array[:] = FREED
        self.used -= memory.array.size if memory.device else 0

    def at(self, address: int, size: int, device: bool) -> Any:
        """The bytes at an address; of the host too, for copies."""
        for memory in self.memories.values():
            if memory.address <= address < memory.address + memory.array.size:
                if memory.freed:
                    raise Misuse(f"memory at {address:#x} is used after it was freed")
                start = address - memory.address
                if start + size > memory.array.size:
                    self.broke("CUDA_ERROR_ILLEGAL_ADDRESS")
                return memory.array[start : start + size] if size else memory.array[start:]
        if device:
            self.broke("CUDA_ERROR_ILLEGAL_ADDRESS")
        return np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)

    # -- work ---------------------------------------------------------------------------------------------

    def stream(self) -> Stream:
        stream = Stream(self, len(self.streams) in self.eager)
        self.streams.append(stream)
        return stream

    def progress(self) -> None:
        for stream in self.streams:
            if stream.eager:
                stream.run(force=False)

    def copy(self, to: int, source: int, size: int) -> None:
        self.at(to, size, False)[:] = self.at(source, size, False)

    def run_kernel(self, index: int, grid: Any, block: Any, arguments: tuple[Any, ...]) -> None:
        """A kernel as the GPU sees it: addresses and bits."""
        text = self.texts[index]
        if self._simulator is None:
            self._simulator = simulated.SimulatedRuntime()
        kernel = self._simulator.kernel(text)
        array = simulated._strict_array(self._simulator._scope["cuda"])
        values = []
        for parameter, bits in zip(text.parameters, arguments, strict=True):
            if parameter.endswith("*"):
                memory = self.at(int(np.frombuffer(bits, np.int64)[0]), 0, True)
                item = np.dtype(parameter[:-1])
                values.append(array(memory[: memory.size // item.itemsize * item.itemsize].view(item)))
            else:
                values.append(np.frombuffer(bits, parameter)[0])
        try:
            kernel.entry[grid, block](*values)
        except IndexError:
            self.broke("CUDA_ERROR_ILLEGAL_ADDRESS")

    def packed(self, index: int, arguments: tuple[Any, ...]) -> tuple[bytes, ...]:
        """Arguments as cuda.core packs them, checked against the sizes that the kernel takes."""
        packed = tuple(_packed(argument) for argument in arguments)
        sizes = self.parameter_sizes(index)
        if [len(bits) for bits in packed] != sizes:
            raise Misuse(f"arguments of {[len(bits) for bits in packed]} bytes for parameters of {sizes}")
        return packed

    def parameter_sizes(self, index: int) -> list[int]:
        """Of the PTX where a test has registered it, else of the text."""
        text = self.texts[index]
        if text in self.ptx:
            header = self.ptx[text].partition(".entry")[2].partition("{")[0]
            return [int(bits) // 8 for bits in re.findall(r"\.param \.\w(\d+)", header)]
        return [SIZES.get(parameter, 8) for parameter in text.parameters]


def _packed(argument: Any) -> bytes:
    if isinstance(argument, np.generic):
        return argument.tobytes()
    if isinstance(argument, int):  # cuda.core takes it for an address
        return np.int64(argument).tobytes()
    raise TypeError(f"the argument is of unsupported type: {type(argument)}")


_current: list[Machine] = []


def current() -> Machine:
    """The machine that the fake modules act on."""
    return _current[-1]


def install(monkeypatch: Any, **options: Any) -> Machine:
    """Put a fresh machine in place of `cuda.core` and of the compiler, until the test ends.

    Args:
        options: of `Machine`.
    """
    from fake_cuda import core

    dialect.scope("simulator")  # numba-cuda is imported while the modules that it looks for are the real ones
    machine = Machine(**options)
    monkeypatch.setattr(sys.modules[__name__], "_current", [machine])
    for name, module in core.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(runtime, "_runtimes", {})

    def compile_ptx(text: KernelText, cc: tuple[int, int], backend: str | None = None) -> compiler.Ptx:
        machine.texts.append(text)
        return compiler.Ptx("run", f"// fake {len(machine.texts) - 1}")

    monkeypatch.setattr(compiler, "compile_ptx", compile_ptx)
    return machine
