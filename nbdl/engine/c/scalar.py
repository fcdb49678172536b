"""Scalar functions as C: the float32 text that kernels are made of, translated to C99 that is also C++.

`nbdl.engine.emit` emits an author's function with all it reaches, nbdl's own maths included, as Python text. What
is translated here is that text, so C computes what the engine compiles, without libm for the functions of
`nbdl.program.language.maths`. Every value is a `float`; a truth value that is stored or returned is 1 or 0.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from nbdl.engine.c.primitives import LIBRARY, PRIMITIVES, with_prefix
from nbdl.engine.emit import Emitter
from nbdl.program.language.rewrite import Refusal, parts, statements
from nbdl.program.language.source import Function

# What binds more strongly has the higher number.
CHOICE, OR, AND, EQUAL, ORDER, SUM, PRODUCT, UNARY, ATOM = range(9)
ARITHMETIC = {ast.Add: ("+", SUM), ast.Sub: ("-", SUM), ast.Mult: ("*", PRODUCT), ast.Div: ("/", PRODUCT)}
CALLED = {ast.Mod: "modulo", ast.FloorDiv: "floor_divide", ast.Pow: "powf"}
COMPARED = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
TESTS = ("isfinite", "isinf", "isnan")  # primitives that give a truth value
INDENT = "    "
REMEDY = "see help(nbdl.kernels)"


def literal(value: float) -> str:
    """A float32 as C writes it: nine digits, which are enough to get every bit back.

    >>> literal(0.5), literal(0.1), literal(-0.0), literal(float("-inf"))
    ('0.5f', '0.100000001f', '-0.0f', '-INFINITY')
    """
    if value != value:
        return "NAN"
    text = f"{_rounded(value):.9g}"
    if "inf" in text:
        return text.replace("inf", "INFINITY")
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _rounded(value: float) -> float:
    """The float32 next to a number, infinity where it is too large."""
    import ctypes

    return ctypes.c_float(value).value


def identifier(name: str) -> str:
    """A name made of a name's letters and digits; what C does not allow is replaced.

    >>> identifier("dense_1/kernel"), identifier("α"), identifier("2 layers")
    ('dense_1_kernel', 'u3b1', '_2_layers')
    """
    text = "".join(letter if letter.isascii() else f"u{ord(letter):x}" for letter in name)
    text = re.sub(r"\W", "_", text)
    return f"_{text}" if text[:1].isdigit() else text


def comment_text(text: str) -> str:
    """A text as a comment can hold it: it cannot end the comment, nor go on in another line.

    >>> comment_text("end */ of comment")
    'end * / of comment'
    """
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text.replace("*/", "* /").replace("/*", "/ *")


@dataclass(frozen=True)
class Signature:
    """How a translated function is called.

    Attributes:
        name: its name in the C text.
        results: 1 for a function that returns a float; else how many floats its struct holds.
        parameters: names and defaults (C text, or None).
    """

    name: str
    results: int
    parameters: dict[str, str | None]


class CFunctions:
    """Collects scalar functions, and all that they reach, as C.

    Args:
        prefix: put before each name at file level, so that two such files never clash.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._signatures: dict[str, Signature] = {}
        self._texts: list[str] = []
        self._primitives: set[str] = set()
        self._structs: set[int] = set()

    def function(self, function: Function) -> Signature:
        """Translate a function and all it reaches, once.

        Raises:
            ScalarError: it uses what has no equivalent in C; the message names its file and line.
        """
        emitter = Emitter()
        name = emitter.function(function)
        self.translated(emitter)
        return self._signatures[name]

    def translated(self, emitter: Emitter, apart: str = "") -> tuple[dict[str, str], ast.FunctionDef | None]:
        """Translate all functions that an emitter has collected, but one; return the constants and that one."""
        constants: dict[str, str] = {}
        left = None
        for statement in ast.parse(emitter.text("")).body:
            if isinstance(statement, ast.Assign):
                assert isinstance(statement.targets[0], ast.Name)
                constants[statement.targets[0].id] = literal(_number(statement.value))
            elif isinstance(statement, ast.FunctionDef) and statement.name == apart:
                left = statement
            elif isinstance(statement, ast.FunctionDef) and statement.name not in self._signatures:
                translation = Translation(statement, self, constants)
                self._signatures[statement.name] = translation.signature
                self._texts.append(translation.text)
        return constants, left

    def known(self, name: str) -> Signature | None:
        """How a function of the emitted text is called, or None if it is no such."""
        return self._signatures.get(name)

    def primitive(self, name: str) -> str:
        """The C name of a primitive, whose text is then part of the whole."""
        self._primitives.add(name)
        return f"{self.prefix}_{name}"

    def struct(self, results: int) -> str:
        """The C name of a struct of so many floats."""
        self._structs.add(results)
        return f"{self.prefix}_values_{results}"

    def text(self) -> str:
        """All that was collected, in an order in which a C compiler reads it."""
        structs = [
            f"typedef struct {{ float at[{size}]; }} {self.prefix}_values_{size};" for size in sorted(self._structs)
        ]
        return "\n\n".join([*with_prefix(self.prefix, self._primitives), *structs, *self._texts])


def _number(node: ast.expr) -> float:
    """The value of `float32(0.5)` or `float32(float("inf"))`, as the emitter writes constants."""
    assert isinstance(node, ast.Call)
    argument = node.args[0]
    return float(ast.literal_eval(argument.args[0] if isinstance(argument, ast.Call) else argument))


class Translation:
    """One scalar function of the emitted text as C."""

    def __init__(self, node: ast.FunctionDef, functions: CFunctions, constants: dict[str, str]) -> None:
        self.begin(node, functions, constants)
        names = [argument.arg for argument in node.args.args]
        self.declared = set(names)
        self.unpacked = 0
        parameters: dict[str, str | None] = dict.fromkeys(names)
        parameters.update(
            zip(reversed(names), (self.value(default) for default in reversed(node.args.defaults)), strict=False)
        )
        self.results = self._results(node)
        self.signature = Signature(f"{functions.prefix}_{identifier(node.name).strip('_')}", self.results, parameters)
        kind = "float" if self.results == 1 else functions.struct(self.results)
        shown = ", ".join(f"float {local(name)}" for name in names)
        if not _returns(node.body):
            raise self.refused("may end without `return`")
        lines = [f"static {kind} {self.signature.name}({shown or 'void'})", "{"]
        lines += self.block(node.body, INDENT)
        self.text = "\n".join([*lines, "}"])

    def begin(self, node: ast.FunctionDef, functions: CFunctions, constants: dict[str, str]) -> None:
        """Remember what the author's lines are."""
        self.functions, self.constants, self.part = functions, constants, parts[node.name]
        self.line = self.part.lines[0]
        self.lines = dict(zip(statements(node), self.part.lines, strict=True))

    def refused(self, why: str) -> Refusal:
        """The error to raise."""
        for name, value in self.constants.items():
            why = why.replace(name, value.removesuffix("f"))
        why = re.sub(r"\b(\w+)_[0-9a-f]{8}\b", r"\1", why)  # as the author named it
        return Refusal(self.part.function, self.line, f"{why}, which cannot be written as C", REMEDY)

    def _results(self, node: ast.FunctionDef) -> int:
        sizes = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return):
                known = self._signature_of(inner.value)
                sizes.add(
                    len(inner.value.elts) if isinstance(inner.value, ast.Tuple) else known.results if known else 1
                )
        if len(sizes) > 1:
            raise self.refused(f"returns {' and '.join(map(str, sorted(sizes)))} values")
        return sizes.pop() if sizes else 1

    def _signature_of(self, node: ast.expr | None) -> Signature | None:
        called = node.func if isinstance(node, ast.Call) else None
        return self.functions.known(called.id) if isinstance(called, ast.Name) else None

    # Statements -------------------------------------------------------------------------------------------

    def block(self, block: list[ast.stmt], indent: str) -> list[str]:
        """The lines of a block."""
        lines = []
        for one in block:
            self.line = self.lines.get(one, self.line)
            lines += [f"{indent}{line}" for line in self.statement(one)]
        return lines

    def statement(self, node: ast.stmt) -> list[str]:
        """The lines of a statement."""
        if isinstance(node, ast.Return):
            return self._return(node.value)
        if isinstance(node, ast.Assign):
            return self._assign(node.targets, node.value)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            read = ast.Name(node.target.id, ast.Load())
            return [self._set(node.target, self.value(ast.BinOp(read, node.op, node.value)))]
        if isinstance(node, ast.If):
            return self._if(node)
        if isinstance(node, ast.Pass | ast.Expr):
            return []  # an expression alone has no effect
        raise self.refused(f"has `{ast.unparse(node)}`")

    def _return(self, node: ast.expr | None) -> list[str]:
        if self.results == 1:
            return [f"return {self.value(node)};"]
        if not isinstance(node, ast.Tuple):
            return [f"return {self.call(node)};"]  # of a function with as many results
        struct = self.functions.struct(self.results)
        values = ", ".join(self.value(element) for element in node.elts)
        return [f"{struct} results = {{{{{values}}}}};", "return results;"]

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> list[str]:
        target = targets[0]
        if isinstance(target, ast.Name):
            lines = [self._set(target, self.value(value))]
            return lines + [self._set(other, local(target.id)) for other in targets[1:]]
        if not isinstance(target, ast.Tuple) or len(targets) > 1:
            raise self.refused(f"assigns to `{ast.unparse(target)}`")
        self.unpacked += 1
        size, number = len(target.elts), self.unpacked
        if isinstance(value, ast.Tuple) and len(value.elts) == size:
            # All values before the first name: `a, b = b, a`.
            lines = [f"const float value{number}_{i} = {self.value(one)};" for i, one in enumerate(value.elts)]
            return lines + [self._set(one, f"value{number}_{i}") for i, one in enumerate(target.elts)]
        known = self._signature_of(value)
        if known is None or known.results != size:
            raise self.refused(f"unpacks `{ast.unparse(value)}`")
        lines = [f"const {self.functions.struct(size)} values{number} = {self.call(value)};"]
        return lines + [self._set(one, f"values{number}.at[{i}]") for i, one in enumerate(target.elts)]

    def _set(self, target: ast.expr, value: str) -> str:
        if not isinstance(target, ast.Name):
            raise self.refused(f"assigns to `{ast.unparse(target)}`")
        declaration = "" if target.id in self.declared else "float "
        self.declared.add(target.id)
        return f"{declaration}{local(target.id)} = {value};"

    def _if(self, node: ast.If) -> list[str]:
        # A name that is first set within a block is known after it.
        stored = [one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
        lines = [self._set(ast.Name(name), "0.0f") for name in dict.fromkeys(stored) if name not in self.declared]
        lines += [f"if ({self.truth(node.test)[0]}) {{", *self.block(node.body, INDENT)]
        if node.orelse:
            lines += ["} else {", *self.block(node.orelse, INDENT)]
        return [*lines, "}"]

    # Expressions ------------------------------------------------------------------------------------------

    def value(self, node: ast.expr | None, least: int = CHOICE) -> str:
        """A float; in parentheses where it binds less than `least`."""
        text, level = self._value(node)
        return text if level >= least else f"({text})"

    def _value(self, node: ast.expr | None) -> tuple[str, int]:
        if isinstance(node, ast.Name) and node.id in self.declared:
            return local(node.id), ATOM
        if isinstance(node, ast.Name) and node.id in self.constants:
            text = self.constants[node.id]
            return text, UNARY if text.startswith("-") else ATOM
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return literal(node.value), ATOM
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            sign = "-" if isinstance(node.op, ast.USub) else "+"
            return f"{sign}{self.value(node.operand, ATOM)}", UNARY
        if isinstance(node, ast.IfExp):
            return self._choice(self.truth(node.test), self.value(node.body, OR), self.value(node.orelse, OR))
        if isinstance(node, ast.BoolOp) and not _is_truth(node):
            return self._first_of(node)
        if node is not None and _is_truth(node):
            return self._choice(self.truth(node), "1.0f", "0.0f")
        if isinstance(node, ast.Call):
            known = self._signature_of(node)
            if known is not None and known.results != 1:
                raise self.refused(f"uses the {known.results} results of `{ast.unparse(node)}` as one number")
            return self.call(node), ATOM
        raise self.refused("returns nothing" if node is None else f"has `{ast.unparse(node)}`")

    def _arithmetic(self, node: ast.BinOp) -> tuple[str, int]:
        found = ARITHMETIC.get(type(node.op))
        if found is not None:
            sign, level = found
            return f"{self.value(node.left, level)} {sign} {self.value(node.right, level + 1)}", level
        name = CALLED.get(type(node.op))
        if name is None:
            raise self.refused(f"has `{ast.unparse(node)}`")
        name = self.functions.primitive(name) if name in PRIMITIVES else name
        return f"{name}({self.value(node.left)}, {self.value(node.right)})", ATOM

    def _first_of(self, node: ast.BoolOp) -> tuple[str, int]:
        """`a or b` as a value: a where it is true, else b."""
        *earlier, last = node.values
        text, level = self._value(last)
        for one in reversed(earlier):
            rest = text if level >= OR else f"({text})"
            chosen = (self.value(one, OR), rest) if isinstance(node.op, ast.Or) else (rest, self.value(one, OR))
            text, level = self._choice(self.truth(one), *chosen)
        return text, level

    def _choice(self, test: tuple[str, int], chosen: str, otherwise: str) -> tuple[str, int]:
        condition = test[0] if test[1] >= ORDER else f"({test[0]})"
        return f"{condition} ? {chosen} : {otherwise}", CHOICE

    def truth(self, node: ast.expr) -> tuple[str, int]:
        """A condition and how strongly it binds; a number is true unless it is 0, NaN included."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            text, level = self.truth(node.operand)
            return f"!{text}" if level >= ATOM else f"!({text})", UNARY
        if isinstance(node, ast.BoolOp):
            sign, level = ("&&", AND) if isinstance(node.op, ast.And) else ("||", OR)
            return self._joined(sign, level, [self.truth(one) for one in node.values])
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            return self._joined("&&", AND, [self._compared(*one) for one in zip(sides, node.ops, sides[1:])])  # noqa: B905
        if _is_truth(node):
            assert isinstance(node, ast.Call)
            if isinstance(node.func, ast.Name):  # bool(x)
                return self.truth(node.args[0])
            return self.call(node), ATOM
        return f"{self.value(node, SUM)} != 0.0f", EQUAL

    def _compared(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> tuple[str, int]:
        sign = COMPARED.get(type(operator))
        if sign is None:
            raise self.refused(f"has `{ast.unparse(ast.Compare(left, [operator], [right]))}`")
        level = EQUAL if sign in ("==", "!=") else ORDER
        return f"{self.value(left, SUM)} {sign} {self.value(right, SUM)}", level

    def _joined(self, sign: str, level: int, parts: list[tuple[str, int]]) -> tuple[str, int]:
        if len(parts) == 1:
            return parts[0]
        return f" {sign} ".join(text if bound >= EQUAL else f"({text})" for text, bound in parts), level

    def call(self, node: ast.expr | None) -> str:
        """A call of another function of the text, of a primitive, or of the C library."""
        assert isinstance(node, ast.Call)
        known = self._signature_of(node)
        if known is not None:
            return f"{known.name}({', '.join(self._arguments(node, known))})"
        name = ast.unparse(node.func).removeprefix("math.")
        if node.keywords or not (name in PRIMITIVES or name in LIBRARY):
            raise self.refused(f"calls `{ast.unparse(node)}`")
        called = LIBRARY[name] if name in LIBRARY else self.functions.primitive(name)
        return f"{called}({', '.join(self.value(argument) for argument in node.args)})"

    def _arguments(self, node: ast.Call, known: Signature) -> list[str]:
        arguments: dict[str, str | None] = dict(known.parameters)
        named = dict(zip(known.parameters, node.args, strict=False))
        named.update({item.arg: item.value for item in node.keywords if item.arg})
        arguments.update({name: self.value(value) for name, value in named.items()})
        values = [value for value in arguments.values() if value is not None]
        if len(values) != len(known.parameters) or len(node.args) > len(known.parameters):
            raise self.refused(f"calls `{ast.unparse(node)}` with other arguments than it takes")
        return values


def _is_truth(node: ast.expr) -> bool:
    """Whether an expression is a comparison or made of such."""
    if isinstance(node, ast.BoolOp):
        return all(map(_is_truth, node.values))
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in ("bool", *(f"math.{name}" for name in TESTS))
    return isinstance(node, ast.Compare) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))


def _returns(body: list[ast.stmt]) -> bool:
    """Whether every way through a block ends in `return`."""
    last = body[-1] if body else None
    if isinstance(last, ast.If):
        return _returns(last.body) and _returns(last.orelse)
    return isinstance(last, ast.Return)


def local(name: str) -> str:
    """A local name; the underscore keeps it apart from C's keywords and macros."""
    return f"{identifier(name)}_"
