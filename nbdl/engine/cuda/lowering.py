"""Launches of a program: kernels with their memory, for any number of rows and any place in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nbdl.engine.cuda.bodies import body_kernel
from nbdl.engine.cuda.columns import columns_kernel
from nbdl.engine.cuda.fusion import Fusion, Group
from nbdl.engine.cuda.kernel_text import KernelText
from nbdl.engine.cuda.product import leading, product_kernel
from nbdl.engine.cuda.rows import rows_kernel
from nbdl.engine.cuda.steps import check_kernel
from nbdl.engine.cuda.words import Argument, Kernel, Sizes, Writer
from nbdl.engine.program import Operation, Program, Tensor
from nbdl.errors import ConfigError

ALIGNMENT = 64  # floats: what a warp reads at once starts on 256 bytes
MOST_ELEMENTS = 2**31 - 1  # kernels count in int32


@dataclass
class Launch:
    """One launch of a step.

    Attributes:
        kernel: None for a product that goes to cuBLAS.
        arguments: for such a product, its two operands and its result.
        grid: gives the blocks for a number of rows.
    """

    operations: list[Operation]
    kernel: KernelText | None
    arguments: tuple[Argument, ...]
    block: tuple[int, ...] = ()
    grid: Any = None

    @property
    def layer(self) -> str:
        """Whose work it is, as listings say it."""
        return ", ".join(dict.fromkeys(operation.layer for operation in self.operations))

    def product(self, rows: int) -> dict[str, Any]:
        """Sizes and strides of a product that goes to cuBLAS."""
        operation = self.operations[0]
        m, n, k = operation.product(rows)
        a, b = operation.inputs[:2]
        return {
            "m": m, "n": n, "k": k, "lda": leading(a), "ldb": leading(b),
            "transpose_a": operation.attributes["transpose_a"], "transpose_b": operation.attributes["transpose_b"],
        }  # fmt: skip


@dataclass
class Places:
    """Where tensors lie in the work area, in floats, by the identity of their storage."""

    offsets: dict[int, int] = field(default_factory=dict)
    gradients: int = 0
    size: int = 0

    def take(self, floats: int) -> int:
        """New memory at the end."""
        start = self.size
        self.size += -(-floats // ALIGNMENT) * ALIGNMENT
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
        self.places = Places()
        self._allocate(gradient_size)

    def _launch(self, group: Group, dtypes: tuple[str, ...]) -> Launch:
        for operation in group.operations:
            for tensor in (*operation.inputs, *operation.outputs):
                if id(tensor.storage) not in self.fusion.virtual:
                    _refuse_too_large(operation, tensor, self.rows)
        if group.kind == "library":
            product = group.operations[0]
            operands = (*product.inputs[:2], product.outputs[0])
            return Launch(group.operations, None, tuple(Argument("tensor", tensor.storage) for tensor in operands))
        made = self._kernel(group, Writer(self.fusion.virtual, dtypes))
        threads = 1
        for size in made.block:
            threads *= size
        kernel = KernelText(made.title, made.text, made.parameters, threads)
        return Launch(group.operations, kernel, made.arguments, made.block, made.grid)

    def _kernel(self, group: Group, writer: Writer) -> Kernel:
        stored = self.fusion.stored(group)
        if group.kind == "rows":
            return rows_kernel(group.operations, group.height, group.width, stored, writer, self.sizes, group.guarded)
        if group.kind == "columns":
            return columns_kernel(group.operations, group.height, writer, self.sizes, group.guarded)
        if group.kind == "product":
            return product_kernel(group.operations, self.rows, stored, writer, self.sizes)
        if group.kind == "check":
            return check_kernel(group.operations, writer, self.sizes)
        return body_kernel(group.operations[0], writer, self.sizes)

    # -- memory -----------------------------------------------------------------------------------------

    def _allocate(self, gradient_size: int) -> None:
        """A place for every stored tensor: first fit; memory is used again once nobody reads it."""
        spaces = {t.space for launch in self.launches for o in launch.operations for t in o.outputs}
        if "gradient" in spaces:
            self.places.gradients = self.places.take(gradient_size)
        first, last, sizes = self._lifetimes()
        free: list[tuple[int, int]] = []
        for number in range(len(self.launches)):
            for key in [key for key, begin in first.items() if begin == number]:
                self.places.offsets[key] = self._fit(free, -(-sizes[key] // ALIGNMENT) * ALIGNMENT)
            for key, end in last.items():
                if end == number and self.fuse:
                    free.append((self.places.offsets[key], -(-sizes[key] // ALIGNMENT) * ALIGNMENT))

    def _fit(self, free: list[tuple[int, int]], size: int) -> int:
        for number, (start, room) in enumerate(free):
            if room >= size:
                free[number] = (start + size, room - size)
                return start
        return self.places.take(size)

    def _lifetimes(self) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        """First and last launch, and floats, of each tensor of the work area that a launch is given."""
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        sizes: dict[int, int] = {}
        for number, launch in enumerate(self.launches):
            for argument in launch.arguments:
                tensor = argument.of
                if argument.what == "tensor" and tensor.space in ("work", "batch"):
                    first.setdefault(id(tensor), number)
                    last[id(tensor)] = number
                    sizes[id(tensor)] = tensor.features * (self.rows if tensor.rows else 1)
        return first, last, sizes


def _refuse_too_large(operation: Operation, tensor: Tensor, rows: int) -> None:
    elements = tensor.features * (rows if tensor.rows else 1)
    if elements > MOST_ELEMENTS:
        raise ConfigError(
            f"layer {operation.layer!r}: {tensor.describe()} has {elements:,} elements for a batch of {rows} rows, and "
            f"GPU kernels count up to {MOST_ELEMENTS:,}: use a smaller batch_size"
        )
