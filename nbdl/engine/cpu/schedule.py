"""Schedule: how a program runs on a CPU: stages of tasks, tiles, and a place for every tensor.

Operations that can pass through one tile together form a *chain*. The chains that do not depend on one another form
a *stage*; a stage's tasks (a chain and a tile of it) may run at once. All of it follows from shapes alone, never from
the number of threads, so the bits do not depend on it:

    whole    one tile: small work, every operation over its full range
    columns  tiles over the columns of the output, that is over the weight matrix
    rows     tiles over the rows, of a batch or of a weight's gradient
    grid     both, for large batches
    blocks   chunks of rows, in blocks that pass through all operations of the chain while they are in cache; each
             chunk sums its own part of a reduction over rows, and the parts are added in order
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from nbdl.engine.store import LINE
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor, pattern

# Costs in µs of one core, good enough to tell small work from large.
GEMM_FLOPS_PER_US = 200_000.0
ELEMENTS_PER_US = 4_000.0
OPERATION_US = 0.05

SMALL_STEP_US = 80.0  # a whole step below this runs on one thread
SMALL_CHAIN_US = 8.0  # a chain below this is one task
TILE_US = 30.0  # a tile should not be much smaller
MOST_TILES = 16
NARROWEST = 32  # columns of a tile: a product's panel

# Phases that begin when all before them is done: they write what earlier operations read.
ORDERED_PHASES = ("check", "regularize", "update", "assign", "constrain")

BLOCK_ROWS, FEWEST_BLOCK_ROWS = 256, 64
MOST_CHUNKS = 32
MANY_ROWS = 1024
PARTIAL_BYTES = 2 << 20
BLOCK_BYTES = 512 << 10


class Tile(NamedTuple):
    """A part of a chain: rows part `part` of `parts` (0: all), columns [c0, c1) (c1 = 0: all)."""

    part: int = 0
    parts: int = 0
    c0: int = 0
    c1: int = 0


@dataclass(eq=False)
class Chain:
    """Operations that run one after another on each tile."""

    split: str
    height: int | None
    width: int
    tiles: list[Tile]
    block: int = 0
    operations: list[Operation] = field(default_factory=list)

    def cost(self, rows: int) -> float:
        """Estimated µs on one core."""
        return sum(cost(operation, rows) for operation in self.operations)


def cost(operation: Operation, rows: int) -> float:
    """Estimated µs of one operation on one core."""
    if operation.kind == "gemm":
        return OPERATION_US + operation.flops(rows) / GEMM_FLOPS_PER_US
    return OPERATION_US + operation.elements(rows) / ELEMENTS_PER_US


class Partition:
    """Arranges a program's operations into stages of chains.

    Attributes:
        stages: lists of chains, in order.
        partials: for a tensor reduced over chunks of rows, the number of chunks.
    """

    def __init__(self, program: Program, rows: int, whole: bool = False) -> None:
        self.rows = rows
        self.stages: list[list[Chain]] = []
        self.partials: dict[Tensor, int] = {}
        self._writer: dict[int, tuple[int, Chain]] = {}
        self._readers: dict[int, list[tuple[int, Chain] | None]] = {}
        self._operations, self._row_floats = program.operations, program.row_floats
        total = sum(cost(operation, rows) for operation in program.operations)
        self.mode = "whole" if whole or total < SMALL_STEP_US else "tiles"
        if self.mode == "tiles" and self._fits_blocks():
            self.mode = "blocks"
        phase, self._barrier = "", 0
        for operation in program.operations:
            if operation.phase in ORDERED_PHASES and operation.phase != phase and self.mode != "whole":
                self._barrier = len(self.stages)
            phase = operation.phase
            self._place(operation)

    def _fits_blocks(self) -> bool:
        """Whether blocks of rows pay: many rows, a small net."""
        gradients = sum(t.features for o in self._operations for t in o.outputs if t.space == "gradient")
        products = max((o.domain[1] for o in self._operations if o.kind == "gemm"), default=0)
        return (
            self.rows >= MANY_ROWS
            and self._chunks() * gradients * 4 <= PARTIAL_BYTES
            and self._block() >= FEWEST_BLOCK_ROWS
            and products <= BLOCK_ROWS
        )

    def _block(self) -> int:
        """As many rows as keep all that is computed of them in cache."""
        fitting = BLOCK_BYTES // (4 * max(1, self._row_floats))
        return min(BLOCK_ROWS, 1 << (fitting.bit_length() - 1)) if fitting else 0

    def _chunks(self) -> int:
        return min(MOST_CHUNKS, -(-self.rows // BLOCK_ROWS))

    def _place(self, operation: Operation) -> None:
        """Into the chain of what it depends on, if tiles allow; else into a new chain of the next stage."""
        level = self._barrier
        producers: list[Chain] = []
        touched = [*operation.inputs, *(t for t in operation.outputs if t.space not in ("work", "gradient"))]
        earlier = [self._writer.get(id(tensor.storage)) for tensor in touched]
        for tensor in operation.outputs:
            earlier += self._readers.get(id(tensor.storage), [])  # written over: who read the old values comes first
        for known in earlier:
            if known is not None and known[0] >= level:
                if known[0] > level:
                    level, producers = known[0], []
                producers.append(known[1])
        chain = self._joinable(operation, level, producers)
        if chain is None:
            level += 1 if producers else 0
            chain = self._new_chain(operation)
            while len(self.stages) <= level:
                self.stages.append([])
            self.stages[level].append(chain)
        elif chain.split == "columns":
            # A chain has as many tiles as its heaviest operation wants.
            split, tiles = tiling(operation, self.rows)
            if split == "columns" and len(tiles) > len(chain.tiles):
                chain.tiles = tiles
        chain.operations.append(operation)
        for tensor in operation.inputs:
            self._readers.setdefault(id(tensor.storage), []).append((level, chain))
        self._note_results(operation, chain, level)

    def _joinable(self, operation: Operation, level: int, producers: list[Chain]) -> Chain | None:
        if self.mode == "whole":
            return self.stages[0][0] if self.stages else None
        candidates = {id(chain): chain for chain in producers}
        if len(candidates) == 1:
            chain = producers[0]
            return chain if accepts(chain, operation, self.rows) else None
        if not candidates and self.mode == "blocks" and level < len(self.stages):
            # Independent operations (gathering y, random numbers) pass through the same blocks.
            return next(
                (c for c in self.stages[level] if c.split == "blocks" and accepts(c, operation, self.rows)), None
            )
        return None

    def _note_results(self, operation: Operation, chain: Chain, level: int) -> None:
        reduced = chain.split == "blocks" and not all(tensor.batched for tensor in operation.outputs)
        for tensor in operation.outputs:
            self._writer[id(tensor.storage)] = (level, chain)
            if reduced:
                self.partials[tensor] = len(chain.tiles)
                self._combine(operation, tensor, level + 1)

    def _combine(self, operation: Operation, tensor: Tensor, level: int) -> None:
        reduction = operation.attributes.get("reduction", "sum")
        combining = Operation(
            "combine", (tensor,), (tensor,), (1, tensor.features), None, {"reduction": reduction},
            operation.layer, operation.phase,
        )  # fmt: skip
        while len(self.stages) <= level:
            self.stages.append([])
        small = next((c for c in self.stages[level] if c.split == "whole"), None)
        chain = small or Chain("whole", 1, 0, [Tile()])
        if small is None:
            self.stages[level].append(chain)
        chain.operations.append(combining)
        self._writer[id(tensor.storage)] = (level, chain)

    def _new_chain(self, operation: Operation) -> Chain:
        height, width = operation.domain
        if self.mode == "whole":
            return Chain("whole", height, width, [Tile()])
        if self.mode == "blocks" and height is None:
            chunks = self._chunks()
            return Chain("blocks", None, width, [Tile(part, chunks) for part in range(chunks)], self._block())
        split, tiles = tiling(operation, self.rows)
        return Chain(split, height, width, tiles)


def accepts(chain: Chain, operation: Operation, rows: int) -> bool:
    """Whether an operation that depends on a chain can run on each of its tiles right after it.

    It can if what it reads of the chain's results lies within the tile, as what the chain reads of its own results
    does, and its own loop splits the same way.
    """
    height, width = operation.domain
    if chain.split == "whole":
        return operation.kind == "combine" or cost(operation, rows) < SMALL_CHAIN_US
    if not _keep_apart(chain, operation):
        return False
    if chain.split == "columns":
        return _accepts_columns(chain, operation)
    if chain.split == "rows" and len(tiling(operation, rows)[1]) > len(chain.tiles):
        return False  # too much work for so few tiles
    if chain.split == "blocks" and operation.kind == "gemm" and height is not None:
        return all(tensor.batched for tensor in operation.inputs)  # a sum over the rows: each chunk has its part
    if height is not None or (chain.split == "rows" and chain.height is not None):
        return chain.split == "rows" and chain.height == height and operation.kind == "map" and width == chain.width
    if chain.split == "grid":
        return operation.kind == "map" and width == chain.width
    if operation.kind == "sum" and operation.attributes["over"] == "rows":
        return chain.split == "blocks"
    return True


def _accepts_columns(chain: Chain, operation: Operation) -> bool:
    if operation.domain[1] != chain.width or operation.kind not in ("map", "sum", "gemm"):
        return False
    return operation.attributes.get("over") != "features"


def _keep_apart(chain: Chain, operation: Operation) -> bool:
    """Whether tiles of a chain stay independent with one more operation: whatever is both written and read is local."""
    results = {id(t.storage) for o in chain.operations for t in o.outputs}
    overwritten = {id(t.storage) for t in operation.outputs}
    return all(
        reads_within_tile(chain, operation, t) for t in operation.inputs if id(t.storage) in results | overwritten
    ) and all(
        reads_within_tile(chain, o, t) for o in chain.operations for t in o.inputs if id(t.storage) in overwritten
    )


def reads_within_tile(chain: Chain, operation: Operation, tensor: Tensor) -> bool:
    """Whether an operation, run on one tile of a chain, reads only that tile's own part of a tensor.

    Only then may the tensor be written by the same chain: other tiles run before, after or beside this one.
    """
    return all(
        _reads_own_part(chain, operation, position)
        for position, operand in enumerate(operation.inputs)
        if operand.storage is tensor.storage
    )


def _reads_own_part(chain: Chain, operation: Operation, position: int) -> bool:
    tensor, width = operation.inputs[position], operation.domain[1]
    over = operation.attributes.get("over")
    if chain.split == "whole":
        return True
    if operation.kind == "kernel" and operation.domain[0] is not None:
        return False  # it may read everything
    if chain.split == "blocks":
        return tensor.batched
    if operation.kind == "gemm":
        if chain.split == "columns":  # those of b as it lies, and of the bias; a is read whole
            return width == chain.width and position > 0 and not (position == 1 and operation.attributes["transpose_b"])
        return chain.split == "rows" and position == 0 and not operation.attributes["transpose_a"]
    how = pattern(tensor, operation.domain)
    if chain.split == "rows":
        return how in ("full", "row") and over != "rows"
    if width != chain.width or operation.kind == "kernel":
        return False
    if chain.split == "columns":
        return how in ("full", "feature") and over != "features"
    return how == "full" and over is None


def tiling(operation: Operation, rows: int) -> tuple[str, list[Tile]]:
    """How the loop of a chain's first operation is split, by its shape alone."""
    height, width = operation.domain
    count = rows if height is None else height
    work = cost(operation, rows)
    if work < SMALL_CHAIN_US:
        return "whole", [Tile()]
    wanted = max(2, min(MOST_TILES, round(work / TILE_US)))
    wanted = 1 << (wanted.bit_length() - 1)  # powers of two share out evenly
    over = operation.attributes.get("over")
    if over == "rows" and width < 2 * NARROWEST:
        return "whole", [Tile()]  # a few columns, and nothing may split the rows
    if over == "features" or operation.kind in ("gather", "uniform", "kernel") or width < 2 * NARROWEST:
        return "rows", _parts(min(wanted, max(1, count // LINE)))
    if operation.kind == "gemm" and count >= width and height is None and wanted > 2:
        columns = 1 << min((wanted.bit_length() - 1) // 2, (width // (2 * NARROWEST)).bit_length() - 1)
        return "grid", _grid(wanted // columns, columns, width)
    return "columns", _columns(min(wanted, width // NARROWEST), width)


def _parts(count: int) -> list[Tile]:
    return [Tile(part, count) for part in range(count)] if count > 1 else [Tile()]


def _columns(count: int, width: int) -> list[Tile]:
    panels = -(-width // NARROWEST)
    edges = [panels * part // count * NARROWEST for part in range(count)] + [width]
    return [Tile(0, 0, a, b) for a, b in pairwise(edges)]


def _grid(row_parts: int, column_parts: int, width: int) -> list[Tile]:
    return [
        Tile(part, row_parts, tile.c0, tile.c1) for part in range(row_parts) for tile in _columns(column_parts, width)
    ]
