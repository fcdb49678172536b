"""What the texts of all kernels share: sizes, operands and how they are spelt, device functions.

Within a text `row` and `j` are an element's row and column, and `e` is its place in a tensor of full width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbdl.engine.cuda.kernel_text import KernelText
from nbdl.engine.emit import Emitter
from nbdl.program.language.rewrite import CUDA
from nbdl.program.language.source import Function
from nbdl.program.operation import Operation
from nbdl.program.tensor import Tensor, pattern

# Words of a step in the table of integers, before the indices of its rows.
COUNTER, SEED_LOW, SEED_HIGH, FIRST, STEP_WORDS = range(5)
# Words that all steps share.
STATUS, CURSOR, STATE_WORDS = range(3)


@dataclass(frozen=True)
class ProductTile:
    """A block's part of a product: rows × columns of the result, `inner` of the inner size at a time.

    Attributes:
        rows_each, columns_each: of the result, in one thread's registers.
        unrolled: steps along the inner size written out, so that loads of one overlap with products of another.
    """

    rows: int
    columns: int
    inner: int
    rows_each: int
    columns_each: int
    unrolled: int

    @property
    def threads(self) -> int:
        """Threads of the block."""
        return (self.rows // self.rows_each) * (self.columns // self.columns_each)


@dataclass(frozen=True)
class Sizes:
    """Threads and tiles. The simulator's are small, for it runs each thread in Python.

    Attributes:
        elementwise: threads of a block that works element by element.
        row_threads: least threads of a block that reduces rows.
        widest_row: columns up to which each thread of a row has one element, and keeps it.
        column_threads: threads of a block that reduces columns, up to `columns_per_block` of them side by side.
        rows_per_thread: that a thread of such a block should add up, at most.
        body_parts: blocks that share out a hand-written body's result of fixed shape, at most.
        tiles: for products, the largest first.
        busy_threads: that keep a GPU busy; products are split until they have about as many.
        split_inner: the least part of the inner size that a split product leaves to a block.
        partial_floats: of the parts of a split product, at most.
        library: multiplications from which a product goes to cuBLAS, where there is one.
        steps: of a graph.
    """

    elementwise: int
    row_threads: int
    widest_row: int
    column_threads: int
    columns_per_block: int
    rows_per_thread: int
    body_parts: int
    tiles: tuple[ProductTile, ...]
    busy_threads: int
    split_inner: int
    partial_floats: int
    library: int
    steps: int


GPU = Sizes(
    elementwise=256,
    row_threads=128,
    widest_row=1024,
    column_threads=256,
    columns_per_block=32,
    rows_per_thread=64,
    body_parts=1024,
    tiles=(
        ProductTile(rows=128, columns=128, inner=8, rows_each=8, columns_each=8, unrolled=4),
        ProductTile(rows=64, columns=64, inner=16, rows_each=4, columns_each=4, unrolled=4),
        ProductTile(rows=32, columns=32, inner=16, rows_each=4, columns_each=4, unrolled=4),
        ProductTile(rows=128, columns=16, inner=16, rows_each=4, columns_each=2, unrolled=4),
    ),
    busy_threads=1 << 16,
    split_inner=64,
    partial_floats=1 << 20,
    library=1 << 27,
    steps=16,
)
SIMULATOR = Sizes(
    elementwise=16,
    row_threads=8,
    widest_row=8,
    column_threads=16,
    columns_per_block=4,
    rows_per_thread=4,
    body_parts=4,
    tiles=(
        ProductTile(rows=16, columns=16, inner=4, rows_each=4, columns_each=4, unrolled=2),
        ProductTile(rows=8, columns=8, inner=4, rows_each=2, columns_each=4, unrolled=2),
        ProductTile(rows=16, columns=4, inner=4, rows_each=2, columns_each=2, unrolled=2),
    ),
    busy_threads=96,
    split_inner=8,
    partial_floats=1 << 10,
    library=1 << 62,
    steps=3,
)


@dataclass(frozen=True)
class Argument:
    """What a kernel is launched with, before it has an address.

    Attributes:
        role: "tensor", "source" (the data of an input), "order" (the indices of the step's rows), "words" (the step's
            integers), "state", "position" (of the step in its graph), "rows", "constant", or "number".
        of: the tensor, the number of the input or constant, or the number itself.
    """

    role: str
    of: Any = None


@dataclass
class Launch:
    """One launch of a step: a kernel, and what it is launched with.

    Attributes:
        kernel: None for a product that goes to cuBLAS.
        arguments: of the kernel; for such a product its two operands and its result.
        block: threads.
        grid: gives the blocks for a number of rows.
        operations: of the program.
    """

    kernel: KernelText | None
    arguments: tuple[Argument, ...]
    block: tuple[int, ...] = ()
    grid: Callable[[int], tuple[int, ...]] = lambda rows: ()
    operations: Sequence[Operation] = ()

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
class Writer:
    """Collects the parameters of one kernel, its device functions, and spells operands.

    Attributes:
        virtual: tensors that are never stored: batches that are gathered, random numbers that are drawn, where they
            are read. By the identity of their storage, the operation that makes them.
    """

    virtual: Mapping[int, Operation]
    dtypes: tuple[str, ...]
    emitter: Emitter = field(default_factory=lambda: Emitter(CUDA))
    names: dict[Any, str] = field(default_factory=dict)
    types: list[str] = field(default_factory=list)
    arguments: list[Argument] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)
    draws: bool = False

    def parameter(self, kind: str, role: str, of: Any = None) -> str:
        """The name of a parameter of run, the same one for the same argument."""
        key = (kind, role, id(of) if isinstance(of, Tensor) else repr(of))
        if key not in self.names:
            self.names[key] = f"{'p' if kind.endswith('*') else 'n'}{len(self.types)}"
            self.types.append(kind)
            self.arguments.append(Argument(role, of))
        return self.names[key]

    def rows(self, height: int | None) -> str:
        """The parameter of the number of rows."""
        return self.parameter("int32", "rows") if height is None else self.parameter("int32", "number", height)

    def number(self, value: int) -> str:
        """The parameter of a size, which the text then does not depend on."""
        return self.parameter("int32", "number", value)

    def pointer(self, tensor: Tensor) -> str:
        """The parameter of a tensor's memory."""
        return self.parameter("float32*", "tensor", tensor.storage)

    def function(self, function: Function) -> str:
        """The name of a scalar function."""
        return self.emitter.function(function)

    def element(self, tensor: Tensor, domain: tuple[int | None, int], row: str = "row", j: str = "j") -> str:
        """An operand's element that the loop's row and column read."""
        how, storage = pattern(tensor, domain), tensor.storage
        if how == "index":
            return f"float32({j})"
        if storage.space == "constant" and tensor.features == 1:
            return self.parameter("float32", "constant", storage.offset)
        if id(storage) in self.virtual:
            return self.virtual_element(self.virtual[id(storage)], how, row, j)
        index = {"row": row, "feature": j, "scalar": "0"}.get(how)
        if index is None:
            index = row if domain[1] == 1 else "e" if j == "j" else f"{row} * {self.number(domain[1])} + {j}"
        return f"{self.pointer(tensor)}[{index}]"

    def result_index(self, tensor: Tensor, single: bool = False) -> str:
        """Where an operation stores the result of row `row` (and, unless it has one a row, column `j`)."""
        if tensor.storage.space != "output":
            return "row" if single else "e"
        first = f"int64({self.parameter('int32*', 'words')}[{FIRST}])"
        return f"({first} + row) * {self.number(tensor.features)} + {'0' if single else 'j'}"

    def virtual_element(self, operation: Operation, how: str, row: str, j: str) -> str:
        """An element of a batch or of random numbers."""
        width = operation.domain[1]
        column = "int32(0)" if how == "row" or width == 1 else j
        if operation.kind == "gather":
            source = operation.attributes["source"]
            data = self.parameter(f"{self.dtypes[source]}*", "source", source)
            order = self.parameter("int32*", "order")
            if width == 1:
                return f"float32({data}[{order}[{row}]])"
            return f"float32({data}[int64({order}[{row}]) * {self.number(width)} + {column}])"
        self.draws = True
        site, quarter = self.number(operation.attributes["site"]), self.number(-(-width // 4))
        return f"uniform({row}, {column}, {quarter}, {site}, {self.parameter('int32*', 'words')})"

    def launch(
        self, title: str, lines: list[str], block: tuple[int, ...], grid: Callable[[int], tuple[int, ...]]
    ) -> Launch:
        """The finished kernel with its arguments; `lines` are run's body."""
        arguments = ", ".join(self.names.values())
        head = f'"""{title}."""\n'
        body = "\n".join(["", "", f"def run({arguments}):", *(f"    {line}" for line in lines), ""])
        functions = self.emitter.functions() + "\n" + "".join(self.helpers)
        largest = LARGER if "larger(" in body else ""
        text = head + STARTS + largest + (RANDOM if self.draws else "") + functions + body
        kernel = KernelText(title, text, tuple(self.types), math.prod(block))
        return Launch(kernel, tuple(self.arguments), block, grid)


# What a reduction starts with, in the texts.
START = {"sum": "NOTHING", "max": "LEAST", "argmax": "LEAST"}

STARTS = """
NOTHING = float32(0.0)
LEAST = float32(float("-inf"))


"""

LARGER = """
@device
def larger(value, total):
    # A NaN must win against any number, or a maximum would hide it.
    return value if value > total or value != value else total


"""

# Philox4x32-10 as in nbdl.engine.random: column j takes word j div Q of counter (j mod Q, row, site, step).
RANDOM = """
M0 = uint64(0xD2511F53)
M1 = uint64(0xCD9E8D57)
W0 = uint64(0x9E3779B9)
W1 = uint64(0xBB67AE85)
LOW = uint64(0xFFFFFFFF)
HALF = uint64(32)
EIGHT = uint32(8)
TWO_TO_MINUS_24 = float32(5.9604644775390625e-08)


@device
def uniform(row, j, quarter, site, words):
    word, rest = int32(0), j
    while rest >= quarter:  # at most three times; a division would take longer
        word, rest = int32(word + 1), int32(rest - quarter)
    c0, c1 = uint32(rest), uint32(row)
    c2, c3 = uint32(site), uint32(words[COUNTER])
    k0, k1 = uint32(words[SEED_LOW]), uint32(words[SEED_HIGH])
    for _ in range(10):
        a, b = M0 * uint64(c0), M1 * uint64(c2)
        c0, c2 = uint32(uint32(b >> HALF) ^ c1 ^ k0), uint32(uint32(a >> HALF) ^ c3 ^ k1)
        c1, c3 = uint32(b & LOW), uint32(a & LOW)
        k0, k1 = uint32((uint64(k0) + W0) & LOW), uint32((uint64(k1) + W1) & LOW)
    drawn = c0
    if word == 1:
        drawn = c1
    elif word == 2:
        drawn = c2
    elif word == 3:
        drawn = c3
    return float32(drawn >> EIGHT) * TWO_TO_MINUS_24


"""
for _name, _value in {"COUNTER": COUNTER, "SEED_LOW": SEED_LOW, "SEED_HIGH": SEED_HIGH}.items():
    RANDOM = RANDOM.replace(f"words[{_name}]", f"words[{_value}]")


def leading(tensor: Tensor) -> int:
    """Elements from row to row of a product's operand."""
    return tensor.features if tensor.batched else tensor.features // tensor.shape[0]


def quotient(x: str, power: int) -> str:
    """The text of x // power, x not negative, for a power of two."""
    return f"({x} >> {power.bit_length() - 1})" if power > 1 else x


def remainder(x: str, power: int) -> str:
    """The text of x % power, likewise."""
    return f"({x} & {power - 1})" if power > 1 else "int32(0)"


def power_of_two(size: int) -> int:
    """The least power of two that is not below."""
    return 1 << max(0, size - 1).bit_length()


def divided(size: int, part: int) -> int:
    """How many parts cover a size."""
    return -(-size // part)
