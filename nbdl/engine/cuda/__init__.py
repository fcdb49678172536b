"""The same programs on NVIDIA GPUs: groups of operations as launches, a step as one CUDA graph.

kernel_text   a kernel as data: text, parameters, threads
words         what every kernel's text shares: operands, device functions, per-step words
rows, columns, product   the texts: row by row, reductions over rows, matrix products
fusion        which operations share a launch
lowering      launches with their memory and grids
executor      runs steps: tables, graphs, results; mirror and feed carry weights and data
dialect, compiler, runtime, simulated, cublas, availability   the machine
"""

from __future__ import annotations

from typing import Any


def open_runtime(number: int = 0) -> Any:
    """The runtime of a device, one per process: `cuda.core`'s, or the simulator's under NUMBA_ENABLE_CUDASIM=1."""
    from nbdl.engine.cuda.availability import simulated

    if simulated():
        from nbdl.engine.cuda import simulated as twin

        return twin.runtime()
    from nbdl.engine.cuda.runtime import runtime

    return runtime(number)
