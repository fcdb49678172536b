"""Matrix products: a register tile in LLVM's vectors, and the loops around it.

    C[i, j] = Σ_p op(A)[i, p]·op(B)[p, j] + start[i, j]

A tile of ROWS × (2 vectors) of C stays in registers while p runs; each step loads two vectors of B and broadcasts ROWS
elements of A. Columns beyond the edge are masked, so no shape needs a tail of its own. On a Zen 5 core this runs at 230
to 250 GFLOP/s from 32 × 32 × 32 to 100 × 784 × 500, where OpenBLAS 0.3.31 gives 158 to 234 with AVX-512 kernels and 92
to 124 with AVX2. Beyond about 1000 × 1000 it falls behind, since panels are not packed.

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


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.call(_function(builder, "llvm.fma.{}", VECTOR, [VECTOR, VECTOR, VECTOR]), [a, b, c])


def _broadcast(builder: Any, value: Any, item: Any) -> Any:
    wide = ir.VectorType(item, LANES)
    empty = ir.Constant(wide, ir.Undefined)
    single = builder.insert_element(empty, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(single, empty, ir.Constant(ir.VectorType(I32, LANES), [0] * LANES))


def _below(builder: Any, count: Any) -> Any:
    """A mask of the first `count` lanes, which may be none or more than there are."""
    numbers = ir.Constant(ir.VectorType(I64, LANES), list(range(LANES)))
    return builder.icmp_signed("<", numbers, _broadcast(builder, count, I64))


def _tile(rows: int, vectors: int, contiguous: bool) -> Any:
    """An intrinsic that computes `rows` × (`vectors` vectors) of C.

    Of the rows, `there` are there; the others repeat the last and write what it writes.

    `contiguous`: the tile's elements of A lie side by side for each p (A is transposed), with `lda` from p to p;
    else each row of A runs over p, with `lda` from row to row.
    """

    @intrinsic
    def tile(
        typingctx: Any, there: Any, a: Any, lda: Any, b: Any, ldb: Any, c: Any, ldc: Any, depth: Any, columns: Any,
        start: Any, start_ld: Any,
    ) -> Any:  # fmt: skip
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _Tile(builder, rows, vectors, contiguous, *args).emit()
            return context.get_dummy_value()

        return types.void(*([types.int64] * 11)), codegen

    return tile


class _Tile:
    """Writes the IR of one register tile. Leading dimensions come in floats; `start` 0 means zeros."""

    def __init__(
        self, builder: Any, rows: int, vectors: int, contiguous: bool, there: Any,
        a: Any, lda: Any, b: Any, ldb: Any, c: Any, ldc: Any, depth: Any, columns: Any, start: Any, start_ld: Any,
    ) -> None:  # fmt: skip
        self.builder, self.rows, self.vectors, self.contiguous = builder, rows, vectors, contiguous
        self.a, self.b, self.c, self.depth, self.start = a, b, c, depth, start
        four = _constant(4)
        self.lda, self.ldb = builder.mul(lda, four), builder.mul(ldb, four)
        self.ldc, self.start_ld = builder.mul(ldc, four), builder.mul(start_ld, four)
        self.masks = [_below(builder, builder.sub(columns, _constant(number * LANES))) for number in range(vectors)]
        self.cells = [(row, vector) for row in range(rows) for vector in range(vectors)]
        final = builder.sub(there, _constant(1))
        self.row_number = []
        for row in range(rows):
            number = _constant(row)
            self.row_number.append(builder.select(builder.icmp_signed("<", number, final), number, final))

    def emit(self) -> None:
        """start → loop over p → store."""
        builder = self.builder
        blocks = [builder.append_basic_block(name) for name in ("given", "begin", "loop", "done")]
        given, begin, loop, done = blocks
        entry = builder.block
        builder.cbranch(builder.icmp_signed("!=", self.start, _constant(0)), given, begin)
        builder.position_at_end(given)
        loaded = {cell: self._place(self.start, self.start_ld, *cell, None) for cell in self.cells}
        builder.branch(begin)
        builder.position_at_end(begin)
        first = {}
        for cell in self.cells:
            first[cell] = builder.phi(VECTOR)
            first[cell].add_incoming(ZERO, entry)
            first[cell].add_incoming(loaded[cell], given)
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
        row_of_b = builder.add(self.b, builder.mul(p, self.ldb))
        b = [
            _load(builder, builder.add(row_of_b, _constant(4 * LANES * number)), self.masks[number])
            for number in range(self.vectors)
        ]
        after = {}
        for row in range(self.rows):
            a = _broadcast(builder, builder.load(self._element_of_a(row, p)), F32)
            for number in range(self.vectors):
                after[row, number] = _fused(builder, a, b[number], sums[row, number])
        following = builder.add(p, _constant(1))
        p.add_incoming(following, loop)
        for cell in self.cells:
            sums[cell].add_incoming(after[cell], loop)
        builder.cbranch(builder.icmp_signed("<", following, self.depth), loop, done)
        return after

    def _element_of_a(self, row: int, p: Any) -> Any:
        builder = self.builder
        if self.contiguous:
            column = _floats(builder, builder.add(self.a, builder.mul(p, self.lda)))
            return builder.gep(column, [self.row_number[row]])
        return builder.gep(_floats(builder, builder.add(self.a, builder.mul(self.lda, self.row_number[row]))), [p])


# Rows × vectors. Few of them, since each costs a quarter of a second to compile; a tile of a single row takes more
# columns, or it would wait for its own sums.
tile_8_2, tile_4_2 = _tile(8, 2, False), _tile(4, 2, False)
tile_8_1, tile_4_1 = _tile(8, 1, False), _tile(4, 1, False)
tile_1_8 = _tile(1, 8, False)
tile_t_8_2, tile_t_4_2 = _tile(8, 2, True), _tile(4, 2, True)
tile_t_8_1, tile_t_4_1 = _tile(8, 1, True), _tile(4, 1, True)


@intrinsic
def scratch(typingctx: Any, size: Any) -> Any:
    """The address of `size` floats on the caller's stack. LLVM takes seconds to look through a size that it knows."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.alloca(VECTOR, size=builder.udiv(args[0], _constant(LANES)))
        place.align = 64
        return builder.ptrtoint(place, I64)

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
            block.append(_load(builder, builder.add(source, builder.mul(index, step)), mask))
        every = ir.Constant(MASK, [1] * LANES)
        for number, vector in enumerate(_transposed(builder, block)):
            address = builder.add(target, builder.mul(_constant(number), target_step))
            _store(builder, vector, address, every)
        return context.get_dummy_value()

    return types.void(*([types.int64] * 6)), codegen


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
    m: int, columns: int, depth: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, start: int, start_ld: int
) -> None:
    """One panel of C, for A as it lies."""
    i = 0
    while i < m:
        left, at, out, first = m - i, a + 4 * i * lda, c + 4 * i * ldc, start
        if start != 0:
            first = start + 4 * i * start_ld
        if left > 4 and ROWS == 8:
            there = min(left, 8)
            if columns > LANES:
                tile_8_2(there, at, lda, b, ldb, out, ldc, depth, columns, first, start_ld)
            else:
                tile_8_1(there, at, lda, b, ldb, out, ldc, depth, columns, first, start_ld)
            i += 8
        else:
            there = min(left, 4)
            if columns > LANES:
                tile_4_2(there, at, lda, b, ldb, out, ldc, depth, columns, first, start_ld)
            else:
                tile_4_1(there, at, lda, b, ldb, out, ldc, depth, columns, first, start_ld)
            i += 4


def rows_of_transposed_tiles(
    m: int, columns: int, depth: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, start: int, start_ld: int
) -> None:
    """One panel of C, for a transposed A."""
    i = 0
    while i < m:
        left, at, out, first = m - i, a + 4 * i, c + 4 * i * ldc, start
        if start != 0:
            first = start + 4 * i * start_ld
        if left > 4 and ROWS == 8:
            there = min(left, 8)
            if columns > LANES:
                tile_t_8_2(there, at, lda, b, ldb, out, ldc, depth, columns, first, start_ld)
            else:
                tile_t_8_1(there, at, lda, b, ldb, out, ldc, depth, columns, first, start_ld)
            i += 8
        else:
            there = min(left, 4)
            if columns > LANES:
                tile_t_4_2(there, at, lda, b, ldb, out, ldc, depth, columns, first, start_ld)
            else:
                tile_t_4_1(there, at, lda, b, ldb, out, ldc, depth, columns, first, start_ld)
            i += 4


def transpose_panel(b: int, ldb: int, columns: int, depth: int, panel: int) -> None:
    """panel[p, j] = B[j, p] for a panel's columns j: rows of a B that is to be transposed."""
    for j in range(0, columns, LANES):
        for p in range(0, depth, LANES):
            transpose_block(b + 4 * (j * ldb + p), ldb, columns - j, depth - p, panel + 4 * (p * PANEL + j), PANEL)


def multiply_plain(
    m: int, n: int, k: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, start: int, start_ld: int
) -> None:
    """C = A·B + start."""
    if m == 1:
        for j in range(0, n, 8 * LANES):
            first = start + 4 * j if start != 0 else 0
            tile_1_8(1, a, lda, b + 4 * j, ldb, c + 4 * j, ldc, k, min(8 * LANES, n - j), first, start_ld)
        return
    for j in range(0, n, PANEL):
        columns, first, first_ld = min(PANEL, n - j), start, start_ld
        if start != 0:
            first = start + 4 * j
        p = 0
        while p < k or p == 0:
            depth = min(DEPTH, k - p)
            rows_of_tiles(
                m, columns, depth, a + 4 * p, lda, b + 4 * (p * ldb + j), ldb, c + 4 * j, ldc, first, first_ld
            )
            first, first_ld = c + 4 * j, ldc
            p += DEPTH


def multiply_transposed_a(
    m: int, n: int, k: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, start: int, start_ld: int
) -> None:
    """C = Aᵀ·B + start."""
    for j in range(0, n, PANEL):
        columns, first, first_ld = min(PANEL, n - j), start, start_ld
        if start != 0:
            first = start + 4 * j
        p = 0
        while p < k or p == 0:
            depth = min(DEPTH, k - p)
            rows_of_transposed_tiles(
                m, columns, depth, a + 4 * p * lda, lda, b + 4 * (p * ldb + j), ldb, c + 4 * j, ldc, first, first_ld
            )
            first, first_ld = c + 4 * j, ldc
            p += DEPTH


def multiply_transposed_b(
    m: int, n: int, k: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int, start: int, start_ld: int
) -> None:
    """C = A·Bᵀ + start: each panel of B is transposed once, into the first-level cache."""
    panel = scratch(min(k + LANES, DEPTH) * PANEL)
    for j in range(0, n, PANEL):
        columns, first, first_ld = min(PANEL, n - j), start, start_ld
        if start != 0:
            first = start + 4 * j
        p = 0
        while p < k or p == 0:
            depth = min(DEPTH, k - p)
            transpose_panel(b + 4 * (j * ldb + p), ldb, columns, depth, panel)
            rows_of_tiles(m, columns, depth, a + 4 * p, lda, panel, PANEL, c + 4 * j, ldc, first, first_ld)
            first, first_ld = c + 4 * j, ldc
            p += DEPTH
