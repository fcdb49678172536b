"""Text about a model: `summary` in Keras 2's form, and `explain`, which shows the program and its schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbdl.model.sequential import Sequential
    from nbdl.program.recorder import Operation, Program


def _shape(shape: Sequence[int]) -> str:
    return f"(None, {', '.join(map(str, shape))})"


def _row(fields: Sequence[str], line_length: int) -> str:
    positions = [int(line_length * share) for share in (0.45, 0.85, 1.0)]
    line = ""
    for field, end in zip(fields, positions, strict=True):
        line = (line + field)[: end - 1].ljust(end)
    return line.rstrip()


def summary(model: Sequential, line_length: int = 65) -> Iterator[str]:
    """Keras 2's table: layers, output shapes, numbers of weights; as Keras 3 has it of a model that is not built."""
    known = bool(model.layers) and model.input_shape is not None
    if known:
        model.build()
    shapes = [_shape(shape) for shape in model._shapes] if known else ["?" for _ in model.layers]
    counted: dict[int, tuple[int, int]] = {}
    for weight in model.weights:
        total, trainable = counted.get(id(weight.layer), (0, 0))
        size = math.prod(weight.tensor.shape)
        counted[id(weight.layer)] = (total + size, trainable + size * weight.trained)
    yield f'Model: "{model.name}"'
    yield "_" * line_length
    yield _row(["Layer (type)", "Output Shape", "Param #"], line_length)
    yield "=" * line_length
    for number, (layer, shape) in enumerate(zip(model.layers, shapes, strict=True)):
        if number:
            yield "_" * line_length
        title = f"{layer.name} ({type(layer).__name__})"
        params = str(counted.get(id(layer), (0, 0))[0]) if known else "unbuilt"
        yield _row([title, shape, params], line_length)
    total = sum(sizes[0] for sizes in counted.values())
    trainable = sum(sizes[1] for sizes in counted.values())
    yield "=" * line_length
    yield f"Total params: {total:,}"
    yield f"Trainable params: {trainable:,}"
    yield f"Non-trainable params: {total - trainable:,}"
    yield "_" * line_length


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


def explain(model: Sequential, schedule: bool, rows: int, device: str) -> Iterator[str]:
    """The training program if the model is compiled, else the prediction; or how a device runs it."""
    from nbdl.network.device import checked, resolve
    from nbdl.network.programs import record

    device = checked(device)
    if device == "auto":
        device = resolve(device)
    what = "predict" if model.compiled is None else "train"
    program = record(model, what)
    if schedule:
        yield from _schedule(model, program, rows) if device == "cpu" else _launches(model, program, rows)
        return
    yield f"program to {what}, {rows} rows a step"
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


def _executor(model: Sequential, program: Program, rows: int) -> Any:
    from nbdl.engine.cpu.executor import Executor
    from nbdl.engine.store import aligned_zeros

    slots = 0 if model.compiled is None else len(model.optimizer.all_slots())
    return Executor(
        program, model.store, rows, ["float32" if program.training else None] * len(program.inputs),
        aligned_zeros(slots * model.store.trainable_size),
    )  # fmt: skip


def _schedule(model: Sequential, program: Program, rows: int) -> Iterator[str]:
    executor = _executor(model, program, rows)
    partition = executor.partition
    driver = "parallel" if executor.parallel else "serial"
    size = f"{len(partition.stages)} stages, {len(executor.tasks)} tasks"
    yield f"schedule for {rows} rows a step: {driver} driver, {size}"
    yield f"work area {size_text(4 * executor.memory.size, 'B')}, weights {size_text(4 * model.store.size, 'B')}"
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


def _launches(model: Sequential, program: Program, rows: int) -> Iterator[str]:
    """The launches of a step on a GPU; that takes no GPU."""
    from nbdl.engine.cuda.lowering import Lowering
    from nbdl.engine.cuda.text import GPU

    lowering = Lowering(program, rows, ["float32"] * len(program.inputs), model.store.trainable_size, GPU)
    yield f"schedule for {rows} rows a step: {len(lowering.launches)} launches"
    yield f"work area {size_text(4 * lowering.places.size, 'B')}, weights {size_text(4 * model.store.size, 'B')}"
    for number, launch in enumerate(lowering.launches, 1):
        grid = "×".join(map(str, launch.grid(rows)))
        yield f"\nlaunch {number}: {grid} blocks of {'×'.join(map(str, launch.block))} threads"
        for operation in launch.operations:
            yield "    " + _line(operation, rows)
