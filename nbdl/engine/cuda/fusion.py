"""Which operations share a launch.

Launches are what costs on a GPU, so an operation joins the first group that it can: one that does not come before
anything it depends on, and within which it needs only elements that its own thread has. What joins:

    rows      maps and reductions over features of the same rows; products that were summed in parts, random numbers
    columns   reductions over the same rows, side by side
    product   a product, and the maps of its result
    library   a product that goes to cuBLAS
    check     what is looked at before an update
    kernel    a hand-written body

Batches are gathered and random numbers are drawn where they are read, and not stored, unless a library's product or a
hand-written body needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from nbdl.engine.cpu.schedule import ORDERED_PHASES
from nbdl.engine.cuda.column_text import parts_of_rows
from nbdl.engine.cuda.product_text import choose
from nbdl.engine.cuda.text import Sizes
from nbdl.program.functions import same
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor, pattern

MOST_OPERATIONS = 24  # of a group: registers and parameters are limited
LASTING = ("weight", "slot", "gradient", "log", "output")
GENERATED = ("gather", "uniform")


@dataclass(eq=False)
class Group:
    """Operations of one launch.

    Attributes:
        height: rows of their loops, None for those of the batch.
        width: columns of the widest.
        earliest: the first group that its operations could have joined; those of an ordered phase join none before it.
    """

    kind: str
    height: int | None
    width: int
    earliest: int
    operations: list[Operation] = field(default_factory=list)

    @property
    def guarded(self) -> bool:
        """Whether it changes weights, which must stay as they are once a step has failed."""
        return any(tensor.space in ("weight", "slot") for o in self.operations for tensor in o.outputs)

    @property
    def results(self) -> set[int]:
        """Identities of the storages that it writes."""
        return {id(tensor.storage) for operation in self.operations for tensor in operation.outputs}


class Fusion:
    """Arranges a program's operations into groups.

    Attributes:
        groups: in the order of their launches.
        virtual: operations whose results are never stored, by the identity of their storage.
        expanded: the operations with products and reductions in parts.
    """

    def __init__(self, program: Program, rows: int, sizes: Sizes, library: bool = False, fuse: bool = True) -> None:
        self.rows, self.sizes, self.library, self.fuse = rows, sizes, library, fuse
        operations = _predictions_apart(program, library)
        self.expanded = [part for operation in operations for part in self._expand(operation)]
        needed = set(_needed_in_memory(self.expanded))
        self.virtual = {
            id(operation.outputs[0]): operation
            for operation in self.expanded
            if operation.kind in GENERATED and id(operation.outputs[0]) not in needed
        }
        self.groups: list[Group] = []
        self._writer: dict[int, int] = {}
        self._readers: dict[int, list[int]] = {}
        self._barrier, phase = 0, ""
        for operation in self.expanded:
            if operation.phase in ORDERED_PHASES and operation.phase != phase:
                self._barrier = len(self.groups)
            phase = operation.phase
            if not (operation.kind in GENERATED and id(operation.outputs[0]) in self.virtual):
                self._place(operation)
        if fuse:
            self._join_columns()

    def stored(self, group: Group) -> set[int]:
        """Identities of the storages that a group writes to memory: what others read, and what lasts."""
        read = {
            id(t.storage) for other in self.groups if other is not group for o in other.operations for t in o.inputs
        }
        return {
            id(tensor.storage)
            for operation in group.operations
            for tensor in operation.outputs
            if not self.fuse or tensor.storage.space in LASTING or id(tensor.storage) in read
        }

    # -- parts ------------------------------------------------------------------------------------------

    def _expand(self, operation: Operation) -> list[Operation]:
        """An operation, or several that do the same in parts."""
        if operation.kind == "gemm":
            return self._expand_product(operation)
        if operation.kind != "sum":
            return [operation]
        (height, width), over = operation.domain, operation.attributes["over"]
        reduction = operation.attributes["reduction"]
        flat = height == 1 and not any(tensor.space == "index" for tensor in operation.inputs)
        if over == "features" and flat and width > self.sizes.widest_row and reduction != "argmax":
            operation = _changed(operation, "sum", operation.inputs, operation.outputs, (width, 1),
                                 {"over": "rows", "reduction": reduction})  # fmt: skip
            (height, width), over = operation.domain, "rows"
        if over != "rows":
            return [operation]
        parts = parts_of_rows(self.rows if height is None else height, width, self.sizes)
        if parts == 1:
            return [operation]
        partial = Tensor((parts, width), False, name="parts")
        first = _changed(operation, "sum", operation.inputs, (partial,), operation.domain,
                         {**operation.attributes, "parts": parts})  # fmt: skip
        second = _changed(operation, "sum", (partial,), operation.outputs, (parts, width), operation.attributes)
        second.function = same
        return [first, second]

    def _expand_product(self, operation: Operation) -> list[Operation]:
        m, n, k = operation.product(self.rows)
        library = self.library and m * n * k >= self.sizes.library
        parts = 1 if library else choose(m, n, k, self.sizes)[1]
        bias = operation.inputs[2:]
        if parts == 1 and not (library and bias):
            return [_changed(operation, "gemm", operation.inputs, operation.outputs, operation.domain,
                             {**operation.attributes, "library": library})]  # fmt: skip
        rows = operation.domain[0] is None
        partial = Tensor((parts * n,) if rows else (parts, m, n), rows, name="parts")
        product = _changed(operation, "gemm", operation.inputs[:2], (partial,), operation.domain,
                           {**operation.attributes, "library": library, "parts": parts})  # fmt: skip
        joined = _changed(operation, "combine", (partial, *bias), operation.outputs, operation.domain, {"parts": parts})
        return [product, joined]

    # -- groups -----------------------------------------------------------------------------------------

    def _place(self, operation: Operation) -> None:
        """Into the first group that takes it; else into a new one at the end."""
        latest = max((self._writer.get(id(t.storage), -1) for t in (*operation.inputs, *operation.outputs)), default=-1)
        for tensor in operation.outputs:
            latest = max([latest, *self._readers.get(id(tensor.storage), [])])
        kind = _kind(operation)
        number = next(
            (
                number
                for number in range(max(latest, self._barrier, 0), len(self.groups))
                if self.fuse and accepts(self.groups[number], operation, kind, number == latest)
            ),
            len(self.groups),
        )
        if number == len(self.groups):
            self.groups.append(Group(kind, operation.domain[0], operation.domain[1], self._barrier))
        group = self.groups[number]
        group.width = max(group.width, operation.domain[1])
        group.operations.append(operation)
        for tensor in operation.inputs:
            self._readers.setdefault(id(tensor.storage), []).append(number)
        for tensor in operation.outputs:
            self._writer[id(tensor.storage)] = number

    def _join_columns(self) -> None:
        """Put reductions off until the next ones, where nothing in between reads what they give."""
        for group in [group for group in self.groups if group.kind == "columns"]:
            for later in self.groups[self.groups.index(group) + 1 :]:
                read = {id(tensor.storage) for o in later.operations for tensor in o.inputs}
                taken = {id(tensor.storage) for o in group.operations for tensor in o.inputs}
                if later.earliest > group.earliest or read & group.results or later.results & (taken | group.results):
                    break  # an ordered phase names the same memory in other ways: all gradients as one
                if later.guarded == group.guarded and _alike(group, later):
                    later.operations[:0] = group.operations
                    self.groups.remove(group)
                    break


def _alike(group: Group, later: Group) -> bool:
    """Whether two groups of reductions can be one."""
    return (
        (later.kind, later.height) == (group.kind, group.height)
        and later.operations[0].attributes["reduction"] == group.operations[0].attributes["reduction"]
        and len(later.operations) + len(group.operations) <= MOST_OPERATIONS
    )


def _predictions_apart(program: Program, library: bool) -> list[Operation]:
    """The operations, with a copy of the predictions at the end where it takes one.

    Predictions lie row after row of all steps. Maps and reductions write there; whatever reads them, or writes a step's
    rows as a matrix of its own, does so in the work area.
    """
    output, operations = program.output, program.operations
    writers = [o for o in operations if any(t.storage is output for t in o.outputs)]
    read = any(t.storage is output for o in operations for t in o.inputs)
    apart = ("kernel", "gemm") if library else ("kernel",)
    if output is None or not (read or len(writers) > 1 or any(o.kind in apart for o in writers)):
        return operations
    work = replace(output, space="work", offset=-1)

    def moved(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(
            work if t is output else replace(t, root=work) if t.storage is output else t for t in tensors
        )  # fmt: skip

    found = [replace(o, inputs=moved(o.inputs), outputs=moved(o.outputs)) for o in operations]
    last = writers[-1]
    return [*found, Operation("map", (work,), (output,), (None, output.features), same, {}, last.layer, last.phase)]


def _changed(
    operation: Operation,
    kind: str,
    inputs: Sequence[Tensor],
    outputs: tuple[Tensor, ...],
    domain: tuple[int | None, int],
    attributes: dict[str, object],
) -> Operation:
    """A part of an operation, or the same over another loop; `of` is the one that the program has."""
    attributes = {**attributes, "of": operation.attributes.get("of", operation)}
    function = operation.function if kind == "sum" else None
    return Operation(kind, tuple(inputs), outputs, domain, function, attributes, operation.layer, operation.phase)


def _needed_in_memory(operations: Iterable[Operation]) -> Iterable[int]:
    """Storages of batches and random numbers that must be stored: something reads them that cannot make them itself."""
    for operation in operations:
        if operation.kind in GENERATED and operation.outputs[0].space in LASTING:
            yield id(operation.outputs[0])
        for tensor in operation.inputs:
            gathers = operation.kind == "gemm" and not operation.attributes["library"] and tensor.space == "batch"
            if operation.kind in ("gemm", "kernel") and not gathers:
                yield id(tensor.storage)


def _kind(operation: Operation) -> str:
    if operation.kind == "gemm":
        return "library" if operation.attributes["library"] else "product"
    if operation.kind == "sum" and operation.attributes["over"] == "rows":
        return "columns"
    return operation.kind if operation.kind in ("check", "kernel") else "rows"


def accepts(group: Group, operation: Operation, kind: str, depends: bool) -> bool:
    """Whether an operation can join a group; `depends`: on something that the group reads or writes."""
    if len(group.operations) >= MOST_OPERATIONS:
        return False
    if group.kind == "product":
        return (
            kind == "rows"
            and operation.kind == "map"
            and "parts" not in group.operations[0].attributes
            and operation.domain == group.operations[0].domain
            and not any(tensor.space in ("weight", "slot") for tensor in operation.outputs)
            and _keeps_apart(group, operation)
        )
    if group.kind != kind or kind in ("kernel", "library"):
        return False
    if kind == "check":
        return True
    if group.height != operation.domain[0]:
        return False
    if kind == "columns":
        return not depends and operation.attributes["reduction"] == group.operations[0].attributes["reduction"]
    return _fits_row(group, operation) and _keeps_apart(group, operation)


def _fits_row(group: Group, operation: Operation) -> bool:
    """Whether the widths go together: all of one width, and what has one element a row."""
    width = operation.domain[1]
    if width == group.width:
        return True
    if min(width, group.width) != 1:
        return False
    # What each thread of a row computes for itself may not change what other threads still have to read.
    read, written = set[int](), set[int]()
    for one in (*group.operations, operation):
        if one.domain[1] == 1:
            read |= {id(tensor.storage) for tensor in one.inputs} - written
            written |= {id(tensor.storage) for tensor in one.outputs}
            if one.kind != "map" or read & written:
                return False
    return True


def _keeps_apart(group: Group, operation: Operation) -> bool:
    """Whether each thread reads, of what the group writes, only its own elements."""
    overwritten = {id(tensor.storage) for tensor in operation.outputs}
    own = all(_own(operation, t) for t in operation.inputs if id(t.storage) in group.results | overwritten)
    for other in group.operations:
        for tensor in other.inputs:
            if id(tensor.storage) in overwritten and (
                other.kind == "gemm" or operation.domain != other.domain or not _own(other, tensor)
            ):
                return False
    return own


def _own(operation: Operation, tensor: Tensor) -> bool:
    if operation.kind == "combine":
        return False
    how = pattern(tensor, operation.domain)
    return how in ("full", "row") or (how == "scalar" and operation.domain[0] == 1)
