"""The text of kernels that reduce rows to a row: several reductions side by side, one for each z of the grid.

A block takes a strip of columns and a part of the rows. Its threads add up rows far apart, and a tree joins them: an
order that follows from shapes alone. Where there are many rows, `nbdl.engine.cuda.fusion` makes two reductions of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from nbdl.engine.cuda.words import START, STATUS, Kernel, Sizes, Writer, divided, power_of_two, quotient, remainder
from nbdl.engine.program import Operation
from nbdl.engine.source import label


def strip(width: int, sizes: Sizes) -> tuple[int, int]:
    """Threads side by side along the columns, and along the rows."""
    across = min(power_of_two(width), sizes.strip)
    return across, sizes.column // across


def parts_of_rows(rows: int, width: int, sizes: Sizes) -> int:
    """In how many parts the rows are reduced, so that no thread adds up too many."""
    down = strip(width, sizes)[1]
    return 1 if rows <= 2 * down * sizes.share else min(sizes.column, divided(rows, down * sizes.share))


def columns_kernel(
    operations: Sequence[Operation], height: int | None, writer: Writer, sizes: Sizes, guarded: bool
) -> Kernel:
    """The kernel of reductions over the same rows; each may have columns and parts of its own."""
    rows = writer.rows(height)
    lines = ["thread, z = int32(cuda.threadIdx.x), int32(cuda.blockIdx.z)",
             f"shared = cuda.shared.array({sizes.column}, float32)", "total = NOTHING"]  # fmt: skip
    if guarded:
        lines = [f"if {writer.parameter('int32*', 'state')}[{STATUS}] != 0:", "    return", *lines]
    for number, operation in enumerate(operations):
        lines += [f"if z == {number}:", *(f"    {line}" for line in _reduction(operation, rows, writer, sizes))]

    def grid(count: int) -> tuple[int, int, int]:
        across = max(divided(o.domain[1], strip(o.domain[1], sizes)[0]) for o in operations)
        return across, max(o.attributes.get("parts", 1) for o in operations), len(operations)

    names = list(dict.fromkeys(label(operation.function) for operation in operations if operation.function))
    return writer.kernel(f"columns {', '.join(names)}", lines, (sizes.column,), grid)


def _reduction(operation: Operation, rows: str, writer: Writer, sizes: Sizes) -> list[str]:
    width, reduction = operation.domain[1], operation.attributes["reduction"]
    across, down = strip(width, sizes)
    parts = writer.number(operation.attributes.get("parts", 1))
    columns, out = writer.number(width), writer.pointer(operation.outputs[0])
    assert operation.function is not None
    arguments = ", ".join(writer.element(tensor, operation.domain) for tensor in operation.inputs)
    value = f"{writer.function(operation.function)}({arguments})"
    join = "{0} + {1}" if reduction == "sum" else "larger({1}, {0})"
    tree = []
    stride = down // 2
    while stride:
        here, other = "shared[thread]", f"shared[thread + {stride * across}]"
        tree += [f"if thread < {stride * across}:", f"    {here} = {join.format(here, other)}", "cuda.syncthreads()"]
        stride //= 2
    return [
        f"j = int32(int32(cuda.blockIdx.x) * {across} + {remainder('thread', across)})",
        "part = int32(cuda.blockIdx.y)",
        f"begin, end = int32({rows} * part // {parts}), int32({rows} * (part + 1) // {parts})",
        f"total = {START[reduction]}",
        f"if j < {columns} and part < {parts}:",
        f"    row = int32(begin + {quotient('thread', across)})",
        "    while row < end:",
        f"        e = int32(row * {columns} + j)",
        f"        total = {join.format('total', value)}",
        f"        row = int32(row + {down})",
        "shared[thread] = total",
        "cuda.syncthreads()",
        *tree,
        f"if thread < {across} and j < {columns} and part < {parts}:",
        f"    {out}[part * {columns} + j] = shared[thread]",
    ]
