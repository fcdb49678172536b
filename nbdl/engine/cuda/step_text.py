"""The texts of the small kernels around a step: opening and closing a graph's steps, and the check before updates."""

from __future__ import annotations

from collections.abc import Sequence

from nbdl.engine.cuda.text import CURSOR, STATUS, Launch, Sizes, Writer, divided
from nbdl.program.operation import Operation


def check_launch(operations: Sequence[Operation], writer: Writer, sizes: Sizes) -> Launch:
    """Note the step if anything is not finite. Many threads may write, all the same word."""
    state, position = writer.parameter("int32*", "state"), writer.parameter("int32", "position")
    lines = [
        f"i, z, bad = int32(cuda.blockIdx.x) * {sizes.elementwise} + int32(cuda.threadIdx.x), cuda.blockIdx.z, False"
    ]
    for number, operation in enumerate(operations):
        tensor = operation.inputs[0]
        lines += [
            f"if z == {number} and i < {writer.number(tensor.features)}:",
            f"    bad = {writer.pointer(tensor)}[i] * NOTHING != NOTHING",
        ]
    lines += [f"if bad and {state}[{STATUS}] == 0:", f"    {state}[{STATUS}] = {state}[{CURSOR}] + {position} + 1"]

    def grid(rows: int) -> tuple[int, int, int]:
        return divided(max(o.inputs[0].features for o in operations), sizes.elementwise), 1, len(operations)

    return writer.launch("check", lines, (sizes.elementwise,), grid)


def opening_text(threads: int) -> str:
    """Copy the next steps' floats and integers from the slice's tables to where the graph's kernels read them."""
    return f'''"""open."""


def run(state, floats, step_floats, float_words, ints, step_ints, int_words, steps):
    i, step = int32(cuda.blockIdx.x) * {threads} + int32(cuda.threadIdx.x), int32(cuda.blockIdx.y)
    if step < steps:
        row = int64(state[{CURSOR}] + step)
        if i < float_words:
            step_floats[step * float_words + i] = floats[row * float_words + i]
        if i < int_words:
            step_ints[step * int_words + i] = ints[row * int_words + i]
'''


OPENING_PARAMETERS = ("int32*", "float32*", "float32*", "int32", "int32*", "int32*", "int32", "int32")


def closing_text(threads: int) -> str:
    """Append what the graph's steps logged to the slice's log, and count the steps. One block."""
    return f'''"""close."""


def run(state, log, step_log, log_words, steps):
    thread, begin = int32(cuda.threadIdx.x), state[{CURSOR}]
    cuda.syncthreads()
    for i in range(thread, steps * log_words, {threads}):
        log[int64(begin) * log_words + i] = step_log[i]
    if thread == 0:
        state[{CURSOR}] = begin + steps
'''


CLOSING_PARAMETERS = ("int32*", "float32*", "float32*", "int32", "int32")
