"""What the texts of all kernels share: sizes, operands and how they are spelt, device functions.

Within a text `row` and `j` are an element's row and column, and `e` is its place in a tensor of full width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbdl.engine.program import Operation, Tensor, pattern
from nbdl.engine.scalar import CUDA, Emitter
from nbdl.engine.source import Function

# Words of a step in the table of integers, before the indices of its rows.
COUNTER, SEED_LOW, SEED_HIGH, FIRST, STEP_WORDS = range(5)
# Words that all steps share.
STATUS, CURSOR, STATE_WORDS = range(3)


@dataclass(frozen=True)
class ProductTile:
    """A block's part of a product: rows × columns of the result, so many of the inner size at a time."""

    rows: int
    columns: int
    inner: int
    rows_each: int
    columns_each: int

    @property
    def threads(self) -> int:
        """Threads of the block."""
        return (self.rows // self.rows_each) * (self.columns // self.columns_each)


@dataclass(frozen=True)
class Sizes:
    """Threads and tiles. The simulator's are small, for it runs each thread in Python.

    Attributes:
        elementwise: threads of a block that works element by element.
        row: least threads of a block that reduces rows.
        widest: columns up to which each thread of a row has one element, and keeps it.
        column: threads of a block that reduces columns, `strip` columns of them side by side.
        share: rows that a thread of such a block should add up, at most.
        tiles: for products, the largest first.
        blocks: that a launch should have, to fill a GPU.
        split_inner: the least part of the inner size that a split product leaves to a block.
        library: multiplications from which a product goes to cuBLAS, where there is one.
        steps: of a graph.
    """

    elementwise: int
    row: int
    widest: int
    column: int
    strip: int
    share: int
    tiles: tuple[ProductTile, ...]
    blocks: int
    split_inner: int
    library: int
    steps: int


GPU = Sizes(
    256, 128, 1024, 256, 32, 64,
    (ProductTile(128, 128, 8, 8, 8), ProductTile(64, 64, 16, 4, 4), ProductTile(32, 32, 32, 4, 4)),
    256, 64, 1 << 30, 16,
)  # fmt: skip
SIMULATOR = Sizes(
    16, 8, 8, 16, 4, 4, (ProductTile(16, 16, 4, 4, 4), ProductTile(8, 8, 4, 2, 4)), 4, 8, 1 << 62, 3
)  # fmt: skip


@dataclass(frozen=True)
class Argument:
    """What a kernel is launched with, before it has an address.

    Attributes:
        what: "tensor", "source" (the data of an input), "order" (the indices of the step's rows), "words" (the step's
            integers), "state", "position" (of the step in its graph), "rows", "constant", or "number".
        of: the tensor, the number of the input or constant, or the number itself.
    """

    what: str
    of: Any = None


@dataclass
class Kernel:
    """A kernel's text with what it is launched with; `grid` gives the blocks for a number of rows."""

    title: str
    text: str
    parameters: tuple[str, ...]
    arguments: tuple[Argument, ...]
    block: tuple[int, ...]
    grid: Any


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

    def parameter(self, kind: str, what: str, of: Any = None) -> str:
        """The name of a parameter of run, the same one for the same argument."""
        key = (kind, what, id(of) if isinstance(of, Tensor) else repr(of))
        if key not in self.names:
            self.names[key] = f"{'p' if kind.endswith('*') else 'n'}{len(self.types)}"
            self.types.append(kind)
            self.arguments.append(Argument(what, of))
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
        if storage.space == "constant":
            return self.parameter("float32", "constant", storage.offset)
        if id(storage) in self.virtual:
            return self.virtual_element(self.virtual[id(storage)], how, row, j)
        place = {"row": row, "feature": j, "scalar": "0"}.get(how)
        if place is None:
            place = row if domain[1] == 1 else "e" if j == "j" else f"{row} * {self.number(domain[1])} + {j}"
        return f"{self.pointer(tensor)}[{place}]"

    def place(self, tensor: Tensor, single: bool = False) -> str:
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

    def kernel(self, title: str, lines: list[str], block: tuple[int, ...], grid: Any) -> Kernel:
        """The finished kernel; `lines` are run's body."""
        arguments = ", ".join(self.names.values())
        drawing = RANDOM if self.draws else ""
        head = f'"""{title}."""\n'
        body = "\n".join(["", "", f"def run({arguments}):", *(f"    {line}" for line in lines), ""])
        text = head + REDUCING + drawing + self.emitter.functions() + "\n" + "".join(self.helpers) + body
        return Kernel(title, text, tuple(self.types), tuple(self.arguments), block, grid)


# What a reduction starts with, in the texts.
START = {"sum": "NOTHING", "max": "LEAST", "argmax": "LEAST"}

REDUCING = """
NOTHING = float32(0.0)
LEAST = float32(float("-inf"))


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
