"""Roofline: the most that one core of this machine can do: fused multiply-adds in registers, and copies by size."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nbdl.engine import compiler as kernel
from nbdl.engine.cpu.intrinsics import load, store_0
from nbdl.engine.cpu.matmul import LANES, VECTOR
from nbdl.engine.cpu.texts import HEAD
from nbdl.engine.emit import Emitter, function_text
from nbdl.engine.store import aligned_zeros

SIZES = tuple(4 << (10 + 2 * power) for power in range(9))  # 4 KB to 256 MB, read and written together
CHAINS = 10  # independent sums: 8 do not hide the latency of two units, 16 and the operands fill the registers
TRIES, TRY_SECONDS = 7, 0.002


@dataclass(frozen=True)
class Roofline:
    """The limits of one core.

    Attributes:
        gflops: fused multiply-adds in registers, each counted as two operations, in 10⁹ a second.
        copies: (bytes, 10⁹ bytes a second) of copies, from small to large; bytes read and bytes written both count.
    """

    gflops: float
    copies: tuple[tuple[int, float], ...]

    def gbytes(self, size: float) -> float:
        """10⁹ bytes a second of a copy within `size` bytes of memory; between the sizes measured, interpolated."""
        sizes, speeds = zip(*self.copies, strict=True)
        return float(np.interp(math.log(max(1.0, size)), np.log(sizes), speeds))

    def limits(self, flops: float, moved: float, touched: float) -> tuple[float, float]:
        """The least µs for so many operations, and for moving so many bytes within `touched` bytes at a time."""
        return flops / self.gflops / 1e3, moved / self.gbytes(touched) / 1e3


def measure(largest: float) -> Roofline:
    """Measure this machine: some 50 ms, and up to half a second where copies of hundreds of MB are asked for.

    Args:
        largest: the most bytes that a call of an operation touches; larger copies are not measured.
    """
    sizes = [size for number, size in enumerate(SIZES) if number < 2 or SIZES[number - 1] < largest]
    source, target = aligned_zeros(sizes[-1] // 8), aligned_zeros(sizes[-1] // 8)
    source[:] = target[:] = 1.0  # so that every page is there
    addresses = source.ctypes.data, target.ctypes.data
    copies = tuple((size, size / _fastest(functools.partial(_copies, *addresses, size // 8)) / 1e9) for size in sizes)
    flops_a_round = 2.0 * CHAINS * LANES
    return Roofline(flops_a_round / _fastest(functools.partial(_rounds, target.ctypes.data)) / 1e9, copies)


def _fastest(run: Callable[[int], None]) -> float:
    """Seconds of one round, of the fastest of some tries; nothing makes a core faster than it is."""
    run(1)
    count, seconds = 1, 0.0
    while True:
        began = time.perf_counter()
        run(count)
        seconds = time.perf_counter() - began
        if seconds > TRY_SECONDS / 4:
            break
        count *= 4
    best = seconds / count
    count = max(1, round(TRY_SECONDS / best))
    for _ in range(TRIES if count > 1 else 2):
        began = time.perf_counter()
        run(count)
        best = min(best, (time.perf_counter() - began) / count)
    return best


def _copies(source: int, target: int, floats: int, count: int) -> None:
    _copier()(source, target, floats, count, 0, 0, 0, 0)


def _rounds(address: int, count: int) -> None:
    _adder()(count, address, 0, 0, 0, 0, 0, 0)


# -- kernels, of eight words as all are ----------------------------------------------------------------------


def copied(source: int, target: int, floats: int) -> int:
    """Copy an array."""
    for number in range(floats):
        store_0(target, number, load(source, number))
    return 0


copied.policy = "called"  # type: ignore[attr-defined]


def copies(source: int, target: int, floats: int, count: int, c0: int, c1: int, chunk: int, first: int) -> int:
    """Copy an array again and again."""
    for _ in range(count):
        copied(source, target, floats)
    return 0


def _fused_rounds(typingctx: Any, count: Any, address: Any) -> Any:
    """Rounds of CHAINS fused multiply-adds of vectors, which touch no memory; their sum goes to `address`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = f"llvm.fma.v{LANES}f32"
        fused = cgutils.get_or_insert_function(builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), name)
        half, one = (ir.Constant(VECTOR, [value] * LANES) for value in (0.5, 1.0))
        word, entry, body, done = ir.IntType(64), builder.block, *map(builder.append_basic_block, ("round", "done"))
        builder.branch(body)
        builder.position_at_end(body)
        number, sums = builder.phi(word), [builder.phi(VECTOR) for _ in range(CHAINS)]
        after = [builder.call(fused, [one_sum, half, one]) for one_sum in sums]
        following = builder.add(number, ir.Constant(word, 1))
        for phi, begin, end in [(number, ir.Constant(word, 0), following),
                                *((phi, ir.Constant(VECTOR, [float(k)] * LANES), end)
                                  for k, (phi, end) in enumerate(zip(sums, after, strict=True)))]:  # fmt: skip
            phi.add_incoming(begin, entry)
            phi.add_incoming(end, body)
        builder.cbranch(builder.icmp_signed("<", following, args[0]), body, done)
        builder.position_at_end(done)
        builder.store(functools.reduce(builder.fadd, after), builder.inttoptr(args[1], VECTOR.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


fused_rounds = intrinsic(_fused_rounds)


@functools.cache
def _copier() -> Any:
    return kernel.load(function_text(copies, "kernel")).ctypes


@functools.cache
def _adder() -> Any:
    emitter = Emitter()
    emitter.imported(__name__, "fused_rounds")
    body = f"@kernel\n{HEAD}\n    fused_rounds(frame, op)\n    return 0\n"
    return kernel.load(emitter.text("fused multiply-adds", body)).ctypes
