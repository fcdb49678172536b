"""The text of kernels that work row by row: maps, reductions over features, and whole runs of them.

A block has TX threads along a row and TY rows. Without a reduction the blocks also lie along the rows, and each thread
has one element. With one, a block holds whole rows. Up to `Sizes.widest_row` columns each thread still has one element,
which stays in a register from operation to operation; above, a thread goes along the row, and what a later pass needs
is read back from memory. A pass ends where an operation needs what a reduction gives.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from nbdl.engine.cuda.text import START, STATUS, Launch, Sizes, Writer, divided, power_of_two
from nbdl.program.language.source import label
from nbdl.program.operation import Operation
from nbdl.program.tensor import Tensor, pattern

MOST_BLOCKS_ALONG_Y = 65535


def is_reduction(operation: Operation) -> bool:
    """Whether an operation reduces rows to a column."""
    return operation.kind == "sum"


@dataclass
class _Pass:
    """What runs between two reductions: first what each row has one of, then along the row."""

    singles: list[Operation] = field(default_factory=list)
    wide: list[Operation] = field(default_factory=list)


def passes(operations: Sequence[Operation], width: int) -> list[_Pass]:
    """Operations in passes: a new one begins where a reduction of the present one is read."""
    found: list[_Pass] = [_Pass()]
    pending: set[int] = set()
    for operation in operations:
        if any(id(tensor.storage) in pending for tensor in operation.inputs):
            found.append(_Pass())
            pending = set()
        (found[-1].wide if operation.domain[1] == width else found[-1].singles).append(operation)
        if is_reduction(operation):
            pending.add(id(operation.outputs[0].storage))
    return found


def crossing(operations: Sequence[Operation], width: int) -> set[int]:
    """Storages of full rows that a later pass reads than the one that writes them."""
    written: dict[int, int] = {}
    across = set()
    for number, one in enumerate(passes(operations, width)):
        for operation in one.wide:
            across |= {id(t.storage) for t in operation.inputs if written.get(id(t.storage), number) < number}
            if not is_reduction(operation):
                written.update({id(tensor.storage): number for tensor in operation.outputs})
    return across


def rows_launch(
    operations: Sequence[Operation],
    height: int | None,
    width: int,
    stored: Collection[int],
    writer: Writer,
    sizes: Sizes,
    guarded: bool,
) -> Launch:
    """The launch of a group of operations that share their rows.

    Args:
        height: rows, or None for those of the batch.
        width: columns; an operation has as many, or one.
        stored: identities of the storages that are written to memory; other results stay in registers.
        guarded: whether nothing is done once a step has failed.
    """
    reducing = any(map(is_reduction, operations))
    along = reducing and width > sizes.widest_row
    shape = _block(height, width, reducing, sizes)
    stored = {*stored, *(crossing(operations, width) if along else ())}
    text = _RowsText(height, width, stored, writer, shape, along)
    lines = text.lines(passes(operations, width), reducing)
    if guarded:
        lines = [f"if {writer.parameter('int32*', 'state')}[{STATUS}] != 0:", "    return", *lines]

    def grid(rows: int) -> tuple[int, int]:
        count = rows if height is None else height
        return (1 if reducing else divided(width, shape[0])), min(divided(count, shape[1]), MOST_BLOCKS_ALONG_Y)

    names = list(dict.fromkeys(label(o.function) if o.function else o.kind for o in operations))
    return writer.launch(f"rows {', '.join(names)}", lines, shape, grid)


def _block(height: int | None, width: int, reducing: bool, sizes: Sizes) -> tuple[int, int]:
    """Threads along a row, and rows."""
    if not reducing:
        across = sizes.elementwise if height == 1 else min(power_of_two(width), sizes.elementwise // 2)
        return across, 1 if height == 1 else sizes.elementwise // across
    across = min(power_of_two(width), sizes.widest_row)
    if width > sizes.widest_row:
        across = min(across, 2 * sizes.row_threads)
    return across, max(1, sizes.row_threads // across) if height != 1 else 1


class _RowsText:
    """Writes the body of `run`."""

    def __init__(
        self,
        height: int | None,
        width: int,
        stored: Collection[int],
        writer: Writer,
        shape: tuple[int, int],
        along: bool,
    ) -> None:
        self.height, self.width, self.stored, self.writer, self.along = height, width, stored, writer, along
        self.across, self.down = shape
        self.values: dict[int, str] = {}  # of this kernel, by storage
        self.count = 0

    def lines(self, found: Sequence[_Pass], reducing: bool) -> list[str]:
        rows, width = self.writer.rows(self.height), self.writer.number(self.width)
        body: list[str] = []
        for one in found:
            body += self._pass(one, rows, width)
        loop = [  # not a range, whose length would take a division
            f"first, stride = int32(int32(cuda.blockIdx.y) * {self.down}), int32(int32(cuda.gridDim.y) * {self.down})",
            f"while first < {rows}:",
            "    row = int32(first + ty)",
            *(f"    {line}" for line in body),
            "    first = int32(first + stride)",
        ]
        return [
            "tx, ty = int32(cuda.threadIdx.x), int32(cuda.threadIdx.y)",
            f"column = int32(int32(cuda.blockIdx.x) * {self.across} + tx)",
            *([f"shared = cuda.shared.array({self.across * self.down}, float32)"] if reducing else []),
            *([f"places = cuda.shared.array({self.across * self.down}, float32)"] if self._has_argmax(found) else []),
            *loop,
        ]

    def _has_argmax(self, found: Sequence[_Pass]) -> bool:
        return any(o.attributes.get("reduction") == "argmax" for one in found for o in one.wide)

    def _pass(self, one: _Pass, rows: str, width: str) -> list[str]:
        before: list[str] = []
        singles = self._each(one.singles, before, "row")
        reduced = [operation for operation in one.wide if is_reduction(operation)]
        totals = {id(operation): f"t{self._next()}" for operation in reduced}
        wide = self._wide(one.wide, before, totals)
        for operation in reduced:
            before.append(f"{totals[id(operation)]} = {START[operation.attributes['reduction']]}")
            if operation.attributes["reduction"] == "argmax":
                before.append(f"{totals[id(operation)]}_at = NOTHING")
        lines = before
        if singles:
            lines += [f"if row < {rows}:", *(f"    {line}" for line in singles)]
        if wide and self.along:
            lines += [f"if row < {rows}:", "    j = tx", f"    while j < {width}:",
                      f"        e = int32(row * {width} + j)", *(f"        {line}" for line in wide),
                      f"        j = int32(j + {self.across})"]  # fmt: skip
        elif wide:
            lines += [f"if row < {rows} and column < {width}:", "    j = column", f"    e = int32(row * {width} + j)",
                      *(f"    {line}" for line in wide)]  # fmt: skip
        for operation in reduced:
            lines += self._reduce(operation, totals[id(operation)], rows)
        return lines

    def _next(self) -> int:
        self.count += 1
        return self.count

    def _each(self, operations: Sequence[Operation], before: list[str], j: str) -> list[str]:
        """Operations that have one element a row: every thread of the row computes it, the first one stores it."""
        lines: list[str] = []
        for operation in operations:
            names = self._results(operation, before)
            lines.append(f"{', '.join(names)} = {self._value(operation, 'int32(0)')}")
            self._keep(operation, names)
            stores = self._stores(operation, names, True)
            if stores:
                lines += ["if column == 0:", *(f"    {line}" for line in stores)]
        return lines

    def _wide(self, operations: Sequence[Operation], before: list[str], totals: dict[int, str]) -> list[str]:
        lines: list[str] = []
        local: list[int] = []
        for operation in operations:
            if is_reduction(operation):
                lines += _step(operation.attributes["reduction"], totals[id(operation)], self._value(operation))
                continue
            if operation.kind == "combine":
                lines += self._combined(operation)
            names = self._results(operation, before)
            lines.append(f"{', '.join(names)} = {self._value(operation)}")
            self._keep(operation, names)
            lines += self._stores(operation, names, False)
            local += [id(tensor.storage) for tensor in operation.outputs]
        if self.along:
            for storage in local:  # the next pass has other elements: it reads them from memory
                self.values.pop(storage, None)
        return lines

    def _results(self, operation: Operation, before: list[str]) -> list[str]:
        names = [f"v{self._next()}" for _ in operation.outputs]
        before += [f"{name} = NOTHING" for name in names]
        return names

    def _keep(self, operation: Operation, names: Sequence[str]) -> None:
        self.values.update({id(t.storage): name for t, name in zip(operation.outputs, names, strict=True)})

    def _value(self, operation: Operation, j: str = "j") -> str:
        """The right-hand side of an operation in column j."""
        if operation.kind == "combine":
            bias = operation.inputs[1:]
            return "total" + (f" + {self._operand(bias[0], operation, j)}" if bias else "")
        if operation.kind in ("gather", "uniform"):
            return self.writer.virtual_element(operation, "full", "row", j)
        assert operation.function is not None
        arguments = ", ".join(self._operand(tensor, operation, j) for tensor in operation.inputs)
        return f"{self.writer.function(operation.function)}({arguments})"

    def _operand(self, tensor: Tensor, operation: Operation, j: str) -> str:
        known = self.values.get(id(tensor.storage))
        if known is not None and pattern(tensor, operation.domain) != "feature":
            return known
        return self.writer.element(tensor, operation.domain, "row", j)

    def _combined(self, operation: Operation) -> list[str]:
        """Add the parts of a split product in their order."""
        partial, parts = operation.inputs[0], operation.attributes["parts"]
        pointer, count = self.writer.pointer(partial), self.writer.number(parts)
        rows, width = self.writer.rows(self.height), self.writer.number(self.width)
        return [
            "total, part, at = NOTHING, int32(0), e",
            f"while part < {count}:",
            f"    total = total + {pointer}[at]",
            f"    part, at = int32(part + 1), int32(at + {rows} * {width})",
        ]

    def _stores(self, operation: Operation, names: Sequence[str], single: bool) -> list[str]:
        w = self.writer
        return [
            f"{w.pointer(tensor)}[{w.result_index(tensor, single)}] = {name}"
            for tensor, name in zip(operation.outputs, names, strict=True)
            if id(tensor.storage) in self.stored
        ]

    def _reduce(self, operation: Operation, total: str, rows: str) -> list[str]:
        """Reduce along the row, in the order of a tree; every thread gets the result."""
        reduction = operation.attributes["reduction"]
        at = f"ty * {self.across} + tx"
        lines = [f"shared[{at}] = {total}"]
        if reduction == "argmax":
            lines.append(f"places[{at}] = {total}_at")
        lines.append("cuda.syncthreads()")
        stride = self.across // 2
        while stride:
            lines += [f"if tx < {stride}:", *(f"    {line}" for line in _tree(reduction, at, stride))]
            lines.append("cuda.syncthreads()")
            stride //= 2
        name = f"v{self._next()}"
        lines += [
            f"{name} = {'places' if reduction == 'argmax' else 'shared'}[ty * {self.across}]",
            "cuda.syncthreads()",
        ]
        output = operation.outputs[0]
        self.values[id(output.storage)] = name
        stores = self._stores(operation, [name], True)
        if stores:
            lines += [f"if tx == 0 and row < {rows}:", *(f"    {line}" for line in stores)]
        return lines


def _step(reduction: str, total: str, value: str) -> list[str]:
    if reduction == "sum":
        return [f"{total} = {total} + {value}"]
    if reduction == "max":
        return [f"{total} = larger({value}, {total})"]
    return [f"candidate = {value}", f"if candidate > {total}:", f"    {total}, {total}_at = candidate, float32(j)"]


def _tree(reduction: str, at: str, stride: int) -> list[str]:
    here, other = f"shared[{at}]", f"shared[{at} + {stride}]"
    if reduction == "sum":
        return [f"{here} = {here} + {other}"]
    if reduction == "max":
        return [f"{here} = larger({other}, {here})"]
    position, other_place = f"places[{at}]", f"places[{at} + {stride}]"
    return [  # of equal ones the first column wins, as on the CPU
        f"if {other} > {here} or ({other} == {here} and {other_place} < {position}):",
        f"    {here} = {other}",
        f"    {position} = {other_place}",
    ]
