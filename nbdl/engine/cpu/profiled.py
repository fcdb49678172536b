"""Profiled runs: the ordinary driver and tables, with a clock around each kernel.

Every operation's kernel is replaced by a timer that calls it and adds up the processor's ticks in its own descriptor.
So operations are timed where they really run: with their tiles and blocks, and with what the one before left in cache.
"""

from __future__ import annotations

import functools
import platform
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbdl.engine.compiler import address, load
from nbdl.engine.cpu import layout
from nbdl.engine.cpu.driver import serial_driver
from nbdl.engine.cpu.executor import CpuExecutor
from nbdl.engine.cpu.texts import HEAD, INTRINSICS
from nbdl.engine.emit import Emitter
from nbdl.engine.run import RunTables, Words
from nbdl.errors import ConfigError, NbdlError
from nbdl.program.operation import Operation

# Words of a timer's descriptor after those that the driver reads: the real descriptor's address, and what was measured.
REAL, TICKS, CALLS = range(layout.OP_OPERANDS, layout.OP_OPERANDS + 3)

I64 = ir.IntType(64)
READ_ARM = "isb\nmrs $0, cntvct_el0"


def _ticks(typingctx: Any) -> Any:
    """The processor's clock, once all that was begun before is done: a short kernel would else end in the next one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def instruction(name: str, result: Any) -> Any:
            function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, []), name)
            return builder.call(function, [])

        if platform.machine() in ("arm64", "aarch64"):
            return builder.asm(ir.FunctionType(I64, []), READ_ARM, "=r", [], True)
        instruction("llvm.x86.sse2.lfence", ir.VoidType())
        return instruction("llvm.readcyclecounter", I64)

    return types.int64(), codegen


ticks = intrinsic(_ticks)


def _text(title: str, body: list[str]) -> str:
    """A kernel module that reads the clock."""
    emitter = Emitter()
    emitter.imported(__name__, "ticks")
    emitter.imported(INTRINSICS, "call", "read_shared", "word", "write_shared")
    lines = ["@kernel", HEAD, *(f"    {line}" for line in body)]
    return emitter.text(title, "\n".join(lines) + "\n")


@functools.cache
def timer() -> Any:
    """The kernel that stands in for another, calls it, and adds up its ticks."""
    body = [
        f"real = word(op, {REAL})",
        f"kernel = word(real, {layout.OP_KERNEL})",
        "began = ticks()",
        "status = call(kernel, frame, real, r0, r1, c0, c1, chunk, first)",
        "elapsed = ticks() - began",
        f"write_shared(op, {TICKS}, read_shared(op, {TICKS}) + elapsed)",
        f"write_shared(op, {CALLS}, read_shared(op, {CALLS}) + 1)",
        "return status",
    ]
    return load(_text("timer", body))


@functools.cache
def clock() -> Any:
    """The processor's clock as a function for Python."""
    if platform.machine().lower() not in ("x86_64", "amd64", "arm64", "aarch64"):
        raise ConfigError(f"profile: it is not known how to read the clock of a {platform.machine()} processor")
    read = load(_text("clock", ["return ticks()"])).ctypes
    return functools.partial(read, *([0] * 8))


@dataclass(frozen=True)
class Timing:
    """What one profiled run measured.

    Attributes:
        seconds: the whole run.
        tick: seconds of one tick.
        ticks, calls: by operation, in the order of the executor's listing; over all steps.
    """

    seconds: float
    tick: float
    ticks: Words
    calls: Words


class ProfiledExecutor(CpuExecutor):
    """An executor that can also time its operations, on one thread."""

    def timed(self, tables: RunTables) -> Timing:
        """Run all steps with a clock around each kernel.

        Raises:
            NbdlError: a step was stopped, because a gradient was not finite.
        """
        self.try_new_bodies(tables)
        work = self._borrow()
        try:
            return _timed(self.stages, self.tasks, self.ops, self.frame_for(tables, work), tables, self.listing)
        finally:
            self._areas.append(work)


def _timed(
    stages: Words, tasks: Words, ops: Words, frame: Words, tables: RunTables, listing: list[Operation]
) -> Timing:
    timers, report, read = with_timers(ops), np.zeros(2, np.int64), clock()
    arguments = (stages, tasks, timers, frame, tables.steps, tables.scalars, tables.log, report)
    began, first = time.perf_counter(), read()
    serial_driver()(*arguments)
    last, ended = read(), time.perf_counter()
    status = int(report[layout.REPORT_STATUS])
    if status:
        stopped = listing[status - 1]
        reason = "reaches outside an array" if stopped.kind == "kernel" else "found gradients that are not finite"
        raise NbdlError(f"profile: {stopped.title} {reason}")
    seconds = ended - began
    return Timing(seconds, seconds / max(1, last - first), timers[:, TICKS].copy(), timers[:, CALLS].copy())


def with_timers(ops: Words) -> Words:
    """Descriptors of timers, one around each operation of a table, which must outlive them."""
    timers = np.zeros_like(ops)
    timers[:, layout.OP_KERNEL] = address(timer())
    timers[:, [layout.OP_HEIGHT, layout.OP_WIDTH]] = ops[:, [layout.OP_HEIGHT, layout.OP_WIDTH]]
    timers[:, REAL] = ops.ctypes.data + 8 * layout.OP_WORDS * np.arange(len(ops))
    return timers


def timer_ticks(steps: int = 500, tries: int = 9) -> float:
    """What a timer reads around a kernel that does nothing: to be taken off each call."""
    emitter = Emitter()
    idle = load(emitter.text("idle kernel", f"@kernel\n{HEAD}\n    return 0\n"))
    ops = np.zeros((1, layout.OP_WORDS), np.int64)
    ops[0, layout.OP_KERNEL] = address(idle)
    tasks = np.array([[0, 1, *([0] * (layout.TASK_WORDS - 2))]], np.int64)
    empty = RunTables(
        np.zeros((steps, 4), np.int64), np.zeros((steps, 1), np.float32), np.zeros((steps, 1), np.float32), []
    )
    frame, stages = np.zeros(layout.FRAME_WORDS, np.int64), np.array([[0, 1, 0]], np.int64)
    readings = [_timed(stages, tasks, ops, frame, empty, []) for _ in range(tries)]
    return min(float(one.ticks[0] / one.calls[0]) for one in readings)
