"""Launches of a program: kernels with their memory, for any number of rows and any place in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nbdl.engine.cuda.body_text import body_launch
from nbdl.engine.cuda.column_text import columns_launch
from nbdl.engine.cuda.fusion import Fusion, Group
from nbdl.engine.cuda.product_text import product_launch
from nbdl.engine.cuda.row_text import rows_launch
from nbdl.engine.cuda.step_text import check_launch
from nbdl.engine.cuda.text import Argument, Launch, Sizes, Writer, divided
from nbdl.errors import ConfigError
from nbdl.program.language.explain import naming
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor

ALIGNMENT = 64  # floats: what a warp reads at once starts on 256 bytes
MOST_ELEMENTS = 2**31 - 1  # kernels count in int32


def aligned(floats: int) -> int:
    """A size rounded up to whole pieces of memory."""
    return divided(floats, ALIGNMENT) * ALIGNMENT


@dataclass
class Places:
    """Where tensors lie in the work area, in floats, by the identity of their storage."""

    offsets: dict[int, int] = field(default_factory=dict)
    gradients: int = 0
    size: int = 0

    def take(self, floats: int) -> int:
        """New memory at the end."""
        start = self.size
        self.size += aligned(floats)
        return start


class Lowering:
    """A program as launches.

    Args:
        rows: the largest number of rows of a batch.
        dtypes: of the data of each input on the device: "float32" or "uint8".
        gradient_size: floats of all gradients, which lie as the weights do.
        library: whether large products go to cuBLAS.
        fuse: without it every operation is a launch of its own and all results are kept, for checked runs.

    Raises:
        ConfigError: a hand-written kernel has no CUDA body, or a tensor has more elements than kernels can count.
    """

    def __init__(
        self,
        program: Program,
        rows: int,
        dtypes: Sequence[str],
        gradient_size: int,
        sizes: Sizes,
        library: bool = False,
        fuse: bool = True,
    ) -> None:
        self.program, self.rows, self.sizes, self.fuse = program, rows, sizes, fuse
        self.fusion = Fusion(program, rows, sizes, library, fuse)
        self.launches = [self._launch(group, tuple(dtypes)) for group in self.fusion.groups]
        self.arena_plan = Places()
        self._allocate(gradient_size)

    def _launch(self, group: Group, dtypes: tuple[str, ...]) -> Launch:
        for operation in group.operations:
            for tensor in (*operation.inputs, *operation.outputs):
                if id(tensor.storage) not in self.fusion.virtual:
                    _refuse_too_large(operation, tensor, self.rows)
        if group.kind == "library":
            product = group.operations[0]
            operands = (*product.inputs[:2], product.outputs[0])
            arguments = tuple(Argument("tensor", tensor.storage) for tensor in operands)
            return Launch(None, arguments, operations=group.operations)
        with naming(group.operations):
            launch = self._made(group, Writer(self.fusion.virtual, dtypes))
        launch.operations = group.operations
        return launch

    def _made(self, group: Group, writer: Writer) -> Launch:
        stored = self.fusion.stored(group)
        if group.kind == "rows":
            return rows_launch(group.operations, group.height, group.width, stored, writer, self.sizes, group.guarded)
        if group.kind == "columns":
            return columns_launch(group.operations, group.height, writer, self.sizes, group.guarded)
        if group.kind == "product":
            return product_launch(group.operations, self.rows, stored, writer, self.sizes)
        if group.kind == "check":
            return check_launch(group.operations, writer, self.sizes)
        return body_launch(group.operations[0], writer, self.sizes)

    # -- memory -----------------------------------------------------------------------------------------

    def _allocate(self, gradient_size: int) -> None:
        """A place for every stored tensor: first fit; memory is used again once nobody reads it."""
        spaces = {t.space for launch in self.launches for o in launch.operations for t in o.outputs}
        if "gradient" in spaces:
            self.arena_plan.gradients = self.arena_plan.take(gradient_size)
        first, last, sizes = self._lifetimes()
        free: list[tuple[int, int]] = []
        for number in range(len(self.launches)):
            for key in [key for key, begin in first.items() if begin == number]:
                self.arena_plan.offsets[key] = self._fit(free, aligned(sizes[key]))
            for key, end in last.items():
                if end == number and self.fuse:
                    free.append((self.arena_plan.offsets[key], aligned(sizes[key])))
            free = _joined(free)

    def _fit(self, free: list[tuple[int, int]], size: int) -> int:
        for number, (start, room) in enumerate(free):
            if room >= size:
                free[number] = (start + size, room - size)
                return start
        return self.arena_plan.take(size)

    def _lifetimes(self) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        """First and last launch, and floats, of each tensor of the work area that a launch is given."""
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        sizes: dict[int, int] = {}
        for number, launch in enumerate(self.launches):
            for argument in launch.arguments:
                tensor = argument.of
                if argument.role == "tensor" and tensor.space in ("work", "batch"):
                    first.setdefault(id(tensor), number)
                    last[id(tensor)] = number
                    sizes[id(tensor)] = tensor.features * (self.rows if tensor.batched else 1)
        return first, last, sizes


def _joined(free: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Free pieces (start, size), those that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, size in sorted(free):
        if joined and sum(joined[-1]) == start:
            joined[-1] = joined[-1][0], joined[-1][1] + size
        elif size:
            joined.append((start, size))
    return joined


def _refuse_too_large(operation: Operation, tensor: Tensor, rows: int) -> None:
    elements = tensor.features * (rows if tensor.batched else 1)
    if elements > MOST_ELEMENTS:
        raise ConfigError(
            f"layer {operation.layer!r}: {tensor.describe()} has {elements:,} elements for a batch of {rows} rows, and "
            f"GPU kernels count up to {MOST_ELEMENTS:,}: use a smaller batch_size"
        )
