"""What a launch costs: one by one, as a graph's replay, and as a node of a long graph."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gpu.context import Context

TEXT = """
def run(x, n):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < n:
        x[i] = x[i] + float32(1.0)
"""
ROUNDS = 7


def launches(context: Context) -> None:
    """µs each; medians of some rounds, and how far these are apart."""
    from nbdl.engine.cuda import open_runtime
    from nbdl.engine.cuda.kernel_text import KernelText, Pointer

    runtime, tiny = open_runtime(0), context.options.tiny
    many, nodes = (3, 4) if tiny else (2_000, 200)
    threads = 8
    kernel = runtime.kernel(KernelText("add 1", TEXT, ("float32*", "int32"), threads))
    block = runtime.allocate(4 * threads)
    arguments = (Pointer(block, 0, threads), np.int32(threads))

    def launch() -> None:
        runtime.launch(kernel, (1,), (threads,), arguments)

    def launch_and_wait() -> None:
        launch()
        runtime.synchronize()

    def launch_all() -> None:
        for _ in range(nodes):
            launch()

    one, long = runtime.capture(launch), runtime.capture(launch_all)
    with runtime.lock:
        rows = {
            "launch": _micros(runtime, launch, many),
            "launch, waited for": _micros(runtime, launch_and_wait, max(3, many // 10)),
            "replay of a graph of one kernel": _micros(runtime, lambda: runtime.replay(one), many),
            f"replay of a graph of {nodes} kernels": _micros(runtime, lambda: runtime.replay(long), max(3, many // 50)),
        }
    replay = rows[f"replay of a graph of {nodes} kernels"]
    rows["kernel within that graph"] = {name: value / nodes for name, value in replay.items()}
    context.keep(micros=rows, kernels_run=_counted(runtime, block, threads))


def _micros(runtime: Any, function: Callable[[], Any], count: int) -> dict[str, float]:
    """Median, least and most µs of a call, the waiting for the last one shared among them."""
    samples = []
    for _ in range(ROUNDS + 1):
        runtime.synchronize()
        began = time.perf_counter()
        for _ in range(count):
            function()
        runtime.synchronize()
        samples.append((time.perf_counter() - began) / count * 1e6)
    samples = samples[1:]  # the first warms up
    return {"median": statistics.median(samples), "min": min(samples), "max": max(samples)}


def _counted(runtime: Any, block: Any, size: int) -> float:
    """How often the kernel ran: what it added."""
    found = np.zeros(size, np.float32)
    runtime.download(block, 0, found)
    return float(found[0])
