"""The CPU kernels: text around a scalar function, a product or a hand-written body.

A kernel is `run(frame, op, r0, r1, c0, c1, chunk, first)`: the caller's frame, the operation's descriptor, a tile of
rows and columns, and for sums over blocks of rows the partial result to add to. It returns a status.
"""

from __future__ import annotations

from collections.abc import Sequence

from nbdl.engine.cpu.layout import (
    OP_OPERANDS,
    OP_WIDTH,
    ORDER,
    ROWS,
    SEED_HIGH,
    SEED_LOW,
    SOURCE,
    STEP,
)
from nbdl.engine.emit import Emitter
from nbdl.engine.trial import unsure
from nbdl.program.language.source import Function
from nbdl.program.operation import Operation

HEAD = "def run(frame, op, r0, r1, c0, c1, chunk, first):"
INTRINSICS = "nbdl.engine.cpu.intrinsics"


def operand_word(position: int) -> int:
    """Where the pair (slot, offset) of an operand stands in the descriptor."""
    return OP_OPERANDS + 2 * position


def _address(name: str, position: int) -> str:
    at = operand_word(position)
    return f"    {name} = word(frame, word(op, {at})) + word(op, {at + 1})"


class _Loop:
    """The text that reads the operands of an elementwise loop."""

    def __init__(self, patterns: Sequence[str], first_position: int) -> None:
        self.patterns = patterns
        self.before: list[str] = []
        for number, how in enumerate(patterns):
            if how == "index":
                continue
            self.before.append(_address(f"a{number}", first_position + number))
            if how == "feature":
                self.before.append(f"    p{number} = a{number} + 4 * c0")
            elif how not in ("full", "row"):
                self.before.append(f"    v{number} = load(a{number}, 0)")

    def row(self, ahead: int = 0) -> list[str]:
        """Lines for row i + `ahead`."""
        i, lines = f"(i + {ahead})" if ahead else "i", []
        for number, how in enumerate(self.patterns):
            if how == "full":
                lines.append(f"        p{number}_{ahead} = a{number} + 4 * (start + {i} * width)")
            elif how == "row":
                lines.append(f"        v{number}_{ahead} = load(a{number}, r0 + {i})")
        return lines

    def values(self, ahead: int = 0) -> str:
        """The operands' elements in column j of row i + `ahead`, as arguments."""
        texts = {
            "index": "np.float32(c0 + j)",
            "full": "load(p{0}_{1}, j)",
            "feature": "load(p{0}, j)",
            "row": "v{0}_{1}",
            "scalar": "v{0}",
        }
        return ", ".join(texts[how].format(number, ahead) for number, how in enumerate(self.patterns))

    @property
    def flat(self) -> bool:
        """Whether whole rows may be run as one long row."""
        return all(how in ("full", "scalar") for how in self.patterns)


def map_text(function: Function, patterns: Sequence[str], outputs: int) -> tuple[str, set[str]]:
    """The text of a `map` kernel, and the slow functions it calls. Outputs come first in the descriptor."""
    emitter = Emitter()
    name = emitter.function(function)
    loop = _Loop(patterns, outputs)
    stores = [f"store_{number}" for number in range(outputs)]
    emitter.imported(INTRINSICS, "load", "word", *stores)
    results = [f"y{number}" for number in range(outputs)]
    lines = [
        "@kernel",
        HEAD,
        f"    width = word(op, {OP_WIDTH})",
        "    start, rows, columns = r0 * width + c0, r1 - r0, c1 - c0",
        *(["    if columns == width:", "        rows, columns = 1, rows * columns"] if loop.flat else []),
        *(_address(f"o{number}", number) for number in range(outputs)),
        *loop.before,
        "    for i in range(rows):",
        *(f"        q{number} = o{number} + 4 * (start + i * width)" for number in range(outputs)),
        *loop.row(),
        "        for j in range(columns):",
        f"            {', '.join(results)} = {name}({loop.values()})",
        *(f"            store_{number}(q{number}, j, {result})" for number, result in enumerate(results)),
        "    return 0",
    ]
    return emitter.text(f"map {function.__name__} over {', '.join(patterns)}", "\n".join(lines) + "\n"), emitter.slow


_START = {"sum": "np.float32(0.0)", "max": "np.float32(-np.inf)", "argmax": "np.float32(-np.inf)"}
# A NaN must win against any number, or a maximum would hide it.
_STEP = {
    "sum": "total = total + value",
    "max": "total = value if value > total or value != value else total",
}

# The same along a row: how values are taken, joined and given back. A maximum is one of integers.
_ALONG = {
    "sum": ("{}", _STEP["sum"], "total"),
    "max": ("order_nan_last({})", "total = value if value > total else total", "from_order(total)"),
    "argmax": ("order_nan_first({})", "total = value if value > total else total", "np.float32(place)"),
}


def sum_text(function: Function, patterns: Sequence[str], over: str, reduction: str) -> tuple[str, set[str]]:
    """The text of a `sum` kernel, and the slow functions it calls.

    `over` is "rows", "features", or "column" (over rows, one feature: contiguous, so it vectorises).
    """
    emitter = Emitter()
    name = emitter.function(function)
    emitter.imported(INTRINSICS, "load", "reload", "store_0", "word")
    emitter.imported(INTRINSICS, "from_order", "larger_if_equal", "order_nan_first", "order_nan_last")
    loop = _Loop(patterns, 1)
    body = {"rows": _over_rows, "features": _over_features, "column": _over_column}[over]
    lines = [
        "@kernel",
        HEAD,
        f"    width = word(op, {OP_WIDTH})",
        "    start, rows, columns = r0 * width + c0, r1 - r0, c1 - c0",
        _address("o0", 0),
        *loop.before,
        *body(loop, name, reduction),
        "    return 0",
    ]
    title = f"{reduction} {function.__name__} over {over} of {', '.join(patterns)}"
    return emitter.text(title, "\n".join(lines) + "\n"), emitter.slow


ROWS_TOGETHER = 8  # of a sum over rows: with one at a time, each would wait for the sum of the one before


def _over_rows(loop: _Loop, name: str, reduction: str) -> list[str]:
    together = range(ROWS_TOGETHER)
    values = [f"{name}({loop.values(ahead)})" for ahead in together]
    if reduction == "sum":
        step = [f"            total = reload(q0, j) + ({_tree(values)})"]
    else:
        step = ["            total = reload(q0, j)"]
        for value in values:
            step += [f"            value = {value}", f"            {_STEP[reduction]}"]
    return [
        "    q0 = o0 + 4 * (chunk * width + c0)",
        "    if first != 0:",
        "        for j in range(columns):",
        f"            store_0(q0, j, {_START[reduction]})",
        f"    for group in range(rows // {ROWS_TOGETHER}):",
        f"        i = group * {ROWS_TOGETHER}",
        *(line for ahead in together for line in loop.row(ahead)),
        "        for j in range(columns):",
        *step,
        "            store_0(q0, j, total)",
        f"    for i in range(rows // {ROWS_TOGETHER} * {ROWS_TOGETHER}, rows):",
        *loop.row(),
        "        for j in range(columns):",
        f"            total, value = reload(q0, j), {name}({loop.values()})",
        f"            {_STEP[reduction]}",
        "            store_0(q0, j, total)",
    ]


def _tree(values: list[str]) -> str:
    """Sums of pairs of sums: ((a + b) + (c + d))."""
    while len(values) > 1:
        values = [f"({a} + {b})" for a, b in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _over_column(loop: _Loop, name: str, reduction: str) -> list[str]:
    # One feature: a full operand is contiguous over the rows, so the rows are the loop that vectorises.
    take, join, give = _ALONG[reduction]
    return [
        "    i = 0",
        *(line.removeprefix("    ") for line in loop.row()),
        f"    total = {take.format(f'{_START[reduction]} if first != 0 else reload(o0, chunk)')}",
        "    for j in range(rows):",
        f"        value = {take.format(f'{name}({loop.values()})')}",
        f"        {join}",
        f"    store_0(o0, chunk, {give})",
    ]


def _over_features(loop: _Loop, name: str, reduction: str) -> list[str]:
    take, join, give = _ALONG[reduction]
    value = take.format(f"{name}({loop.values()})")
    least = take.format(_START[reduction])
    find = [  # in a loop of its own, which vectorises too
        "        best = np.int32(0)",
        "        for j in range(columns):",
        f"            best = larger_if_equal(best, columns - j, {value}, total)",
        f"        place = columns - best if total > {least} else 0",
    ]
    return [
        "    for i in range(rows):",
        *loop.row(),
        f"        total = {least}",
        "        for j in range(columns):",
        f"            value = {value}",
        f"            {join}",
        *(find if reduction == "argmax" else []),
        f"        store_0(o0, r0 + i, {give})",
    ]


GATHERED = {
    "float32": "load_float32", "float64": "load_float64", "int64": "load_int64", "uint64": "load_uint64",
    "int32": "load_int32", "uint32": "load_uint32", "int16": "load_int16", "uint16": "load_uint16",
    "int8": "load_int8", "uint8": "load_uint8",
}  # fmt: skip


def gather_text(dtype: str) -> str:
    """The text of the kernel that gathers a batch: the only place where data becomes float32."""
    emitter = Emitter()
    emitter.imported(INTRINSICS, GATHERED[dtype], "word", "store_0")
    size = int("".join(filter(str.isdigit, dtype))) // 8
    body = f"""@kernel
{HEAD}
    width = word(op, {OP_WIDTH})
    data = word(frame, {SOURCE} + word(op, {operand_word(1)}))
    order = word(frame, {ORDER})
    out = word(frame, word(op, {operand_word(0)})) + word(op, {operand_word(0) + 1})
    for i in range(r0, r1):
        p, q = data + {size} * width * word(order, i), out + 4 * width * i
        for j in range(c0, c1):
            store_0(q, j, np.float32({GATHERED[dtype]}(p, j)))
    return 0
"""
    return emitter.text(f"gather {dtype}", body)


# Words of a product's descriptor after its operands: out, a, b, bias.
GEMM_SPLIT, GEMM_M, GEMM_K, GEMM_A_ROW, GEMM_A_STEP, GEMM_LDB, GEMM_TRANSPOSE_B, GEMM_BIAS = range(
    operand_word(4), operand_word(4) + 8
)


def gemm_text() -> str:
    """The text of a product's kernel: a tile of the output, or (split) a partial sum over the rows [r0, r1)."""
    from nbdl.engine.cpu.matmul import multiply

    emitter = Emitter()
    emitter.imported(INTRINSICS, "word")
    name = emitter.function(multiply, scalar=False)
    body = f"""@kernel
{HEAD}
    n, a_row, a_step = word(op, {OP_WIDTH}), word(op, {GEMM_A_ROW}), word(op, {GEMM_A_STEP})
    ldb, transpose_b = word(op, {GEMM_LDB}), word(op, {GEMM_TRANSPOSE_B})
{_address("out", 0)}
{_address("a", 1)}
{_address("b", 2)}
    m, k, columns, start, start_ld = r1 - r0, word(op, {GEMM_K}), c1 - c0, 0, 0
    if word(op, {GEMM_SPLIT}) != 0:
        m, k, columns, start_ld = word(op, {GEMM_M}), r1 - r0, n, n
        out += 4 * chunk * m * n
        if first == 0:
            start = out
        a += 4 * r0 * a_step
        b += 4 * r0 * (1 if transpose_b != 0 else ldb)
    else:
        if k < 0:
            k = word(frame, {ROWS})
        if word(op, {GEMM_BIAS}) != 0:
            start = word(frame, word(op, {operand_word(3)})) + word(op, {operand_word(3) + 1}) + 4 * c0
        a += 4 * r0 * a_row
        b += 4 * c0 * (ldb if transpose_b != 0 else 1)
        out += 4 * (r0 * n + c0)
    {name}(m, columns, k, a, a_row, a_step, b, ldb, transpose_b, out, n, start, start_ld)
    return 0
"""
    return emitter.text("gemm", body)


def combine_text(reduction: str) -> str:
    """The text of the kernel that joins partial results in order: out[j] = Σ_chunk partial[chunk, j], or maximum."""
    emitter = Emitter()
    emitter.imported(INTRINSICS, "load", "reload", "store_0", "word")
    body = f"""@kernel
{HEAD}
    width, chunks = word(op, {OP_WIDTH}), word(op, {operand_word(2)})
{_address("out", 0)}
{_address("partial", 1)}
    for j in range(c0, c1):
        store_0(out, j, load(partial, j))
    for part in range(1, chunks):
        p = partial + 4 * part * width
        for j in range(c0, c1):
            total, value = reload(out, j), load(p, j)
            {_STEP[reduction]}
            store_0(out, j, total)
    return 0
"""
    return emitter.text(f"combine {reduction}", body)


def check_text() -> str:
    """The text of the kernel with status 1 if any element is not finite: 0·x is 0 for finite x, NaN otherwise."""
    emitter = Emitter()
    emitter.imported(INTRINSICS, "load", "word")
    body = f"""@kernel
{HEAD}
{_address("p", 0)}
    total = np.float32(0.0)
    for j in range(c0, c1):
        total += np.float32(0.0) * load(p, j)
    return 0 if total == np.float32(0.0) else 1
"""
    return emitter.text("check", body)


def uniform_text() -> str:
    """The text of the random numbers' kernel: rows and columns of a tile, the site in the descriptor."""
    from nbdl.engine.random import uniform_rows

    emitter = Emitter()
    emitter.imported(INTRINSICS, "view", "word")
    name = emitter.function(uniform_rows, scalar=False)
    at = operand_word(0)
    body = f"""@kernel
{HEAD}
    width = word(op, {OP_WIDTH})
    out = view(word(frame, word(op, {at})) + word(op, {at + 1}) + 4 * width * r0, r1 - r0, width)
    low, high, step = word(frame, {SEED_LOW}), word(frame, {SEED_HIGH}), word(frame, {STEP})
    {name}(out, r0, r1 - r0, width, low, high, word(op, {at + 2}), step)
    return 0
"""
    return emitter.text("uniform", body)


def kernel_text(operation: Operation) -> str:
    """The text around a hand-written body: an array for each operand, rows of the tile only; sizes are words.

    Of a body that fills a result of fixed shape the tile's rows are the result's: it gets all rows of a batch.
    Where data decide which elements a body reaches, its indices are checked: one outside of an array gives status 1.
    """
    assert operation.function is not None
    checked = unsure(operation)
    emitter = Emitter(guarded=checked)
    emitter.imported(INTRINSICS, "view", "word")
    name = emitter.function(operation.function, scalar=False)
    fixed, count = operation.domain[0] is not None, len(operation.outputs)
    operands = (*operation.outputs, *operation.inputs)
    lines = ["@kernel", HEAD]
    for number, tensor in enumerate(operands):
        at = operand_word(len(operands)) + 2 * number
        tiled = number < count or (tensor.batched and not fixed)
        height = "r1 - r0" if tiled else f"word(frame, {ROWS})" if tensor.batched else f"word(op, {at})"
        start = f"a{number} + 4 * r0 * w{number}" if tiled else f"a{number}"
        lines += [_address(f"a{number}", number), f"    w{number} = word(op, {at + 1})"]
        lines.append(f"    x{number} = view({start}, {height}, w{number})")
    arguments = [f"x{number}" for number in (*range(count, len(operands)), *range(count))]
    arguments += ["r0"] if fixed else []
    call = f"    {name}({', '.join(arguments)})"
    lines += ["    try:", f"    {call}", "    except Exception:", "        return 1"] if checked else [call]
    lines.append("    return 0")
    return emitter.text(f"kernel {operation.function.__name__}", "\n".join(lines) + "\n")


def kernel_sizes(operation: Operation) -> list[int]:
    """The words after the operands of a hand-written body: rows of each (0: those of the batch) and row length."""
    sizes = [(0, t.features) if t.batched else (t.shape[0], t.features // t.shape[0])
             for t in (*operation.outputs, *operation.inputs)]  # fmt: skip
    return [word for pair in sizes for word in pair]
