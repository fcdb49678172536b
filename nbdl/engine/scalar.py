"""Scalar functions: plain Python in, float32 source out.

An author writes `f(x)` with arithmetic, `if`, abs/min/max and `math.*`. From the one function come the compiled
kernel (every literal, default and constant in reach made float32, `math.exp` replaced by nbdl's own) and the
reference (the same code object, so a debugger stops in the author's file).

The emitted text holds everything that a kernel reaches: helpers of other modules, constants, nbdl's own maths. A
digest of that text therefore covers the kernel; an edit anywhere in reach gives another text.
"""

from __future__ import annotations

import ast
import builtins
import functools
import hashlib
import linecache
import math
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbdl.errors import ConfigError

Function = Callable[..., Any]


# Modules of intrinsics: emitted text imports these by name, and its digest covers the whole modules.
PRIMITIVES = ("nbdl.engine.bits", "nbdl.engine.intrinsics", "nbdl.engine.products")


class ScalarError(ConfigError):
    """A function uses what cannot be compiled as a scalar function."""


# -- finding source ---------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _definitions(filename: str, text: str) -> dict[int, list[ast.FunctionDef | ast.Lambda]]:
    """All functions of a file by their first line, decorators included."""
    found: dict[int, list[ast.FunctionDef | ast.Lambda]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
            found.setdefault(first, []).append(node)
        elif isinstance(node, ast.Lambda):
            found.setdefault(node.lineno, []).append(node)
    return found


def definition(function: Function) -> ast.FunctionDef:
    """The syntax tree of a Python function; a lambda becomes a function that returns its expression."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    text = "".join(linecache.getlines(code.co_filename, function.__globals__))
    names = code.co_varnames[: code.co_argcount]
    found = [
        node
        for node in _definitions(code.co_filename, text).get(code.co_firstlineno, [])
        if tuple(argument.arg for argument in node.args.args) == names
        and (node.name if isinstance(node, ast.FunctionDef) else "<lambda>") == code.co_name
    ]
    if len(found) > 1:  # lambdas on one line: the columns tell them apart
        places = set(code.co_positions())
        found = [node for node in found if isinstance(node, ast.Lambda) and _place(node.body) in places]
    if len(found) == 1:
        node = found[0]
        if isinstance(node, ast.FunctionDef):
            return node
        body: list[ast.stmt] = [ast.copy_location(ast.Return(node.body), node)]
        return ast.FunctionDef("function", node.args, body, [], lineno=node.lineno)
    raise ScalarError(f"{describe(function)}: its source cannot be read; define it in a file or a notebook cell")


def _place(node: ast.expr) -> tuple[int, int | None, int, int | None]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def describe(function: Function) -> str:
    """A function with its place: "df (…/softplus.py:12)"."""
    code = getattr(function, "__code__", None)
    return f"{function.__name__} ({code.co_filename}:{code.co_firstlineno})" if code else repr(function)


def label(function: Function) -> str:
    """A short name for listings: "softplus" for `f` of softplus.py, "softplus.df" for its derivative."""
    given = getattr(function, "label", None)
    if given is not None:
        return str(given)
    module = (function.__module__ or "").rpartition(".")[2]
    if function.__name__ == "f":
        return module
    return function.__name__ if module == "functions" else f"{module}.{function.__name__}"


_composed: dict[tuple[str, ...], Function] = {}


def compose(name: str, arguments: Sequence[str], expression: str, **functions: Function) -> Function:
    """A scalar function made of others: `compose("g", ["x"], "2.0 * f(x)", f=f)`.

    >>> compose("twice", ["x"], "f(f(x))", f=abs)(-3.0)
    3.0
    """
    text = f"def {name}({', '.join(arguments)}):\n    return {expression}\n"
    key = (text, *(f"{key}={id(function)}" for key, function in functions.items()))
    if key not in _composed:
        filename = f"<nbdl {name} {len(_composed)}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
        scope: dict[str, Any] = {"__name__": __name__, **functions}
        exec(compile(text, filename, "exec"), scope)
        _composed[key] = scope[name]
        _composed[key].label = " ".join([name, *map(label, functions.values())])  # type: ignore[attr-defined]
    return _composed[key]


def used_arguments(function: Function) -> list[str]:
    """The arguments that the body reads, in order."""
    node = definition(function)
    read = {name.id for statement in node.body for name in ast.walk(statement) if isinstance(name, ast.Name)}
    return [argument.arg for argument in node.args.args if argument.arg in read]


# -- emitting float32 source ------------------------------------------------------------------------------


@dataclass
class Part:
    """The text of one function, and what that text needs around it."""

    name: str
    text: str = ""
    imports: set[tuple[str, str]] = field(default_factory=set)
    constants: dict[str, str] = field(default_factory=dict)
    callees: list[Part] = field(default_factory=list)
    slow: set[str] = field(default_factory=set)
    policy: str = "scalar"

    def decorated(self) -> str:
        """The text with the compiler's policy for it."""
        return f"@{self.policy}\n{self.text}\n"


class Emitter:
    """Collects the text of one kernel module: imports, constants, functions.

    Attributes:
        slow: names of `math` functions that are called as they are, which does not vectorise.
    """

    def __init__(self) -> None:
        self.slow: set[str] = set()
        self._imports: dict[str, set[str]] = {}
        self._constants: dict[str, str] = {}
        self._functions: dict[str, str] = {}

    def function(self, function: Function, scalar: bool = True) -> str:
        """Emit a function and all it reaches; return its name in the text.

        With `scalar=False` (kernel bodies) integers stay integers, loops and NumPy are allowed.
        """
        part = _part(function, scalar)
        self._include(part, part.decorated())
        return part.name

    def body(self, function: Any, decorator: str) -> None:
        """Emit a plain function as the module's `run`, decorated by a policy of `nbdl.engine.kernel`."""
        part = _Rewriter(function, scalar=False).part()
        self._include(part, f"@{decorator}\n{part.text.replace(f'def {part.name}(', 'def run(', 1)}\n")

    def text(self, title: str, body: str = "") -> str:
        """The whole module."""
        imports = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(self._imports.items())]
        constants = [f"{name} = float32({value})" for name, value in sorted(self._constants.items())]
        head = [f'"""Generated by nbdl: {title}."""', f"# runtime {runtime_digest()}", "import math", "import numpy as np"]
        policy = "from nbdl.engine.kernel import driver, float32, inlined, kernel, parallel_driver, scalar"
        return "\n".join([*head, *imports, policy, *constants, "\n", *self._functions.values(), body])

    def imported(self, module: str, *names: str) -> None:
        """Make names of one of nbdl's own modules available."""
        self._imports.setdefault(module, set()).update(names)

    def _include(self, part: Part, text: str) -> None:
        if part.name in self._functions:
            return
        for callee in part.callees:
            self._include(callee, callee.decorated())
        for module, name in part.imports:
            self.imported(module, name)
        self._constants.update(part.constants)
        self.slow |= part.slow
        self._functions[part.name] = text


def function_text(function: Function, decorator: str) -> str:
    """A module whose `run` is one plain function, decorated by a policy of `nbdl.engine.kernel`."""
    emitter = Emitter()
    emitter.body(function, decorator)
    return emitter.text(f"{decorator} {function.__name__}")


_own_parts: dict[tuple[Function, bool], Part] = {}
_in_progress: list[Function] = []


def _part(function: Any, scalar: bool) -> Part:
    """A function's text. nbdl's own functions are kept: theirs never change while a process lives."""
    function = getattr(function, "py_func", function)
    if not isinstance(function, types.FunctionType):
        raise ScalarError(f"{function!r} is not a Python function, so it cannot be compiled here")
    known = _own_parts.get((function, scalar))
    if known is not None:
        return known
    if function in _in_progress:
        raise ScalarError(f"{describe(function)} calls itself, which a scalar function cannot")
    _in_progress.append(function)
    try:
        part = _Rewriter(function, scalar).part()
    finally:
        _in_progress.pop()
    if (function.__module__ or "").startswith("nbdl.engine."):
        _own_parts[function, scalar] = part
    return part


@functools.cache
def runtime_digest() -> str:
    """A digest of what emitted text imports by name: the intrinsics and the compiler's policy."""
    digest = hashlib.sha256()
    from nbdl.engine.products import lanes

    digest.update(f"{lanes()} lanes".encode())
    for name in (*PRIMITIVES, "nbdl.engine.kernel"):
        digest.update((Path(__file__).parent / f"{name.rpartition('.')[2]}.py").read_bytes())
    return digest.hexdigest()[:16]


_STATEMENTS = (ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.If, ast.Expr, ast.Pass)


class _Rewriter(ast.NodeTransformer):
    """Rewrites one function: float32 literals, nbdl's maths, resolved names."""

    def __init__(self, function: types.FunctionType, scalar: bool) -> None:
        self.function, self.scalar = function, scalar
        self.local = {*function.__code__.co_varnames, *function.__code__.co_cellvars}
        self.result = Part(function.__name__)

    def part(self) -> Part:
        """The function rewritten. Its name ends in a digest of its text, so names never collide."""
        found = definition(self.function)
        body = [statement for statement in found.body if not _is_docstring(statement)]
        node = ast.parse(ast.unparse(ast.FunctionDef("NAME", found.args, body, [], lineno=1))).body[0]
        assert isinstance(node, ast.FunctionDef)
        for argument in node.args.args:
            argument.annotation = None
        if self.scalar:
            for inner in ast.walk(ast.Module(node.body, [])):
                if isinstance(inner, ast.stmt) and not isinstance(inner, _STATEMENTS):
                    self.refuse(f"has a `{type(inner).__name__.lower()}` statement")
        node.args.defaults = [self.visit(default) for default in node.args.defaults]
        node.body = [self.visit(statement) for statement in node.body]
        if any(isinstance(inner, ast.For | ast.While) for inner in ast.walk(node)):
            self.result.policy = "inlined"
        text = ast.unparse(ast.fix_missing_locations(node))
        name = self.function.__name__ if self.function.__name__.isidentifier() else "function"
        self.result.name = f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self.result.text = text.replace("def NAME(", f"def {self.result.name}(", 1)
        return self.result

    def _call_to(self, function: Function, scalar: bool = True) -> str:
        callee = _part(function, scalar)
        self.result.callees.append(callee)
        return callee.name

    def _constant(self, value: float) -> str:
        """A module-level float32 constant; a float32 literal cannot be written in Python."""
        text = repr(float(value)) if math.isfinite(value) else f'float("{value}")'
        name = f"K_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self.result.constants[name] = text
        return name

    def _visited(self, node: ast.expr) -> ast.expr:
        visited = self.visit(node)
        assert isinstance(visited, ast.expr)
        return visited

    def refuse(self, why: str) -> None:
        raise ScalarError(
            f"{describe(self.function)} {why}: a scalar function is made of arithmetic, `if`, abs/min/max, "
            "`math.*` and other such functions"
        )

    # Literals ---------------------------------------------------------------------------------------------

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        value = node.value
        if isinstance(value, float) or (self.scalar and type(value) is int):
            return ast.Name(self._constant(value), ast.Load())
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return None
        return self.visit(ast.Assign([node.target], node.value, lineno=1))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not self.scalar or not isinstance(node.op, ast.Pow):
            self.generic_visit(node)
            return node
        exponent = node.right.value if isinstance(node.right, ast.Constant) else None
        if isinstance(exponent, int | float) and exponent == int(exponent) and 1 <= exponent <= 8:
            power = self._call_to(_power(int(exponent)))
            return _call(power, self.visit(node.left))
        return _call(self._maths("pow"), self.visit(node.left), self.visit(node.right))

    # Calls and names --------------------------------------------------------------------------------------

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if self.scalar and name in ("min", "max") and self._is_builtin(name):
            pick = self._call_to(_minimum if name == "min" else _maximum)
            picked = self._visited(node.args[0])
            for argument in node.args[1:]:
                picked = _call(pick, picked, self._visited(argument))
            return picked
        if self.scalar and name == "float" and self._is_builtin(name):
            return self._visited(node.args[0])
        if self.scalar and name == "int" and self._is_builtin(name):  # an int64 would make the rest float64
            return _call(self._maths("trunc"), self._visited(node.args[0]))
        node.func = self._resolved(node.func)
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [ast.keyword(item.arg, self.visit(item.value)) for item in node.keywords]
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._resolved(node) if isinstance(node.ctx, ast.Load) else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._resolved(node)

    def _is_builtin(self, name: str) -> bool:
        return name not in self.local and self._lookup(name) is getattr(builtins, name)

    def _resolved(self, node: ast.expr) -> ast.expr:
        """A name or a `module.attribute` chain as the text can say it."""
        if isinstance(node, ast.Name) and node.id in self.local:
            return node
        if not isinstance(node, ast.Name | ast.Attribute):
            return self._visited(node)
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if not isinstance(root, ast.Name) or root.id in self.local:
            self.generic_visit(node)
            return node
        return self._say(self._value(node), ast.unparse(node))

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Attribute):
            return getattr(self._value(node.value), node.attr)
        assert isinstance(node, ast.Name)
        return self._lookup(node.id)

    def _lookup(self, name: str) -> Any:
        function = self.function
        if name in function.__code__.co_freevars:
            return function.__closure__[function.__code__.co_freevars.index(name)].cell_contents  # type: ignore[index]
        if name in function.__globals__:
            return function.__globals__[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        self.refuse(f"uses {name!r}, which is not defined")
        return None

    def _say(self, value: Any, said: str) -> ast.expr:
        """How the emitted text names a value that the function reaches."""
        if isinstance(value, bool):
            return ast.Constant(value)
        if isinstance(value, int | float):
            return self.visit_Constant(ast.Constant(value))
        module = getattr(value, "__module__", "") or ""
        name = getattr(value, "__name__", "")
        for own in PRIMITIVES:
            last = said.rpartition(".")[2]
            if getattr(sys.modules.get(own), last, None) is value:
                if not isinstance(value, types.FunctionType | int | float):
                    self.result.imports.add((own, last))
                    return ast.Name(last, ast.Load())
        if module == "math" or (module == "numpy" and hasattr(math, name)) or getattr(math, name, None) is value:
            return ast.Name(self._maths(name), ast.Load())
        if not self.scalar and module.split(".")[0] in ("numpy", "numba"):
            self.result.imports.add(("numpy" if module.startswith("numpy") else module, name))
            return ast.Name(name, ast.Load())
        if isinstance(getattr(value, "py_func", value), types.FunctionType):
            return ast.Name(self._call_to(value, self.scalar), ast.Load())
        if getattr(builtins, name, None) is value and name in ("abs", "min", "max", "range", "len", "bool", "int", "float"):
            return ast.Name(name, ast.Load())
        if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0:
            return self.visit_Constant(ast.Constant(value.item()))
        self.refuse(f"uses {said} = {value!r}")
        return ast.Constant(None)

    def _maths(self, name: str) -> str:
        """nbdl's own function of that name where there is one, LLVM's where that vectorises, else libm's."""
        from nbdl.engine import maths

        if name in maths.FUNCTIONS:
            return self._call_to(maths.FUNCTIONS[name])
        if name not in maths.NATIVE:
            self.result.slow.add(name)
        return f"math.{name}"


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _call(function: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(function, ast.Load()), list(arguments), [])


def _maximum(a: float, b: float) -> float:
    return b if b > a else a  # Python's own rule, NaN included: max(x, 0.0) keeps a NaN in x, max(0.0, x) does not


def _minimum(a: float, b: float) -> float:
    return b if b < a else a


def _power(exponent: int) -> Function:
    return compose(f"power_{exponent}", ["x"], " * ".join(["x"] * exponent))


# -- the reference ----------------------------------------------------------------------------------------


_POLES = {math.log: 0.0, math.log2: 0.0, math.log10: 0.0, math.log1p: -1.0}


def _guarded(function: Function) -> Function:
    """A `math` function that gives infinity or NaN where Python raises, as compiled code does."""

    @functools.wraps(function)
    def safe(*arguments: Any) -> Any:
        kind = type(arguments[0])
        try:
            value = function(*arguments)
        except OverflowError:
            value = math.copysign(math.inf, arguments[0]) if function is math.sinh else math.inf
        except ValueError:
            value = -math.inf if arguments[0] == _POLES.get(function) else math.nan
        return kind(value) if kind.__module__ == "numpy" else value

    return safe


_safe_math = types.SimpleNamespace(
    **{name: _guarded(value) if callable(value) else value for name, value in vars(math).items() if name[0] != "_"}
)


class _ReferenceModule:
    """A module as the reference sees it."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return _reference_value(getattr(self._module, name))


def _reference_value(value: Any) -> Any:
    if value is math:
        return _safe_math
    if isinstance(value, types.ModuleType):
        return _ReferenceModule(value)
    if isinstance(getattr(value, "py_func", value), types.FunctionType):
        return reference_function(value)
    return getattr(_safe_math, value.__name__) if callable(value) and value.__module__ == "math" else value


@functools.lru_cache(maxsize=1024)
def reference_function(function: Function) -> Function:
    """The same code, run by Python: `math` never raises, helpers are replaced likewise."""
    function = getattr(function, "py_func", function)
    if not isinstance(function, types.FunctionType):
        return function
    scope = dict(function.__globals__)
    for name in function.__code__.co_names:
        if name in scope:
            scope[name] = _reference_value(scope[name])
    cells = tuple(types.CellType(_reference_value(cell.cell_contents)) for cell in function.__closure__ or ())
    clone = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells)
    clone.__kwdefaults__ = function.__kwdefaults__
    return clone
