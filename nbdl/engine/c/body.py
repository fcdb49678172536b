"""Hand-written bodies as C: loops over arrays of known sizes.

A body may have `for` over `range`, `while`, `if`, assignments, elements `x[i, j]`, `x.shape[k]`, `len(x)`, `int(...)`
and what scalar functions have. An index is never negative there: Python's counting from the end has no equivalent.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from nbdl.engine.c.scalar import ATOM, INDENT, PRODUCT, SUM, UNARY, CFunctions, Translation, identifier, local

GEMM = ("a", "b", "out", "transpose_a", "transpose_b", "accumulate")
INTEGER = (ast.Add, ast.Sub, ast.Mult)


class BodyTranslation(Translation):
    """One body as a C function.

    Args:
        sizes: (rows, row length) of each array, inputs first.
        outputs: how many of the arrays are results.

    Attributes:
        name: of the function, which depends on the sizes.
        reads: numbers of the arrays that the function takes: those of whose elements the body makes use.
        multiplies: whether it calls `nbdl.kernels.gemm`, whose text is `gemm_text`.
    """

    def __init__(
        self,
        node: ast.FunctionDef,
        functions: CFunctions,
        constants: dict[str, str],
        sizes: Sequence[tuple[int, int]],
        outputs: int,
    ) -> None:
        self.begin(node, functions, constants)
        self.multiplies = False
        names = [argument.arg for argument in node.args.args]
        self.sizes = dict(zip(names, sizes, strict=True))
        self.declared, self.unpacked = set[str](), 0
        self.integers, self.floats, self.read = set[str](), set[str](), set[str]()
        lines = self.block(node.body, INDENT)
        self.reads = [number for number, name in enumerate(names) if name in self.read]
        first = len(names) - outputs
        restrict = f"*{functions.prefix.upper()}_RESTRICT"
        parameters = [f"{'const ' if n < first else ''}float {restrict} {local(names[n])}" for n in self.reads]
        self.name = "_".join(
            [f"{functions.prefix}_{identifier(node.name).strip('_')}", *(f"{a}x{b}" for a, b in sizes)]
        )
        declared = [f"{INDENT}int {local(name)} = 0;" for name in sorted(self.integers & self.declared)]
        declared += [f"{INDENT}float {local(name)} = 0.0f;" for name in sorted(self.floats)]
        head = f"static void {self.name}({', '.join(parameters)})"
        self.text = "\n".join([head, "{", *declared, *lines, "}"])

    # Statements -------------------------------------------------------------------------------------------

    def statement(self, node: ast.stmt) -> list[str]:
        """The lines of a statement."""
        if isinstance(node, ast.For):
            return self._for(node)
        if isinstance(node, ast.While) and not node.orelse:
            return [f"while ({self.truth(node.test)[0]}) {{", *self.block(node.body, INDENT), "}"]
        if isinstance(node, ast.If):
            lines = [f"if ({self.truth(node.test)[0]}) {{", *self.block(node.body, INDENT)]
            return [*lines, *(["} else {", *self.block(node.orelse, INDENT)] if node.orelse else []), "}"]
        if isinstance(node, ast.AugAssign):
            return self._assign([node.target], ast.BinOp(_loaded(node.target), node.op, node.value))
        if isinstance(node, ast.Return):
            raise self.refused("has `return`")
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return [self._gemm(node.value)]
        return super().statement(node)

    def _for(self, node: ast.For) -> list[str]:
        called, counter = node.iter, node.target
        stored = {one.id for inner in node.body for one in ast.walk(inner)
                  if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}  # fmt: skip
        if not (
            isinstance(called, ast.Call)
            and ast.unparse(called.func) == "range"
            and 1 <= len(called.args) <= 2
            and isinstance(counter, ast.Name)
            and counter.id not in stored | self.integers | self.floats
            and not node.orelse
        ):
            raise self.refused(f"has `for {ast.unparse(counter)} in {ast.unparse(called)}`")
        first = self._as(called.args[0], True) if len(called.args) == 2 else "0"
        name, end = local(counter.id), f"{local(counter.id)}end"
        head = f"for (int {name} = {first}, {end} = {self._as(called.args[-1], True)}; {name} < {end}; {name}++) {{"
        self.integers.add(counter.id)
        lines = self.block(node.body, INDENT)
        self.integers.remove(counter.id)  # after the loop it would be another number than in Python
        return [head, *lines, "}"]

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> list[str]:
        target = targets[0]
        if len(targets) > 1:
            raise self.refused(f"assigns to {len(targets)} targets at once")
        if not isinstance(target, ast.Tuple):
            return [self._store(target, self._integer(value), self.value(value))]
        if not isinstance(value, ast.Tuple) or len(value.elts) != len(target.elts):
            raise self.refused(f"unpacks `{ast.unparse(value)}`")
        self.unpacked += 1
        names = [f"value{self.unpacked}_{number}" for number in range(len(value.elts))]
        kinds = [self._integer(one) for one in value.elts]  # all values before the first name: `a, b = b, a`
        lines = [f"const {'int' if kind else 'float'} {name} = {self.value(one)};"
                 for name, kind, one in zip(names, kinds, value.elts, strict=True)]  # fmt: skip
        return lines + [self._store(*one) for one in zip(target.elts, kinds, names, strict=True)]

    def _store(self, target: ast.expr, integer: bool, text: str) -> str:
        if isinstance(target, ast.Subscript):
            return f"{self._element(target)} = {f'(float)({text})' if integer else text};"
        if not isinstance(target, ast.Name) or target.id in self.sizes:
            raise self.refused(f"assigns to `{ast.unparse(target)}`")
        kind, other = (self.integers, self.floats) if integer else (self.floats, self.integers)
        if target.id in other:
            raise self.refused(f"gives {target.id!r} both integers and floats")
        kind.add(target.id)
        self.declared.add(target.id)
        return f"{local(target.id)} = {text};"

    def _gemm(self, node: ast.Call) -> str:
        arguments = dict(zip(GEMM, node.args, strict=False)) | {
            item.arg: item.value for item in node.keywords if item.arg
        }
        flags = [arguments.get(name, ast.Constant(False)) for name in GEMM[3:]]
        if ast.unparse(node.func) != "gemm" or not all(isinstance(one, ast.Constant) for one in flags):
            raise self.refused(f"calls `{ast.unparse(node)}` for what it does to arrays")
        transpose_a, transpose_b, accumulate = (bool(one.value) for one in flags if isinstance(one, ast.Constant))
        (a, *size_a, lda), (b, *_, ldb), (out, m, n, ldc) = (self._view(arguments[name]) for name in GEMM[:3])
        self.multiplies = True
        strides_a, strides_b = f"{lda}, 1", f"{ldb}, 1"
        if transpose_a:
            strides_a = f"1, {lda}"
        if transpose_b:
            strides_b = f"1, {ldb}"
        sizes = f"{m}, {n}, {size_a[0] if transpose_a else size_a[1]}"
        called = f"{self.functions.prefix}_gemm"
        return f"{called}({sizes}, {a}, {strides_a}, {b}, {strides_b}, {out}, {ldc}, {int(accumulate)});"

    def _view(self, node: ast.expr) -> tuple[str, str, str, int]:
        """Where an array or a slice of it starts; its rows, its columns, and elements from row to row."""
        array, index = (node.value, node.slice) if isinstance(node, ast.Subscript) else (node, ast.Slice())
        axes = index.elts if isinstance(index, ast.Tuple) else [index, ast.Slice()]
        if not (isinstance(array, ast.Name) and array.id in self.sizes and len(axes) == 2):
            raise self.refused(f"multiplies `{ast.unparse(node)}`")
        rows, width = self.sizes[array.id]
        self.read.add(array.id)
        (top, height), (left, columns) = (self._extent(*one, node) for one in zip(axes, (rows, width), strict=True))
        start = [f"{grouped(top)} * {width}"] * (top != "0") + [grouped(left)] * (left != "0")
        return " + ".join([local(array.id), *start]), height, columns, width

    def _extent(self, axis: ast.expr, size: int, node: ast.expr) -> tuple[str, str]:
        """First element and number of elements of an axis."""
        if not isinstance(axis, ast.Slice) or axis.step is not None:
            raise self.refused(f"multiplies `{ast.unparse(node)}`, which has not two axes")
        first = "0" if axis.lower is None else self._as(axis.lower, True)
        end = str(size) if axis.upper is None else self._as(axis.upper, True)
        return first, end if first == "0" else f"{end} - {grouped(first)}"

    # Expressions ------------------------------------------------------------------------------------------

    def _integer(self, node: ast.expr) -> bool:
        """Whether an expression is an integer; all others are floats."""
        if isinstance(node, ast.Name):
            return node.id in self.integers
        if isinstance(node, ast.Constant):
            return type(node.value) is int
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, INTEGER) and self._integer(node.left) and self._integer(node.right)
        if isinstance(node, ast.IfExp):
            return self._integer(node.body) and self._integer(node.orelse)
        if isinstance(node, ast.UnaryOp):
            return self._integer(node.operand)
        return self._size(node) is not None or _is_call(node, "int")

    def _as(self, node: ast.expr, integer: bool) -> str:
        """A value of that kind."""
        if integer and not self._integer(node):
            raise self.refused(f"has `{ast.unparse(node)}` where an integer belongs")
        text = self.value(node)
        return text if integer == self._integer(node) else f"(float)({text})"

    def _size(self, node: ast.expr) -> int | None:
        """What `x.shape[k]` and `len(x)` are."""
        if _is_call(node, "len") and isinstance(node, ast.Call) and isinstance(node.args[0], ast.Name):
            return self.sizes[node.args[0].id][0] if node.args[0].id in self.sizes else None
        if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Attribute):
            return None
        array, axis = node.value.value, node.slice
        if not (isinstance(array, ast.Name) and array.id in self.sizes and node.value.attr == "shape"):
            return None
        return {"0": self.sizes[array.id][0], "1": self.sizes[array.id][1]}.get(ast.unparse(axis))

    def _value(self, node: ast.expr | None) -> tuple[str, int]:
        size = None if node is None else self._size(node)
        if size is not None:
            return str(size), ATOM
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return str(node.value), ATOM
        if isinstance(node, ast.Name) and node.id in self.integers | self.floats:
            return local(node.id), ATOM
        if isinstance(node, ast.Subscript):
            return self._element(node), ATOM
        if node is not None and _is_call(node, "np.float32"):
            assert isinstance(node, ast.Call)
            return f"(float){self.value(node.args[0], ATOM)}", UNARY
        if node is not None and _is_call(node, "int"):
            assert isinstance(node, ast.Call)
            return f"(int){self.value(node.args[0], ATOM)}", UNARY
        if isinstance(node, ast.BinOp) and self._integer(node.left) != self._integer(node.right):
            raise self.refused(f"mixes an integer and a float in `{ast.unparse(node)}`")
        if isinstance(node, ast.BinOp) and self._integer(node.left) and not isinstance(node.op, INTEGER):
            raise self.refused(f"has `{ast.unparse(node)}` of integers")
        return super()._value(node)

    def _element(self, node: ast.Subscript) -> str:
        array, index = node.value, node.slice
        if not (
            isinstance(array, ast.Name)
            and array.id in self.sizes
            and isinstance(index, ast.Tuple)
            and len(index.elts) == 2
            and all(map(self._integer, index.elts))
            and not any(isinstance(one, ast.UnaryOp) for one in index.elts)
        ):
            raise self.refused(f"has `{ast.unparse(node)}`")
        self.read.add(array.id)
        row, column = index.elts
        rows, width = self.sizes[array.id]
        if rows == 1:
            return f"{local(array.id)}[{self.value(column)}]"
        if width == 1:
            return f"{local(array.id)}[{self.value(row)}]"
        return f"{local(array.id)}[{self.value(row, PRODUCT)} * {width} + {self.value(column, SUM)}]"


def gemm_text(prefix: str) -> str:
    """The C function of `nbdl.kernels.gemm`: any strides; each element one sum in the order of p."""
    macros = prefix.upper()
    return f"""static void {prefix}_gemm(int m, int n, int k, const float *a, int a_row, int a_step, const float *b,
    int b_step, int b_column, float *out, int out_row, int accumulate)
{{
    for (int i = 0; i < m; i++) {{
        for (int j = 0; j < n; j++) {{
            float total = accumulate ? out[i * out_row + j] : 0.0f;
            for (int p = 0; p < k; p++) {{
                total = {macros}_MULTIPLY_ADD(a[i * a_row + p * a_step], b[p * b_step + j * b_column], total);
            }}
            out[i * out_row + j] = total;
        }}
    }}
}}"""


def grouped(text: str) -> str:
    """In parentheses, unless it is a name or a number.

    >>> grouped("3"), grouped("i_ + 1")
    ('3', '(i_ + 1)')
    """
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _is_call(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == name and len(node.args) == 1


def _loaded(target: ast.expr) -> ast.expr:
    """What is assigned to, as it is read."""
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    return target
