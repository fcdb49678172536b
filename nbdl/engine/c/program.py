"""A prediction program as C: one loop for each operation, for one row."""

from __future__ import annotations

from collections.abc import Callable

from nbdl.engine.c.body import BodyTranslation, gemm_text
from nbdl.engine.c.scalar import CFunctions, comment_text, identifier, literal
from nbdl.engine.emit import Emitter
from nbdl.errors import ConfigError
from nbdl.program.language.explain import naming
from nbdl.program.language.rewrite import C
from nbdl.program.language.source import describe
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor, pattern

START = {"sum": "0.0f", "max": "-INFINITY", "argmax": "-INFINITY"}
# As the engine's kernels: a NaN wins against any number.
STEP = {
    "sum": ["total += value;"],
    "max": ["total = value > total || value != value ? value : total;"],
    "argmax": ["if (value > total) {", "    total = value;", "    best = j;", "}"],
}
REFUSED = {"uniform": "random numbers, which a function of one row alone cannot draw"}
REFUSAL = "cannot be exported to C"
UNROLLED = 4  # rows of a weight matrix per pass over the outputs, which are then loaded and stored less often


class CProgram:
    """The parts of a C file that compute one row.

    Args:
        program: a prediction program.
        prefix: put before each name at file level.
        where: says whose an operation is, for messages.

    Attributes:
        functions: the scalar functions that are called.
        arrays: the weights and tables that are read, by their names in C.
        loops: the functions of matrix products and hand-written bodies, by name.
        work: floats of the work area.
        body: the statements.
        longest: numbers that are added up, one after another, on the way from inputs to outputs.

    Raises:
        ConfigError: an operation that C cannot express; the message names layer, plugin and operation.
    """

    def __init__(self, program: Program, prefix: str, where: Callable[[Operation], str]) -> None:
        self.program, self.prefix, self.where = program, prefix, where
        self.functions = CFunctions(prefix)
        self.arrays: dict[str, Tensor] = {}
        self.loops: dict[str, str] = {}
        self.longest = 0
        operations = [operation for operation in self.program.operations if operation.kind != "gather"]
        for operation in operations:
            self._check(operation)
        self.offsets, self.work = planned(operations)
        self.body = [line for operation in operations for line in self._statements(operation)]

    # What cannot be written ---------------------------------------------------------------------------------

    def _check(self, operation: Operation) -> None:
        if operation.kind not in ("map", "sum", "gemm", "kernel"):
            self._refuse(operation, f"is {REFUSED.get(operation.kind, 'of a kind')}")
        if any(tensor.batched for tensor in operation.inputs) and not all(
            tensor.batched for tensor in operation.outputs
        ):
            self._refuse(operation, "goes over all rows of a batch, of which a function of one row knows nothing")
        for tensor in operation.inputs:
            if tensor.storage.space == "scalar":
                self._refuse(operation, f"reads {tensor.name!r} of the batch, of which one row knows nothing")
        for tensor in operation.outputs:
            if tensor.storage.space not in ("work", "output"):
                self._refuse(operation, f"changes {tensor.describe()}, and the weights in a C file are constants")

    def _refuse(self, operation: Operation, why: str) -> None:
        callee = f" {describe(operation.function)}" if operation.function else ""
        raise ConfigError(f"{self.where(operation)}: {operation.title}{callee} {why}; it cannot be exported to C")

    # Operations ---------------------------------------------------------------------------------------------

    def _statements(self, operation: Operation) -> list[str]:
        title = f"{operation.layer}: {operation.title}, " if operation.layer else f"{operation.title}, "
        sizes = " and ".join(tensor.describe() for tensor in operation.outputs)
        write = {"map": self._map, "sum": self._sum, "gemm": self._product, "kernel": self._body}[operation.kind]
        return [f"/* {comment_text(title + sizes)} */", *write(operation)]

    def _value(self, operation: Operation) -> str:
        """The scalar function of the operands' elements."""
        assert operation.function is not None
        with naming([operation], REFUSAL, self.where(operation)):
            signature = self.functions.function(operation.function)
        return f"{signature.name}({', '.join(self._element(tensor, operation) for tensor in operation.inputs)})"

    def _map(self, operation: Operation) -> list[str]:
        value = self._value(operation)
        targets = [self._element(tensor, operation) for tensor in operation.outputs]
        if len(targets) == 1:
            inner = [f"{targets[0]} = {value};"]
        else:
            inner = [f"const {self.functions.struct(len(targets))} values = {value};"]
            inner += [f"{target} = values.at[{number}];" for number, target in enumerate(targets)]
        return _loops(operation, inner)

    def _sum(self, operation: Operation) -> list[str]:
        reduction, over_rows = operation.attributes["reduction"], operation.attributes["over"] == "rows"
        height, width = operation.domain[0] or 1, operation.domain[1]
        self.longest += height if over_rows else width
        outer, inner = (("j", width), ("i", height)) if over_rows else (("i", height), ("j", width))
        result = "(float)best" if reduction == "argmax" else "total"
        lines = [
            f"float total = {START[reduction]};",
            *(["int best = 0;"] if reduction == "argmax" else []),
            *_loop(*inner, [f"const float value = {self._value(operation)};", *STEP[reduction]]),
            f"{self._at(operation.outputs[0], '0' if outer == ('i', 1) else outer[0])} = {result};",
        ]
        return ["{", *(f"    {line}" for line in lines), "}"] if outer == ("i", 1) else _loop(*outer, lines)

    def _product(self, operation: Operation) -> list[str]:
        m, n, k = operation.product(1)
        self.longest += k
        transposed = "".join(f"_{side}" for side in "ab" if operation.attributes[f"transpose_{side}"])
        with_bias = len(operation.inputs) == 3
        name = f"{self.prefix}_product_{m}x{k}x{n}{'_transposed' if transposed else ''}{transposed}"
        name += "" if with_bias else "_without_bias"
        self.loops[name] = product_text(name, self.prefix.upper(), operation, with_bias)
        return [f"{name}({', '.join(self._start(tensor) for tensor in (*operation.inputs, *operation.outputs))});"]

    def _body(self, operation: Operation) -> list[str]:
        function, operands = operation.function, (*operation.inputs, *operation.outputs)
        assert function is not None
        emitter = Emitter(C)
        sizes = [(1, t.features) if t.batched else (t.shape[0], t.features // t.shape[0]) for t in operands]
        with naming([operation], REFUSAL, self.where(operation)):
            name = emitter.function(function, scalar=False)
            constants, node = self.functions.translated(emitter, name)
            assert node is not None
            made = BodyTranslation(node, self.functions, constants, sizes, len(operation.outputs))
        if made.multiplies:
            self.loops[f"{self.prefix}_gemm"] = gemm_text(self.prefix)
        self.loops[made.name] = made.text
        return [f"{made.name}({', '.join(self._start(operands[number]) for number in made.reads)});"]

    # Operands -----------------------------------------------------------------------------------------------

    def _element(self, tensor: Tensor, operation: Operation) -> str:
        """An element of an operand, in loops over i and j."""
        how = pattern(tensor, operation.domain)
        if how == "index":
            return "(float)j"
        fixed = operation.domain[0] not in (None, 1)  # else there is one row, and no loop over i
        index = "j" if how in ("full", "feature") else "0"
        if fixed and how in ("full", "row"):
            index = f"i * {operation.domain[1]} + j" if how == "full" else "i"
        return self._at(tensor, index)

    def _at(self, tensor: Tensor, index: str) -> str:
        storage = tensor.storage
        if storage.space == "constant" and tensor.features == 1:
            return literal(self.program.constants[storage.offset])
        base, offset = self._base(tensor)
        return f"{base}[{f'{offset} + ' if offset else ''}{index}]"

    def _start(self, tensor: Tensor) -> str:
        """Where an operand starts."""
        base, offset = self._base(tensor)
        return f"{base} + {offset}" if offset else base

    def _base(self, tensor: Tensor) -> tuple[str, int]:
        storage = tensor.storage
        if storage.space in ("weight", "constant"):
            return self._array(storage), 0
        if storage.space == "work":
            return "work", self.offsets[id(storage)]
        return ("y" if storage.space == "output" else "x"), 0

    def _array(self, weight: Tensor) -> str:
        for name, known in self.arrays.items():
            if (known.space, known.offset, known.features) == (weight.space, weight.offset, weight.features):
                return name
        name = f"{self.prefix}_{identifier(weight.name)}"
        while name in self.arrays:
            name += "_"
        self.arrays[name] = weight
        return name


def planned(operations: list[Operation]) -> tuple[dict[int, int], int]:
    """Where each result lies in the work area, and the area's size: memory is used again once nobody reads it."""
    used = [{id(tensor.storage) for tensor in (*one.inputs, *one.outputs)} for one in operations]
    last = {key: number for number, keys in enumerate(used) for key in keys}
    offsets: dict[int, int] = {}
    held: dict[int, tuple[int, int]] = {}  # by storage: where it starts and ends
    size = 0
    for number, operation in enumerate(operations):
        ending = [key for key in used[number] if last[key] == number]
        for tensor in operation.outputs:
            storage = tensor.storage
            if storage.space != "work" or id(storage) in offsets:
                continue
            taken = _in_place(operation, storage, [key for key in ending if key in held])
            if taken is not None:
                held[id(storage)] = held.pop(taken)
            else:
                held[id(storage)] = _gap(list(held.values()), storage.features)
            offsets[id(storage)] = held[id(storage)][0]
            size = max(size, held[id(storage)][1])
        for key in ending:
            held.pop(key, None)
    return offsets, size


def _in_place(operation: Operation, result: Tensor, ending: list[int]) -> int | None:
    """An operand of a map whose memory the result can take, element by element."""
    if operation.kind != "map":
        return None
    for tensor in operation.inputs:
        whole = pattern(tensor, operation.domain) == "full" and tensor.storage.features == result.features
        if whole and id(tensor.storage) in ending:
            return id(tensor.storage)
    return None


def _gap(held: list[tuple[int, int]], size: int) -> tuple[int, int]:
    """The first place where so many floats are free."""
    start = 0
    for begins, ends in sorted(held):
        if start + size <= begins:
            break
        start = max(start, ends)
    return start, start + size


def _loop(index: str, size: int, inner: list[str]) -> list[str]:
    return [f"for (int {index} = 0; {index} < {size}; {index}++) {{", *(f"    {line}" for line in inner), "}"]


def _loops(operation: Operation, inner: list[str]) -> list[str]:
    height, width = operation.domain
    lines = _loop("j", width, inner)
    return lines if height in (None, 1) else _loop("i", height or 1, lines)


def product_text(name: str, macros: str, operation: Operation, with_bias: bool) -> str:
    """The function of a product: each element is one sum in the order of p, which starts at the bias."""
    m, n, k = operation.product(1)
    transpose_a, transpose_b = operation.attributes["transpose_a"], operation.attributes["transpose_b"]
    bias = f"const float *{macros}_RESTRICT bias, " if with_bias else ""

    def term(p: str) -> str:
        row = f"i * {k} + " if m > 1 else ""
        first = f"a[{multiple(p, m)} + i]" if transpose_a else f"a[{row}{p}]"
        return f"{first}, b[{f'j * {k} + {p}' if transpose_b else f'{multiple(p, n)} + j'}]"

    def step(p: str, count: int) -> list[str]:
        offsets = [str(int(p) + i) if p.isdigit() else f"{p} + {i}" if i else p for i in range(count)]
        return [
            "float total = out[j];",
            *(f"total = {macros}_MULTIPLY_ADD({one}, total);" for one in map(term, offsets)),
            "out[j] = total;",
        ]

    whole = k - k % UNROLLED
    lines = [] if m == 1 else [f"float *out = y + i * {n};"]
    lines += _loop("j", n, [f"out[j] = {'bias[j]' if with_bias else '0.0f'};"])
    if whole:
        inner = _loop("j", n, step("p", UNROLLED))
        lines += [f"for (int p = 0; p < {whole}; p += {UNROLLED}) {{", *(f"    {line}" for line in inner), "}"]
    if k - whole:
        lines += _loop("j", n, step(str(whole), k - whole))
    lines = lines if m > 1 else [line.replace("out[", "y[") for line in lines]
    body = _loop("i", m, lines) if m > 1 else lines
    head = f"static void {name}(const float *{macros}_RESTRICT a, const float *{macros}_RESTRICT b, {bias}"
    head += f"float *{macros}_RESTRICT y)"
    return "\n".join([head, "{", *(f"    {line}" for line in body), "}"])


def multiple(index: str, size: int) -> str:
    """An index times a size, without arithmetic or parentheses that are not needed.

    >>> multiple("3", 10), multiple("p", 10), multiple("p + 1", 10)
    ('30', 'p * 10', '(p + 1) * 10')
    """
    if index.isdigit():
        return str(int(index) * size)
    return f"{index} * {size}" if index.isidentifier() else f"({index}) * {size}"
