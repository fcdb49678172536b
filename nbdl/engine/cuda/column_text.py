"""The text of kernels that reduce rows to a row: several reductions side by side, one for each z of the grid.

A block takes a strip of columns and a part of the rows. Its threads add up rows far apart, and a tree joins them: an
order that follows from shapes alone. Where there are many rows, `nbdl.engine.cuda.fusion` makes two reductions of one.
"""

from __future__ import annotations

from collections.abc import Sequence

from nbdl.engine.cuda.text import START, STATUS, Launch, Sizes, Writer, divided, power_of_two, quotient, remainder
from nbdl.program.language.source import label
from nbdl.program.operation import Operation


def strip(width: int, sizes: Sizes) -> tuple[int, int]:
    """Threads side by side along the columns, and along the rows."""
    across = min(power_of_two(width), sizes.columns_per_block)
    return across, sizes.column_threads // across


def parts_of_rows(rows: int, width: int, sizes: Sizes) -> int:
    """In how many parts the rows are reduced, so that no thread adds up too many."""
    down = strip(width, sizes)[1]
    if rows <= 2 * down * sizes.rows_per_thread:
        return 1
    return min(sizes.column_threads, divided(rows, down * sizes.rows_per_thread))


def columns_launch(
    operations: Sequence[Operation], height: int | None, writer: Writer, sizes: Sizes, guarded: bool
) -> Launch:
    """The launch of reductions of one kind over the same rows; each may have columns and parts of its own."""
    rows, reduction = writer.rows(height), operations[0].attributes["reduction"]
    lines = [
        "thread, part, z = int32(cuda.threadIdx.x), int32(cuda.blockIdx.y), int32(cuda.blockIdx.z)",
        f"shared = cuda.shared.array({sizes.column_threads}, float32)",
        f"total, j, across = {START[reduction]}, int32(0), int32(1)",
    ]
    if guarded:
        lines = [f"if {writer.parameter('int32*', 'state')}[{STATUS}] != 0:", "    return", *lines]
    for number, operation in enumerate(operations):
        lines += [f"if z == {number}:", *(f"    {line}" for line in _add_up(operation, rows, writer, sizes))]
    here, other = "shared[thread]", "shared[thread + stride]"
    lines += [
        f"{here} = total",
        f"stride = int32({sizes.column_threads // 2})",
        "cuda.syncthreads()",
        "while stride >= across:",
        "    if thread < stride:",
        f"        {here} = {_joined(reduction, here, other)}",
        "    stride = int32(stride >> 1)",
        "    cuda.syncthreads()",
    ]
    for number, operation in enumerate(operations):
        columns, parts = writer.number(operation.domain[1]), writer.number(operation.attributes.get("parts", 1))
        lines += [
            f"if z == {number} and thread < across and j < {columns} and part < {parts}:",
            f"    {writer.pointer(operation.outputs[0])}[part * {columns} + j] = {here}",
        ]

    def grid(count: int) -> tuple[int, int, int]:
        across = max(divided(o.domain[1], strip(o.domain[1], sizes)[0]) for o in operations)
        return across, max(o.attributes.get("parts", 1) for o in operations), len(operations)

    names = list(dict.fromkeys(label(operation.function) for operation in operations if operation.function))
    return writer.launch(f"columns {', '.join(names)}", lines, (sizes.column_threads,), grid)


def _add_up(operation: Operation, rows: str, writer: Writer, sizes: Sizes) -> list[str]:
    """What one thread adds up: one column of rows that lie `down` apart."""
    width, reduction = operation.domain[1], operation.attributes["reduction"]
    across, down = strip(width, sizes)
    parts, columns = writer.number(operation.attributes.get("parts", 1)), writer.number(width)
    assert operation.function is not None
    arguments = ", ".join(writer.element(tensor, operation.domain) for tensor in operation.inputs)
    value = f"{writer.function(operation.function)}({arguments})"
    return [
        f"across = int32({across})",
        f"j = int32(int32(cuda.blockIdx.x) * {across} + {remainder('thread', across)})",
        f"row = int32(int32({rows} * part) // {parts} + {quotient('thread', across)})",
        f"end = int32(int32({rows} * (part + 1)) // {parts})",
        f"if j < {columns} and part < {parts}:",
        "    while row < end:",
        f"        e = int32(row * {columns} + j)",
        f"        total = {_joined(reduction, 'total', value)}",
        f"        row = int32(row + {down})",
    ]


def _joined(reduction: str, total: str, value: str) -> str:
    return f"{total} + {value}" if reduction == "sum" else f"larger({value}, {total})"
