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

from nbdl.engine.store import LINE, aligned
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
        reduced = chain.split == "blocks" and not all(tensor.rows for tensor in operation.outputs)
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
        return all(tensor.rows for tensor in operation.inputs)  # a sum over the rows: each chunk has its part
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
        return tensor.rows
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


# -- memory -----------------------------------------------------------------------------------------------


@dataclass
class Memory:
    """Where the tensors of the work area lie, in floats.

    Attributes:
        offsets: by the storage tensor.
        partial: where the parts of a tensor reduced over chunks lie, by the tensor.
        batch: where a gathered input lies, by its number.
        gradients: where the gradients start; they lie as the weights do.
        size: floats in all.
    """

    offsets: dict[int, int] = field(default_factory=dict)
    partial: dict[int, int] = field(default_factory=dict)
    batch: dict[int, int] = field(default_factory=dict)
    gradients: int = 0
    size: int = 0


def plan_memory(
    program: Program, partition: Partition, gradient_size: int, reuse: bool = True, guard: int = 0
) -> Memory:
    """A place for every tensor: memory is used again once nobody reads it, and in place where a map allows."""
    memory = Memory()

    def take(size: int) -> int:
        start = memory.size
        memory.size += aligned(size) + guard
        return start

    if any(tensor.space == "gradient" for operation in program.operations for tensor in operation.outputs):
        memory.gradients = take(gradient_size)
    for operation in program.operations:
        if operation.kind == "gather":
            memory.batch[operation.outputs[0].offset] = take(partition.rows * operation.outputs[0].features)
    for tensor, chunks in partition.partials.items():
        memory.partial[id(tensor)] = take(chunks * tensor.features)
    _Allocation(partition, memory, take, reuse).run()
    return memory


class _Allocation:
    """First fit over the order in which chains run."""

    def __init__(self, partition: Partition, memory: Memory, take: object, reuse: bool) -> None:
        self.partition, self.memory, self.take, self.reuse = partition, memory, take, reuse
        self.when: dict[int, int] = {}
        self.last: dict[int, int] = {}
        self.readers: dict[int, set[int]] = {}
        self.chains: dict[int, Chain] = {}
        self.free: list[tuple[int, int]] = []  # start, size

    def run(self) -> None:
        timeline = self._timeline()
        sizes: dict[int, int] = {}
        expiring: dict[int, list[int]] = {}
        for time, _, operation in timeline:
            for past in [moment for moment in expiring if moment < time]:
                for key in expiring.pop(past):
                    self.free.append((self.memory.offsets[key], aligned(sizes[key])))
            for tensor in operation.outputs:
                storage = tensor.storage
                key = id(storage)
                if storage.space != "work" or key in self.memory.offsets:
                    continue
                sizes[key] = storage.features * (self.partition.rows if storage.rows else 1)
                donor = self._donor(operation, storage, time)
                if donor is not None:
                    self.memory.offsets[key] = self.memory.offsets[donor]
                    expiring[self.last[donor]].remove(donor)
                else:
                    self.memory.offsets[key] = self._place(aligned(sizes[key]))
                expiring.setdefault(self.last.get(key, time), []).append(key)

    def _timeline(self) -> list[tuple[int, int, Operation]]:
        """(time, chain, operation): tasks of one stage overlap, so a stage is one moment unless it has one task."""
        timeline, time, chains = [], 0, 0
        for stage in self.partition.stages:
            alone = len(stage) == 1 and len(stage[0].tiles) == 1
            for chain in stage:
                chains += 1
                for operation in chain.operations:
                    timeline.append((time, chains, operation))
                    self.chains[id(operation)] = chain
                    for tensor in operation.inputs:
                        self.last[id(tensor.storage)] = time
                        self.readers.setdefault(id(tensor.storage), set()).add(chains)
                    time += 1 if alone else 0
            time += 1
        self.final = {}
        for _, _, operation in timeline:
            for tensor in operation.inputs:
                self.final[id(tensor.storage)] = operation
        return timeline

    def _donor(self, operation: Operation, output: Tensor, time: int) -> int | None:
        """An input of the same extent that dies here, whose memory the map can write over in place."""
        if operation.kind != "map" or len(operation.outputs) != 1 or not self.reuse:
            return None
        for tensor in operation.inputs:
            key = id(tensor.storage)
            if (
                tensor.storage.space == "work"
                and tensor.rows == output.rows
                and tensor.features == output.features
                and pattern(tensor, operation.domain) == "full"
                and self.final.get(key) is operation
                and len(self.readers[key]) == 1
                and key in self.memory.offsets
                and self._only_own_parts(operation, tensor)
            ):
                return key
        return None

    def _only_own_parts(self, operation: Operation, tensor: Tensor) -> bool:
        """Whether each tile of the operation's chain reads only its own part; another tile may have to read it yet."""
        chain = self.chains[id(operation)]
        return all(reads_within_tile(chain, reader, tensor) for reader in chain.operations)

    def _place(self, size: int) -> int:
        for number, (start, room) in enumerate(self.free):
            if self.reuse and room >= size:
                self.free[number] = (start + size, room - size)
                return start
        return self.take(size)  # type: ignore[operator, no-any-return]
