"""Derivatives of scalar functions: another scalar function, made of a function's own code by the chain rule.

The code is read as a tree of assignments, `if` statements and returns (see `from_bytecode`). Beside each assignment to
a variable stands one to its tangent, the variable's derivative; each return gives the tangent of its value.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import itertools
import linecache
import math
import types
from collections.abc import Mapping
from typing import Any, NoReturn

from nbdl.program.functions import sign
from nbdl.program.language import bytecode as from_bytecode
from nbdl.program.language.source import Function, ScalarError, describe

# The derivative of each function of `math`; its argument a stands in brackets.
SLOPES = {
    "exp": "math.exp{a}", "expm1": "math.exp{a}", "exp2": "0.6931471805599453 * math.exp2{a}",
    "log": "1.0 / {a}", "log1p": "1.0 / (1.0 + {a})", "log2": "1.4426950408889634 / {a}",
    "log10": "0.4342944819032518 / {a}", "sqrt": "0.5 / math.sqrt{a}",
    "sin": "math.cos{a}", "cos": "-math.sin{a}", "tan": "1.0 + math.tan{a} * math.tan{a}",
    "sinh": "math.cosh{a}", "cosh": "math.sinh{a}", "tanh": "1.0 - math.tanh{a} * math.tanh{a}",
    "asin": "1.0 / math.sqrt(1.0 - {a} * {a})", "acos": "-1.0 / math.sqrt(1.0 - {a} * {a})",
    "atan": "1.0 / (1.0 + {a} * {a})", "asinh": "1.0 / math.sqrt({a} * {a} + 1.0)",
    "acosh": "1.0 / math.sqrt({a} * {a} - 1.0)", "atanh": "1.0 / (1.0 - {a} * {a})",
    "erf": "1.1283791670955126 * math.exp(-{a} * {a})", "erfc": "-1.1283791670955126 * math.exp(-{a} * {a})",
    "fabs": "nbdl_sign{a}",
}  # fmt: skip
FLAT = {"floor", "ceil", "trunc"}  # constant but for their jumps


def slope_of_larger(a: float, b: float, da: float, db: float) -> float:
    """The tangent of max(a, b)."""
    return db if b > a else da


def slope_of_smaller(a: float, b: float, da: float, db: float) -> float:
    """The tangent of min(a, b)."""
    return db if b < a else da


HELPERS = {"math": math, "nbdl_sign": sign, "nbdl_larger": slope_of_larger, "nbdl_smaller": slope_of_smaller}


def derivative(function: Function, by: int, also: str = "") -> Function:
    """Return the derivative of a scalar function by one of its arguments, as a scalar function.

    At a kink it is the derivative of the branch that the function takes there.

    Args:
        function: plain Python, as a unit's functions are.
        by: the number of the argument, from 0.
        also: the name of an argument that the derivative takes after the first, and does not use: an activation's y.

    Raises:
        ScalarError: the function does what no scalar function does, or calls something whose derivative is unknown.

    >>> derivative(lambda x, a=3.0: x * x if x > 0.0 else a * x, 0)(-1.0)
    3.0
    """
    function = getattr(function, "py_func", function)
    if not isinstance(function, types.FunctionType):
        raise ScalarError(f"{function!r} is not a Python function, so its derivative cannot be found")
    try:
        return _derivative(function, by, also)
    except RecursionError:
        raise ScalarError(f"{describe(function)} calls itself, so its derivative cannot be found") from None


@functools.lru_cache(maxsize=256)
def _derivative(function: types.FunctionType, by: int, also: str) -> Function:
    try:
        tree = from_bytecode.read(function)
    except from_bytecode.Unreadable as error:
        raise ScalarError(f"{describe(function)} {error}, so its derivative cannot be found") from None
    return _Differentiator(function, tree).function(by, also)


_numbers = itertools.count()


class _Differentiator:
    """Writes the derivative of one function."""

    def __init__(self, function: types.FunctionType, tree: ast.FunctionDef) -> None:
        self.original, self.tree = function, tree
        self.names = [argument.arg for argument in tree.args.args]
        self.scope: dict[str, Any] = dict(HELPERS)

    def function(self, by: int, also: str) -> Function:
        """Compile the text; the derivative has the function's own defaults."""
        names = [*self.names[:1], also, *self.names[1:]] if also else self.names
        body = self.statements(self.tree.body, {self.names[by]: "1.0"}, "    ")
        name = f"{self.tree.name}_slope"
        text = f"def {name}({', '.join(names)}):\n" + "\n".join(body) + "\n"
        filename = f"<nbdl {name} {next(_numbers)}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
        scope = {"__name__": self.original.__module__, **self.scope}
        exec(compile(text, filename, "exec"), scope)
        made: Function = scope[name]
        made.__defaults__ = self.original.__defaults__
        made.derived_from = (self.original, by, also)  # type: ignore[attr-defined]
        return made

    def statements(self, body: list[ast.stmt], tangents: Mapping[str, str], indent: str) -> list[str]:
        """Write the lines of a branch, in which the variables have these tangents; others have none."""
        lines, known = [], dict(tangents)
        for one in body:
            if isinstance(one, ast.If):
                lines.append(f"{indent}if {self.text(one.test)}:")
                lines += self.statements(one.body, known, indent + "    ")
                lines.append(f"{indent}else:")
                lines += self.statements(one.orelse, known, indent + "    ")
            elif isinstance(one, ast.Return) and one.value is not None:
                # A constant would hide NaN.
                nothing, result = f"0.0 * {self.names[0]}", self.tangent(one.value, known)
                lines.append(f"{indent}return {f'1.0 + {nothing}' if result == '1.0' else result or nothing}")
            elif isinstance(one, ast.Assign) and isinstance(one.targets[0], ast.Name):
                name = one.targets[0].id
                lines.append(f"{indent}{name} = {self.text(one.value)}")
                slope = self.tangent(one.value, known)
                if slope is not None:
                    known[name] = f"{name}__slope"
                    lines.append(f"{indent}{known[name]} = {slope}")
            else:
                self.refuse(f"has {ast.unparse(one)!r}")
        return lines

    def text(self, node: ast.expr) -> str:
        """Write an expression as it is; what it names is put into the derivative's scope."""
        for name in ast.walk(node):
            if isinstance(name, ast.Name) and name.id not in self.names:
                found = self.found(name.id)
                if found is not None:
                    self.scope[name.id] = found[0]
        return f"({ast.unparse(node)})"

    def found(self, name: str) -> tuple[Any] | None:
        """Look up a name that the function does not set itself."""
        cells = inspect.getclosurevars(self.original)
        for scope in (cells.nonlocals, self.original.__globals__, vars(builtins)):
            if name in scope:
                return (scope[name],)
        return None

    def tangent(self, node: ast.expr, known: Mapping[str, str]) -> str | None:
        """Write the derivative of an expression; None where it is 0."""
        if isinstance(node, ast.Name):
            return known.get(node.id)
        if isinstance(node, ast.Constant | ast.Compare | ast.Attribute):
            return None
        if isinstance(node, ast.UnaryOp):
            inner = None if isinstance(node.op, ast.Not) else self.tangent(node.operand, known)
            return inner and (f"(-{inner})" if isinstance(node.op, ast.USub) else inner)
        if isinstance(node, ast.BinOp):
            return self.of_operator(node, known)
        if isinstance(node, ast.Call) and not node.keywords:
            return self.of_call(node, known)
        return self.refuse(f"has {ast.unparse(node)!r}")

    def of_operator(self, node: ast.BinOp, known: Mapping[str, str]) -> str | None:
        """Write the derivative of a + b, a - b, a·b, a/b, a^b or a mod b."""
        a, b = self.text(node.left), self.text(node.right)
        da, db = self.tangent(node.left, known), self.tangent(node.right, known)
        if da is None and db is None:
            return None
        if isinstance(node.op, ast.Add):
            return _sum(da, db)
        if isinstance(node.op, ast.Sub):
            return _sum(da, db and f"(-{db})")
        if isinstance(node.op, ast.Mult):
            return _sum(_product(da, b), _product(db, a))
        if isinstance(node.op, ast.Div):
            return _sum(da and f"{da} / {b}", db and f"(-{a} * {db} / ({b} * {b}))")
        if isinstance(node.op, ast.FloorDiv):
            return None
        if isinstance(node.op, ast.Mod):
            return _sum(da, db and f"(-math.floor({a} / {b}) * {db})")
        if isinstance(node.op, ast.Pow):
            return self.of_power(node.right, a, b, da, db)
        return self.refuse(f"has {ast.unparse(node)!r}")

    @staticmethod
    def of_power(exponent: ast.expr, a: str, b: str, da: str | None, db: str | None) -> str | None:
        """Write the derivative of a^b; for a square without a power."""
        square = isinstance(exponent, ast.Constant) and exponent.value == 2
        left = _product(da, f"(2.0 * {a})" if square else f"({b} * {a} ** ({b} - 1.0))")
        return _sum(left, _product(db, f"({a} ** {b} * math.log{a})"))

    def of_call(self, node: ast.Call, known: Mapping[str, str]) -> str | None:
        """Write the derivative of a call: of `math`'s functions, abs, max, min, or another scalar function."""
        arguments = [self.text(one) for one in node.args]
        slopes = [self.tangent(one, known) for one in node.args]
        if not any(slopes):
            return None
        called = self.called(node.func)
        name = getattr(called, "__name__", "")
        if called is abs or (called in (max, min) and len(arguments) > 1):
            return self.of_builtin(name, arguments, slopes)
        if getattr(called, "__module__", "") in ("math", "numpy"):
            if name in FLAT:
                return None
            if name == "pow" and len(arguments) == 2:
                return self.of_power(node.args[1], *arguments, *slopes)
            if name in SLOPES and len(arguments) == 1:
                return _product(slopes[0], f"({SLOPES[name].format(a=arguments[0])})")
        if called is float and len(arguments) == 1:
            return slopes[0]
        if isinstance(getattr(called, "py_func", called), types.FunctionType):
            return self.of_function(called, arguments, slopes)
        return self.refuse(f"calls {ast.unparse(node.func)}, whose derivative is not known")

    def called(self, node: ast.expr) -> Any:
        """Return the object that an expression such as `math.exp` names."""
        if isinstance(node, ast.Attribute):
            return getattr(self.called(node.value), node.attr, None)
        found = self.found(node.id) if isinstance(node, ast.Name) else None
        return None if found is None else found[0]

    @staticmethod
    def of_builtin(name: str, arguments: list[str], slopes: list[str | None]) -> str | None:
        """Write the derivative of abs, max or min; of several arguments two by two, from the left."""
        if name == "abs":
            return _product(slopes[0], f"nbdl_sign{arguments[0]}")
        helper = "nbdl_larger" if name == "max" else "nbdl_smaller"
        value, slope = arguments[0], slopes[0] or "0.0"
        for argument, other in zip(arguments[1:], slopes[1:], strict=True):
            slope = f"{helper}({value}, {argument}, {slope}, {other or '0.0'})"
            value = f"{name}({value}, {argument})"
        return slope

    def of_function(self, called: Function, arguments: list[str], slopes: list[str | None]) -> str | None:
        """Write the chain rule for another scalar function."""
        total = None
        for number, slope in enumerate(slopes):
            if slope is not None:
                name = f"nbdl_slope_{len(self.scope)}"
                self.scope[name] = derivative(called, number)
                total = _sum(total, _product(slope, f"{name}({', '.join(arguments)})"))
        return total

    def refuse(self, reason: str) -> NoReturn:
        """Raise an error that says why there is no derivative."""
        raise ScalarError(f"{describe(self.original)} {reason}, so its derivative cannot be found")


def _sum(a: str | None, b: str | None) -> str | None:
    return f"({a} + {b})" if a and b else a or b


def _product(slope: str | None, factor: str) -> str | None:
    return factor if slope == "1.0" else slope and f"{slope} * {factor}"
