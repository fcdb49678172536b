"""explain: the program of a network, operation by operation, and how a device runs it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.network.network import Network
    from nbdl.program.operation import Operation, Program


def size_text(number: float, unit: str) -> str:
    """A number with a prefix: "78.4 MFLOP".

    >>> size_text(78_400_000, "FLOP")
    '78.4 MFLOP'
    """
    for prefix, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= scale:
            return f"{number / scale:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def _line(operation: Operation, rows: int) -> str:
    outputs = ", ".join(tensor.describe() for tensor in operation.outputs)
    inputs = ", ".join(tensor.describe() for tensor in operation.inputs)
    if operation.kind == "gemm":
        a, b = (tensor.describe() for tensor in operation.inputs[:2])
        a += "ᵀ" if operation.attributes["transpose_a"] else ""
        b += "ᵀ" if operation.attributes["transpose_b"] else ""
        inputs = f"{a} · {b}" + (f" + {operation.inputs[2].describe()}" if len(operation.inputs) == 3 else "")
    if operation.kind == "sum":
        inputs = f"{operation.attributes['reduction']} over {operation.attributes['over']} of {inputs}"
    text = f"{operation.layer[:16]:16} {operation.title[:36]:36} {outputs or '-'} ← {inputs or 'data'}"
    return f"{text:120} {size_text(operation.flops(rows), 'FLOP'):>11} {size_text(operation.bytes(rows), 'B'):>9}"


def explain(job: Job, schedule: bool, rows: int, device: str) -> Iterator[str]:
    """The training program if the model is compiled, else the prediction; or how a device runs it."""
    from nbdl.network.device import checked, resolve
    from nbdl.network.record import record

    device = checked(device)
    if device == "auto":
        device = resolve(device)
    mode = "predict" if job.setup is None else "train"
    program = record(job.network, job.setup, mode)
    if schedule:
        yield from _schedule(job, program, rows) if device == "cpu" else _launches(job.network, program, rows)
        return
    yield f"program to {mode}, {rows} rows a step"
    phase = ""
    for operation in program.operations:
        if operation.phase != phase:
            phase = operation.phase
            yield f"\n{phase}"
        yield "  " + _line(operation, rows)
    flops = sum(operation.flops(rows) for operation in program.operations)
    products = sum(operation.flops(rows) for operation in program.operations if operation.kind == "gemm")
    share = products / max(1, flops)
    yield f"\n{len(program.operations)} operations, {size_text(flops, 'FLOP')} a step, {share:.0%} in products"


def _executor(job: Job, program: Program, rows: int) -> Any:
    from nbdl.engine.cpu.executor import CpuExecutor
    from nbdl.engine.store import aligned_zeros

    store, slots = job.network.store, 0 if job.setup is None else len(job.setup.optimizer.all_slots())
    return CpuExecutor(
        program, store, rows, ["float32" if program.training else None] * len(program.inputs),
        aligned_zeros(slots * store.trainable_size),
    )  # fmt: skip


def _schedule(job: Job, program: Program, rows: int) -> Iterator[str]:
    executor = _executor(job, program, rows)
    partition = executor.partition
    driver = "parallel" if executor.parallel else "serial"
    size = f"{len(partition.stages)} stages, {len(executor.tasks)} tasks"
    yield f"schedule for {rows} rows a step: {driver} driver, {size}"
    yield f"work area {size_text(4 * executor.memory.size, 'B')}, weights {size_text(4 * job.network.store.size, 'B')}"
    for number, stage in enumerate(partition.stages):
        parallel = " (parallel)" if executor.stages[number][2] else ""
        yield f"\nstage {number + 1}{parallel}"
        for chain in stage:
            blocks = f" in blocks of {chain.block} rows" if chain.block else ""
            tiles = f"{len(chain.tiles)} tile{'s' if len(chain.tiles) > 1 else ''}"
            yield f"  {chain.split}: {tiles}{blocks}, about {chain.cost(rows):.0f} µs on one core"
            for operation in chain.operations:
                yield "    " + _line(operation, rows)
    if executor.slow:
        yield f"\nslow functions (not vectorised): {', '.join(sorted(executor.slow))}"


def _launches(network: Network, program: Program, rows: int) -> Iterator[str]:
    """The launches of a step on a GPU; that takes no GPU."""
    from nbdl.engine.cuda.lowering import Lowering
    from nbdl.engine.cuda.text import GPU

    lowering = Lowering(program, rows, ["float32"] * len(program.inputs), network.store.trainable_size, GPU)
    yield f"schedule for {rows} rows a step: {len(lowering.launches)} launches"
    yield f"work area {size_text(4 * lowering.arena_plan.size, 'B')}, weights {size_text(4 * network.store.size, 'B')}"
    for number, launch in enumerate(lowering.launches, 1):
        grid = "×".join(map(str, launch.grid(rows)))
        yield f"\nlaunch {number}: {grid} blocks of {'×'.join(map(str, launch.block))} threads"
        for operation in launch.operations:
            yield "    " + _line(operation, rows)
