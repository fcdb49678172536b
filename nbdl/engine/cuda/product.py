"""The text of matrix products: tiles in shared memory, a part of the result in each thread's registers.

The next tile is on its way while the present one is worked on. A thread's columns lie a stride apart, so that
neighbouring threads read neighbouring words of shared memory and write neighbouring words of the result. Where the
grid would be small the inner size is split: each part writes its own sum, and they are added in their order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from nbdl.engine.cuda.words import Kernel, ProductTile, Sizes, Writer, divided, quotient, remainder
from nbdl.engine.program import Operation, Tensor, pattern
from nbdl.engine.source import label

PADDING = 1  # float of each row of a tile of A, so that a column's elements lie in different banks


def choose_tile(m: int, n: int, sizes: Sizes) -> ProductTile:
    """The largest tile of which there are enough to fill a GPU; else the smallest."""
    for tile in sizes.tiles:
        if 2 * divided(m, tile.rows) * divided(n, tile.columns) >= sizes.blocks:
            return tile
    return sizes.tiles[-1]


def choose_parts(m: int, n: int, k: int, sizes: Sizes) -> int:
    """In how many parts the inner size is summed."""
    tile = choose_tile(m, n, sizes)
    blocks = divided(m, tile.rows) * divided(n, tile.columns)
    return max(1, min(divided(sizes.blocks, blocks), k // sizes.split_inner)) if 2 * blocks < sizes.blocks else 1


def product_kernel(
    operations: Sequence[Operation],
    rows: int,
    stored: Collection[int],
    writer: Writer,
    sizes: Sizes,
) -> Kernel:
    """The kernel of a product and of the maps of its result that follow it.

    Args:
        operations: the product, then maps.
        rows: of the largest batch, for which tiles are chosen.
        stored: identities of the storages that are written to memory.
    """
    product = operations[0]
    tile = choose_tile(*product.product(rows)[:2], sizes)
    parts = product.attributes.get("parts", 1)
    text = _ProductText(product, tile, parts, writer)
    lines = [*text.before(), *text.loop(), *text.results(operations[1:], stored)]

    def grid(count: int) -> tuple[int, int, int]:
        m, n, _ = product.product(count)
        return divided(n, tile.columns), divided(m, tile.rows), parts

    transposed = "".join(" transposed" if product.attributes[f"transpose_{x}"] else f" {x}" for x in "ab")
    names = "".join(f", {label(o.function)}" for o in operations[1:] if o.function)
    title = f"product{transposed} {tile.rows}×{tile.columns}×{tile.inner}{names}"
    return writer.kernel(title, lines, (tile.threads,), grid)


def leading(tensor: Tensor) -> int:
    """Elements from row to row of a product's operand."""
    return tensor.features if tensor.rows else tensor.features // tensor.shape[0]


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
            f"row0 = int32(int32(cuda.blockIdx.y) * {t.rows})",
            f"column0 = int32(int32(cuda.blockIdx.x) * {t.columns})",
            f"tile_a = cuda.shared.array({t.inner * (t.rows + PADDING)}, float32)",
            f"tile_b = cuda.shared.array({t.inner * t.columns}, float32)",
            f"begin, end = int32(0), int32({self.k})",
        ]
        if self.parts > 1:
            lines += [
                f"rounds, part = int32({inner}), int32(cuda.blockIdx.z)",
                f"begin = int32(rounds * part // {parts} * {t.inner})",
                f"end = int32(rounds * (part + 1) // {parts} * {t.inner})",
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
            f"    for q in range({t.inner}):",
            *(f"        a{i} = tile_a[q * {t.rows + PADDING} + ty + {i * t.rows // t.rows_each}]"
              for i in range(t.rows_each)),
            *(f"        b{j} = tile_b[q * {t.columns} + tx + {j * t.columns // t.columns_each}]"
              for j in range(t.columns_each)),
            *(f"        c{i}_{j} = c{i}_{j} + a{i} * b{j}" for i in range(t.rows_each) for j in range(t.columns_each)),
            "    cuda.syncthreads()",
        ]  # fmt: skip

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
                places = f"int32({origin} + {outer}), int32({start} + {inner})"
                lines.append(f"f{side}{number} = fetch_{side}({places}, end{further})")
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
        further = "".join(f", {name}" for name in self._keeper(maps, stored))
        return [
            f"keep(c{i}_{j}, int32(row0 + ty + {i * t.rows // t.rows_each}), "
            f"int32(column0 + tx + {j * t.columns // t.columns_each}){further})"
            for i in range(t.rows_each)
            for j in range(t.columns_each)
        ]

    def _keeper(self, maps: Sequence[Operation], stored: Collection[int]) -> list[str]:
        """The device function for one element: bias, maps, stores."""
        w, product, output = self.writer, self.product, self.product.outputs[0]
        if self.parts > 1:
            place = f"int32((int32(cuda.blockIdx.z) * {self.m} + row) * {self.n} + j)"
            lines = [f"{w.pointer(output)}[{place}] = total"]
        else:
            lines = self._following(product, maps, stored)
        inside = [f"if row < {self.m} and j < {self.n}:", *(f"    {line}" for line in lines)]
        return self._helper("keep", "total, row, j", inside)

    def _following(self, product: Operation, maps: Sequence[Operation], stored: Collection[int]) -> list[str]:
        w, output = self.writer, product.outputs[0]
        values = {id(output.storage): "total"}
        lines = [f"e = int32(row * {self.n} + j)"]
        if len(product.inputs) == 3:
            lines.append(f"total = total + {w.pointer(product.inputs[2])}[j]")
        if id(output.storage) in stored:
            lines.append(f"{w.pointer(output)}[{w.place(output)}] = total")
        for number, operation in enumerate(maps):
            names = [f"v{number}_{place}" for place in range(len(operation.outputs))]
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
                    lines.append(f"{w.pointer(tensor)}[{w.place(tensor)}] = {name}")
        return lines
