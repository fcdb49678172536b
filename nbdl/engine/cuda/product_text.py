"""The text of matrix products: tiles in shared memory, a part of the result in each thread's registers.

The next tile is on its way while the present one is worked on. A thread's columns lie a stride apart, so that
neighbouring threads read neighbouring words of shared memory and write neighbouring words of the result. Where the
grid would be small the inner size is split: each part writes its own sum, and they are added in their order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from nbdl.engine.cuda.text import Launch, ProductTile, Sizes, Writer, divided, leading, quotient, remainder
from nbdl.program.language.source import label
from nbdl.program.operation import Operation
from nbdl.program.tensor import pattern

STICKS_OUT = 1.5  # times the area of the tiles that fit best
PADDING = 1  # float of each row of a tile of A, so that a column's elements lie in different banks


def choose(m: int, n: int, k: int, sizes: Sizes) -> tuple[ProductTile, int]:
    """The tile of a product, and in how many parts its inner size is summed.

    Of the tiles that do not stick out too far: the largest that keeps a GPU busy, else the one with the most threads.
    """
    padded = {tile: divided(m, tile.rows) * tile.rows * divided(n, tile.columns) * tile.columns for tile in sizes.tiles}
    found: list[tuple[int, ProductTile, int]] = []
    for tile in sizes.tiles:
        if padded[tile] > STICKS_OUT * min(padded.values()):
            continue
        threads = padded[tile] // (tile.rows * tile.columns) * tile.threads
        wanted = min(k // sizes.split_inner, sizes.partial_floats // (m * n), divided(sizes.busy_threads, threads))
        parts = max(1, wanted)
        found.append((threads * parts, tile, parts))
        if threads * parts >= sizes.busy_threads // 4:
            return tile, parts
    return max(found, key=lambda one: one[0])[1:]


def product_launch(
    operations: Sequence[Operation],
    rows: int,
    stored: Collection[int],
    writer: Writer,
    sizes: Sizes,
) -> Launch:
    """The launch of a product and of the maps of its result that follow it.

    Args:
        operations: the product, then maps.
        rows: of the largest batch, for which tiles are chosen.
        stored: identities of the storages that are written to memory.
    """
    product = operations[0]
    tile, _ = choose(*product.product(rows), sizes)
    parts = product.attributes.get("parts", 1)
    text = _ProductText(product, tile, parts, writer)
    lines = [*text.before(), *text.loop(), *text.results(operations[1:], stored)]

    def grid(count: int) -> tuple[int, int, int]:
        m, n, _ = product.product(count)
        return divided(m, tile.rows), divided(n, tile.columns), parts  # x has room for more blocks than y

    transposed = "".join(" transposed" if product.attributes[f"transpose_{x}"] else f" {x}" for x in "ab")
    names = "".join(f", {label(o.function)}" for o in operations[1:] if o.function)
    title = f"product{transposed} {tile.rows}×{tile.columns}×{tile.inner}{names}"
    return writer.launch(title, lines, (tile.threads,), grid)


class _ProductText:
    """Writes the body of `run`."""

    def __init__(self, product: Operation, tile: ProductTile, parts: int, writer: Writer) -> None:
        self.product, self.tile, self.parts, self.writer = product, tile, parts, writer
        self.a, self.b = product.inputs[:2]
        self.transpose_a, self.transpose_b = product.attributes["transpose_a"], product.attributes["transpose_b"]
        m, n, k = product.product(-1)
        self.m, self.n, self.k = (writer.rows(None if size == -1 else size) for size in (m, n, k))
        self.fetchers = {side: self._fetcher(side) for side in "ab"}

    def before(self) -> list[str]:
        """Where this block and this thread are."""
        t = self.tile
        inner = f"({self.k} + {t.inner - 1}) // {t.inner}"
        parts, across = self.writer.number(self.parts), t.columns // t.columns_each
        lines = [
            "thread = int32(cuda.threadIdx.x)",
            f"tx, ty = int32({remainder('thread', across)}), int32({quotient('thread', across)})",
            f"row0 = int32(int32(cuda.blockIdx.x) * {t.rows})",
            f"column0 = int32(int32(cuda.blockIdx.y) * {t.columns})",
            f"tile_a = cuda.shared.array({t.inner * (t.rows + PADDING)}, float32)",
            f"tile_b = cuda.shared.array({t.inner * t.columns}, float32)",
            f"begin, end = int32(0), int32({self.k})",
        ]
        if self.parts > 1:
            lines += [
                f"rounds, part = int32({inner}), int32(cuda.blockIdx.z)",
                f"begin = int32(int32(rounds * part) // {parts} * {t.inner})",
                f"end = int32(int32(rounds * (part + 1)) // {parts} * {t.inner})",
                f"end = end if end < {self.k} else {self.k}",
            ]
        return [*lines, *(f"c{i}_{j} = NOTHING" for i in range(t.rows_each) for j in range(t.columns_each))]

    def loop(self) -> list[str]:
        """Along the inner size: store the tiles, fetch the next ones, multiply."""
        t = self.tile
        return [
            *self._fetch("begin"),
            f"for inner in range(begin, end, {t.inner}):",
            *(f"    {line}" for line in self._place()),
            "    cuda.syncthreads()",
            f"    if inner + {t.inner} < end:",
            *(f"        {line}" for line in self._fetch(f"inner + {t.inner}")),
            f"    for q in range(0, {t.inner}, {t.unrolled}):",
            *(f"        {line}" for ahead in range(t.unrolled) for line in self._multiply(ahead)),
            "    cuda.syncthreads()",
        ]  # fmt: skip

    def _multiply(self, ahead: int) -> list[str]:
        """One step along the inner size: a column of A's tile by a row of B's."""
        t = self.tile
        rows, columns = range(t.rows_each), range(t.columns_each)
        a, b = f"(q + {ahead}) * {t.rows + PADDING} + ty", f"(q + {ahead}) * {t.columns} + tx"
        return [
            *(f"a{i} = tile_a[{a} + {i * t.rows // t.rows_each}]" for i in rows),
            *(f"b{j} = tile_b[{b} + {j * t.columns // t.columns_each}]" for j in columns),
            *(f"c{i}_{j} = c{i}_{j} + a{i} * b{j}" for i in rows for j in columns),
        ]

    def _each(self, side: str) -> list[tuple[str, str]]:
        """(place along the outer size, place along the inner size) of each element that a thread fetches.

        Neighbouring threads fetch along the dimension that is contiguous in memory.
        """
        t = self.tile
        outer = t.rows if side == "a" else t.columns
        along_outer = self.transpose_a if side == "a" else not self.transpose_b
        fastest = outer if along_outer else t.inner
        found = []
        for number in range(divided(outer * t.inner, t.threads)):
            at = f"(thread + {number * t.threads})" if number else "thread"
            first, second = remainder(at, fastest), quotient(at, fastest)
            found.append((first, second) if along_outer else (second, first))
        return found

    def _fetch(self, start: str) -> list[str]:
        """From memory to registers; outside the matrices are zeros."""
        lines = []
        for side, origin in (("a", "row0"), ("b", "column0")):
            further = "".join(f", {name}" for name in self.fetchers[side])
            for number, (outer, inner) in enumerate(self._each(side)):
                positions = f"int32({origin} + {outer}), int32({start} + {inner})"
                lines.append(f"f{side}{number} = fetch_{side}({positions}, end{further})")
        return lines

    def _fetcher(self, side: str) -> list[str]:
        """A device function for element x of the outer and y of the inner size; the names of its further arguments.

        A function, since each statement of a kernel costs the compiler more than a call.
        """
        tensor, limit = (self.a, self.m) if side == "a" else (self.b, self.n)
        inner_down = self.transpose_a if side == "a" else not self.transpose_b
        row, column = ("y", "x") if inner_down else ("x", "y")
        virtual = self.writer.virtual.get(id(tensor.storage))
        if virtual is not None:
            value = self.writer.virtual_element(virtual, "full", row, column)
        else:
            stride = self.writer.number(leading(tensor))
            value = f"{self.writer.pointer(tensor)}[int32({row} * {stride} + {column})]"
        lines = [f"if x < {limit} and y < end:", f"    return {value}", "return NOTHING"]
        return self._helper(f"fetch_{side}", "x, y, end", lines)

    def _helper(self, name: str, arguments: str, lines: Sequence[str]) -> list[str]:
        """Add a device function; what it mentions of run's parameters it is given."""
        text = "\n".join(lines)
        used = [one for one in self.writer.names.values() if re.search(rf"\b{one}\b", text)]
        head = f"def {name}({', '.join([arguments, *used])}):"
        self.writer.helpers.append("\n".join(["@device", head, *(f"    {line}" for line in lines), "", ""]))
        return used

    def _place(self) -> list[str]:
        """From registers to shared memory: A with its rows side by side, B with its columns."""
        t, lines = self.tile, []
        for side, size in (("a", t.rows + PADDING), ("b", t.columns)):
            whole = t.inner * (t.rows if side == "a" else t.columns)
            for number, (outer, inner) in enumerate(self._each(side)):
                line = f"tile_{side}[{inner} * {size} + {outer}] = f{side}{number}"
                if (number + 1) * t.threads > whole:
                    lines += [f"if thread + {number * t.threads} < {whole}:", f"    {line}"]
                else:
                    lines.append(line)
        return lines

    def results(self, maps: Sequence[Operation], stored: Collection[int]) -> list[str]:
        """Store what the threads have: parts of a sum, or the result after bias and maps."""
        t = self.tile
        lines = self._add_bias() if len(self.product.inputs) == 3 else []
        further = "".join(f", {name}" for name in self._keeper(maps, stored))
        return lines + [
            f"keep(c{i}_{j}, int32(row0 + ty + {i * t.rows // t.rows_each}), "
            f"int32(column0 + tx + {j * t.columns // t.columns_each}){further})"
            for i in range(t.rows_each)
            for j in range(t.columns_each)
        ]

    def _add_bias(self) -> list[str]:
        """Each column's bias is read once, before there are stores that could change it for all the compiler knows."""
        t, lines = self.tile, [f"return {self.writer.pointer(self.product.inputs[2])}[j] if j < {self.n} else NOTHING"]
        further = "".join(f", {name}" for name in self._helper("bias_of", "j", lines))
        offsets = [j * t.columns // t.columns_each for j in range(t.columns_each)]
        return [
            *(f"bias{j} = bias_of(int32(column0 + tx + {column}){further})" for j, column in enumerate(offsets)),
            *(f"c{i}_{j} = c{i}_{j} + bias{j}" for i in range(t.rows_each) for j in range(t.columns_each)),
        ]

    def _keeper(self, maps: Sequence[Operation], stored: Collection[int]) -> list[str]:
        """The device function for one element: bias, maps, stores."""
        w, product, output = self.writer, self.product, self.product.outputs[0]
        if self.parts > 1:
            index = f"int32((int32(cuda.blockIdx.z) * {self.m} + row) * {self.n} + j)"
            lines = [f"{w.pointer(output)}[{index}] = total"]
        else:
            lines = self._following(product, maps, stored)
        inside = [f"if row < {self.m} and j < {self.n}:", *(f"    {line}" for line in lines)]
        return self._helper("keep", "total, row, j", inside)

    def _following(self, product: Operation, maps: Sequence[Operation], stored: Collection[int]) -> list[str]:
        w, output = self.writer, product.outputs[0]
        values = {id(output.storage): "total"}
        lines = [f"e = int32(row * {self.n} + j)"]
        if id(output.storage) in stored:
            lines.append(f"{w.pointer(output)}[{w.result_index(output)}] = total")
        for number, operation in enumerate(maps):
            names = [f"v{number}_{index}" for index in range(len(operation.outputs))]
            arguments = [
                values[id(t.storage)] if id(t.storage) in values and pattern(t, operation.domain) == "full"
                else w.element(t, operation.domain)
                for t in operation.inputs
            ]  # fmt: skip
            assert operation.function is not None
            lines.append(f"{', '.join(names)} = {w.function(operation.function)}({', '.join(arguments)})")
            for tensor, name in zip(operation.outputs, names, strict=True):
                values[id(tensor.storage)] = name
                if id(tensor.storage) in stored:
                    lines.append(f"{w.pointer(tensor)}[{w.result_index(tensor)}] = {name}")
        return lines
