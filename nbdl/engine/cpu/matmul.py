"""Matrix products: a register tile in LLVM's vectors, and the loops around it.

    C[i, j] = Σ_p op(A)[i, p]·op(B)[p, j] + start[i, j]

A tile of ROWS × (2 vectors) of C stays in registers while p runs; each step loads two vectors of B and broadcasts ROWS
elements of A. Columns beyond the edge are masked, so no shape needs a tail of its own. Panels of B that are spread over
memory or to be transposed, and rows of an A that is to be transposed and large, are copied together first, on the
stack: at most 208 kB, and 128 where A is not transposed, as in prediction. DESIGN.md has the speeds.

Every element of C is one chain of fused multiply-adds in the order of p, whatever the tiles: the bits of a product
depend on nothing but its operands.

The vectors are as wide as the processor's; on others than x86 LLVM splits or joins them.
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I1, I32, I64, F32 = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.FloatType()


@functools.cache
def lanes() -> int:
    """Floats in a vector register of the processor that kernels are compiled for."""
    import llvmlite.binding as llvm
    from numba import config

    features = {} if config.CPU_NAME else llvm.get_host_cpu_features()
    return 16 if features.get("avx512f") and features.get("avx512vl") else 8


LANES = lanes()
ROWS = 8 if LANES == 16 else 4  # accumulators enough to hide the latency, few enough for the registers
PANEL = 2 * LANES  # columns of a register tile
GROUP = 4 * PANEL  # columns of B that are copied together: short pieces of rows that lie far apart are slow to read
BLOCK = 4 * LANES  # rows of a transposed A that are copied together
PACKED = BLOCK + LANES  # from step to step of them: a power of two would fall on few lines of the cache
PACK_ROWS, PACK_EXTENT = 32, 8192  # rows that repay a copy of B; floats over which what is copied was spread
PACK_EXTENT_OF_A = 1 << 17  # the same of A, which is read in longer pieces
AHEAD = (
    16  # steps of B that are fetched before they are copied: the processor does not foresee its short pieces of rows
)
FAR = 1024  # floats from row to row of C, from which on it is fetched before it is written
DEPTH = 256  # steps of p between which C is put back; a transposed panel of B then fits the first-level cache
VECTOR, MASK = ir.VectorType(F32, LANES), ir.VectorType(I1, LANES)
ZERO = ir.Constant(VECTOR, [0.0] * LANES)


def _constant(value: int) -> Any:
    return ir.Constant(I64, value)


def _floats(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, F32.as_pointer())


def _function(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    suffix = f"v{LANES}f32"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name.format(suffix))


def _load(builder: Any, address: Any, mask: Any) -> Any:
    pointer = VECTOR.as_pointer()
    function = _function(builder, "llvm.masked.load.{}.p0", VECTOR, [pointer, I32, MASK, VECTOR])
    return builder.call(function, [builder.inttoptr(address, pointer), ir.Constant(I32, 4), mask, ZERO])


def _store(builder: Any, value: Any, address: Any, mask: Any) -> None:
    pointer = VECTOR.as_pointer()
    function = _function(builder, "llvm.masked.store.{}.p0", ir.VoidType(), [VECTOR, pointer, I32, MASK])
    builder.call(function, [value, builder.inttoptr(address, pointer), ir.Constant(I32, 4), mask])


def _prefetch(builder: Any, address: Any, write: int) -> None:
    pointer = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, I32, I32, I32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    keep, data = ir.Constant(I32, 3), ir.Constant(I32, 1)
    builder.call(function, [builder.inttoptr(address, pointer), ir.Constant(I32, write), keep, data])


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.call(_function(builder, "llvm.fma.{}", VECTOR, [VECTOR, VECTOR, VECTOR]), [a, b, c])


def _broadcast(builder: Any, value: Any, item: Any) -> Any:
    wide = ir.VectorType(item, LANES)
    empty = ir.Constant(wide, ir.Undefined)
    single = builder.insert_element(empty, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(I32, LANES), [0] * LANES))


def _below(builder: Any, count: Any) -> Any:
    """A mask of the first `count` lanes, which may be none or more than there are."""
    numbers = ir.Constant(ir.VectorType(I32, LANES), list(range(LANES)))
    return builder.icmp_signed("<", numbers, _broadcast(builder, builder.trunc(count, I32), I32))


def _tile(rows: int, vectors: int) -> Any:
    """An intrinsic that computes `rows` × (`vectors` vectors) of C.

    Of the rows, `there` are there; the others repeat the last and write what it writes. An element of A lies `a_row`
    from that of the row before and `a_step` from that of the step before, so A may be transposed or not.
    """

    @intrinsic
    def tile(
        typingctx: Any, there: Any, a: Any, a_row: Any, a_step: Any, b: Any, ldb: Any, c: Any, ldc: Any, depth: Any,
        columns: Any, start: Any, start_ld: Any,
    ) -> Any:  # fmt: skip
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _Tile(builder, rows, vectors, *args).emit()
            return context.get_dummy_value()

        return types.void(*([types.int64] * 12)), codegen

    return tile


class _Tile:
    """Writes the IR of one register tile. Leading dimensions come in floats; `start` 0 means zeros."""

    def __init__(
        self, builder: Any, rows: int, vectors: int, there: Any, a: Any, a_row: Any, a_step: Any, b: Any, ldb: Any,
        c: Any, ldc: Any, depth: Any, columns: Any, start: Any, start_ld: Any,
    ) -> None:  # fmt: skip
        self.builder, self.rows, self.vectors = builder, rows, vectors
        self.b, self.c, self.depth, self.start = b, c, depth, start
        four = _constant(4)
        self.a_step, self.ldb = builder.mul(a_step, four), builder.mul(ldb, four)
        self.ldc, self.start_ld = builder.mul(ldc, four), builder.mul(start_ld, four)
        self.masks = [_below(builder, builder.sub(columns, _constant(number * LANES))) for number in range(vectors)]
        self.cells = [(row, vector) for row in range(rows) for vector in range(vectors)]
        final = builder.sub(there, _constant(1))
        self.row_number = []
        for row in range(rows):
            number = _constant(row)
            self.row_number.append(builder.select(builder.icmp_signed("<", number, final), number, final))
        a_row = builder.mul(a_row, four)
        self.rows_of_a = [builder.add(a, builder.mul(a_row, number)) for number in self.row_number]

    def emit(self) -> None:
        """start → loop over p → store."""
        builder = self.builder
        blocks = [builder.append_basic_block(name) for name in ("given", "begin", "loop", "done")]
        resumed, begin, loop, done = blocks
        with builder.if_then(builder.icmp_signed(">=", self.ldc, _constant(4 * FAR)), likely=False):
            for cell in self.cells:
                self._fetch(*cell)
        entry = builder.block
        builder.cbranch(builder.icmp_signed("!=", self.start, _constant(0)), resumed, begin)
        builder.position_at_end(resumed)
        loaded = {cell: self._place(self.start, self.start_ld, *cell, None) for cell in self.cells}
        builder.branch(begin)
        builder.position_at_end(begin)
        first = {}
        for cell in self.cells:
            first[cell] = builder.phi(VECTOR)
            first[cell].add_incoming(ZERO, entry)
            first[cell].add_incoming(loaded[cell], resumed)
        builder.cbranch(builder.icmp_signed(">", self.depth, _constant(0)), loop, done)
        builder.position_at_end(loop)
        last = self._loop(first, begin, loop, done)
        builder.position_at_end(done)
        for cell in self.cells:
            result = builder.phi(VECTOR)
            result.add_incoming(first[cell], begin)
            result.add_incoming(last[cell], loop)
            last[cell] = result
        for cell in self.cells:
            self._place(self.c, self.ldc, *cell, last[cell])

    def _fetch(self, row: int, vector: int) -> None:
        """Have a vector of C at hand by the time that it is written: it may lie in main memory."""
        builder = self.builder
        offset = builder.add(builder.mul(self.ldc, self.row_number[row]), _constant(4 * LANES * vector))
        _prefetch(builder, builder.add(self.c, offset), 1)

    def _place(self, base: Any, leading: Any, row: int, vector: int, value: Any) -> Any:
        """Load (value None) or store one vector of a rows × columns array."""
        builder = self.builder
        offset = builder.add(builder.mul(leading, self.row_number[row]), _constant(4 * LANES * vector))
        address = builder.add(base, offset)
        if value is None:
            return _load(builder, address, self.masks[vector])
        return _store(builder, value, address, self.masks[vector])

    def _loop(self, first: Any, begin: Any, loop: Any, done: Any) -> Any:
        """One step of p: vectors of B, and for each row one broadcast element of A."""
        builder = self.builder
        p = builder.phi(I64)
        p.add_incoming(_constant(0), begin)
        sums = {}
        for cell in self.cells:
            sums[cell] = builder.phi(VECTOR)
            sums[cell].add_incoming(first[cell], begin)
        row_of_b, step = builder.add(self.b, builder.mul(p, self.ldb)), builder.mul(p, self.a_step)
        b = [
            _load(builder, builder.add(row_of_b, _constant(4 * LANES * number)), self.masks[number])
            for number in range(self.vectors)
        ]
        after = {}
        for row in range(self.rows):
            element = builder.load(_floats(builder, builder.add(self.rows_of_a[row], step)))
            a = _broadcast(builder, element, F32)
            for number in range(self.vectors):
                after[row, number] = _fused(builder, a, b[number], sums[row, number])
        following = builder.add(p, _constant(1))
        p.add_incoming(following, loop)
        for cell in self.cells:
            sums[cell].add_incoming(after[cell], loop)
        builder.cbranch(builder.icmp_signed("<", following, self.depth), loop, done)
        return after


# Rows × vectors. Few of them, since each costs a quarter of a second to compile; a tile of a single row takes more
# columns, or it would wait for its own sums.
tile_8_2, tile_4_2 = _tile(8, 2), _tile(4, 2)
tile_8_1, tile_4_1 = _tile(8, 1), _tile(4, 1)
tile_1_8 = _tile(1, 8)


@intrinsic
def scratch(typingctx: Any, size: Any) -> Any:
    """The address of `size` floats on the caller's stack. LLVM takes seconds to look through a size that it knows."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.alloca(VECTOR, size=builder.udiv(args[0], _constant(LANES)))
        pointer.align = 64
        return builder.ptrtoint(pointer, I64)

    return types.int64(types.int64), codegen


@intrinsic
def transpose_block(
    typingctx: Any, source: Any, leading: Any, rows: Any, columns: Any, target: Any, target_leading: Any
) -> Any:
    """target[j, i] = source[i, j] for a block of LANES × LANES, of which `rows` × `columns` are there.

    Rows beyond the last are read from the last, and columns beyond come out as zeros; both are masked later.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, leading, rows, columns, target, target_leading = args
        step, target_step = builder.mul(leading, _constant(4)), builder.mul(target_leading, _constant(4))
        mask, final = _below(builder, columns), builder.sub(rows, _constant(1))
        block = []
        for number in range(LANES):
            index = _constant(number)
            index = builder.select(builder.icmp_signed("<", index, final), index, final)
            row = builder.add(source, builder.mul(index, step))
            _prefetch(builder, builder.add(row, _constant(4 * 4 * LANES)), 0)
            block.append(_load(builder, row, mask))
        every = ir.Constant(MASK, [1] * LANES)
        for number, vector in enumerate(_transposed(builder, block)):
            address = builder.add(target, builder.mul(_constant(number), target_step))
            _store(builder, vector, address, every)
        return context.get_dummy_value()

    return types.void(*([types.int64] * 6)), codegen


@intrinsic
def copy_vector(typingctx: Any, source: Any, count: Any, target: Any) -> Any:
    """Copy `count` floats, at most a vector of them; of a negative number none."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        mask = _below(builder, args[1])
        _store(builder, _load(builder, args[0], mask), args[2], mask)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def fetch(typingctx: Any, address: Any) -> Any:
    """Have the cache line at an address at hand soon; beyond the end of memory nothing happens."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _prefetch(builder, args[0], 0)
        return context.get_dummy_value()

    return types.void(types.int64), codegen


def _transposed(builder: Any, block: list[Any]) -> list[Any]:
    """LANES vectors transposed by log2(LANES) rounds of interleaving halves that lie LANES / 2 apart."""
    half = LANES // 2
    low = [index // 2 + (LANES if index % 2 else 0) for index in range(LANES)]
    high = [index // 2 + half + (LANES if index % 2 else 0) for index in range(LANES)]
    indices = [ir.Constant(ir.VectorType(I32, LANES), which) for which in (low, high)]
    for _ in range(LANES.bit_length() - 1):
        woven = []
        for number in range(half):
            pair = block[number], block[number + half]
            woven += [builder.shuffle_vector(*pair, which) for which in indices]
        block = woven
    return block


# -- the loops --------------------------------------------------------------------------------------------


def rows_of_tiles(
    m: int, columns: int, depth: int, a: int, a_row: int, a_step: int, b: int, ldb: int, c: int, ldc: int,
    start: int, start_ld: int,
) -> None:  # fmt: skip
    """One panel of C."""
    i = 0
    while i < m:
        left, at, out, first = m - i, a + 4 * i * a_row, c + 4 * i * ldc, start
        if start != 0:
            first = start + 4 * i * start_ld
        if left > 4 and ROWS == 8:
            there = min(left, 8)
            if columns > LANES:
                tile_8_2(there, at, a_row, a_step, b, ldb, out, ldc, depth, columns, first, start_ld)
            else:
                tile_8_1(there, at, a_row, a_step, b, ldb, out, ldc, depth, columns, first, start_ld)
            i += 8
        else:
            there = min(left, 4)
            if columns > LANES:
                tile_4_2(there, at, a_row, a_step, b, ldb, out, ldc, depth, columns, first, start_ld)
            else:
                tile_4_1(there, at, a_row, a_step, b, ldb, out, ldc, depth, columns, first, start_ld)
            i += 4


def pack_panels(b: int, ldb: int, columns: int, depth: int, panels: int) -> None:
    """panels[j // PANEL][p, j % PANEL] = B[p, j]."""
    for p in range(depth):
        for j in range(0, columns, LANES):
            offset = (j // PANEL * depth + p) * PANEL + j % PANEL
            fetch(b + 4 * ((p + AHEAD) * ldb + j))
            copy_vector(b + 4 * (p * ldb + j), columns - j, panels + 4 * offset)


def transpose_panels(b: int, ldb: int, columns: int, depth: int, panels: int) -> None:
    """panels[j // PANEL][p, j % PANEL] = B[j, p]: rows of a B that is to be transposed."""
    for j in range(0, columns, LANES):
        for p in range(0, depth, LANES):
            offset = (j // PANEL * depth + p) * PANEL + j % PANEL
            transpose_block(b + 4 * (j * ldb + p), ldb, columns - j, depth - p, panels + 4 * offset, PANEL)


def pack_rows(a: int, a_step: int, m: int, depth: int, rows: int) -> None:
    """rows[p, i] = A[p, i] for some of the columns of an A that is to be transposed."""
    for p in range(depth):
        for i in range(0, m, LANES):
            copy_vector(a + 4 * (p * a_step + i), m - i, rows + 4 * (p * PACKED + i))


def multiply_row(n: int, k: int, a: int, a_step: int, b: int, ldb: int, c: int, start: int) -> None:
    """A single row of C, wide enough to be worth a tile of its own."""
    for j in range(0, n, 8 * LANES):
        first = start + 4 * j if start != 0 else 0
        tile_1_8(1, a, 0, a_step, b + 4 * j, ldb, c + 4 * j, 0, k, min(8 * LANES, n - j), first, 0)


def multiply_block(
    m: int, n: int, depth: int, a: int, a_row: int, a_step: int, rows: int, b: int, panel_step: int, ldb: int, c: int,
    ldc: int, start: int, start_ld: int,
) -> None:  # fmt: skip
    """A few panels of C over some steps; with a place for rows of A, they are copied there, some tiles at a time."""
    i = 0
    while i < m:
        height, at, step = min(BLOCK, m - i), a + 4 * i * a_row, a_step
        if rows != 0:
            pack_rows(at, a_step, height, depth, rows)
            at, step = rows, PACKED
        for j in range(0, n, PANEL):
            first = start
            if start != 0:
                first = start + 4 * (i * start_ld + j)
            panel = b + 4 * (j // PANEL) * panel_step
            rows_of_tiles(height, min(PANEL, n - j), depth, at, a_row, step, panel, ldb, c + 4 * (i * ldc + j), ldc,
                          first, start_ld)  # fmt: skip
        i += BLOCK


def multiply(
    m: int, n: int, k: int, a: int, a_row: int, a_step: int, b: int, ldb: int, transpose_b: int, c: int, ldc: int,
    start: int, start_ld: int,
) -> None:  # fmt: skip
    """C = op(A)·op(B) + start: groups of panels, in steps of DEPTH, between which C is put back.

    Panels of a B that is spread over memory, or is to be transposed, are copied first.
    """
    if m == 1 and n > PANEL and transpose_b == 0:
        multiply_row(n, k, a, a_step, b, ldb, c, start)
        return
    # A block that is transposed is rounded up to whole vectors of steps, and a panel is PANEL wide however narrow C is.
    deepest, panels, rows = min(k + LANES, DEPTH), 0, 0
    if transpose_b != 0 or (m >= PACK_ROWS and deepest * ldb > PACK_EXTENT):
        panels = scratch(deepest * min(n + PANEL, GROUP))
    if a_row == 1 and m > ROWS and n > PANEL and deepest * a_step >= PACK_EXTENT_OF_A:
        rows = scratch(deepest * PACKED)
    parts = (k + DEPTH - 1) // DEPTH if k > 0 else 1
    for j in range(0, n, GROUP):
        width, first, first_ld = min(GROUP, n - j), start, start_ld
        if start != 0:
            first = start + 4 * j
        for part in range(parts):
            p = k * part // parts
            depth = k * (part + 1) // parts - p
            at, panel_step, panel_ld = panels, depth * PANEL, PANEL
            if transpose_b != 0:
                transpose_panels(b + 4 * (j * ldb + p), ldb, width, depth, panels)
            elif panels != 0:
                pack_panels(b + 4 * (p * ldb + j), ldb, width, depth, panels)
            else:
                at, panel_step, panel_ld = b + 4 * (p * ldb + j), PANEL, ldb
            multiply_block(m, width, depth, a + 4 * p * a_step, a_row, a_step, rows, at, panel_step, panel_ld,
                           c + 4 * j, ldc, first, first_ld)  # fmt: skip
            first, first_ld = c + 4 * j, ldc
