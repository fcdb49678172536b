"""One function rewritten: the author's syntax tree to the float32 text of a kernel, and what it leaves out refused.

Its statements keep their order, so that a line of the text is found again in the author's file.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import math
import reprlib
import sys
import threading
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nbdl.program.language.source import Function, ScalarError, compose, definition, is_own

# Modules of intrinsics: emitted text imports these by name, and its digest covers the whole modules.
PRIMITIVES = ("nbdl.program.language.bits", "nbdl.engine.cpu.intrinsics", "nbdl.engine.cpu.matmul")


BUILTINS = ("abs", "min", "max", "range", "len", "bool", "int", "float")


def _home(value: Any) -> tuple[str, str]:
    """Return the module and the name that a value says it has."""
    return getattr(value, "__module__", "") or "", getattr(value, "__name__", "")


@dataclass(frozen=True)
class Target:
    """What emitted text can rely on where it is compiled.

    Attributes:
        own_maths: whether nbdl's functions stand for those of `math`; else the text's `math` computes in float32.
        decorator: of every function; None where each has a policy of its own.
        spellings: attributes of a function that is spelt otherwise in the text: the first that it has.
    """

    name: str
    own_maths: bool
    decorator: str | None
    spellings: tuple[str, ...]


SHARED_ARRAY = "cuda.shared.array"
CPU = Target("CPU", True, None, ("primitive",))
C = Target("C", True, None, ("c_name", "primitive"))
CUDA = Target("CUDA", False, "device", ("cuda_name",))


class Refusal(ScalarError):
    """A function that cannot be emitted.

    Attributes:
        function: whose line is at fault.
        line: of the file it is in.
        why: completes "function ...".
        remedy: what to do.
    """

    def __init__(self, function: Function, line: int, why: str, remedy: str) -> None:
        code = function.__code__
        super().__init__(f"{function.__name__} ({code.co_filename}:{line}) {why}: {remedy}")
        self.function, self.line, self.why, self.remedy = function, line, why, remedy


def remedy(scalar: bool) -> str:
    """What functions are made of."""
    if scalar:
        return "a scalar function is made of arithmetic, `if`, abs/min/max, `math.*` and other such functions"
    return "a body is made of loops over its arrays, arithmetic, `if`, `math.*`, nbdl.kernels and other such functions"


@dataclass
class Part:
    """The text of one function, and what that text needs around it.

    Attributes:
        function: the author's.
        lines: of the author's file, one for each statement of the text, in order; the first is the definition's.
    """

    name: str
    function: types.FunctionType
    lines: list[int] = field(default_factory=list)
    text: str = ""
    imports: set[tuple[str, str]] = field(default_factory=set)
    constants: dict[str, str] = field(default_factory=dict)
    callees: list[Part] = field(default_factory=list)
    slow: set[str] = field(default_factory=set)
    policy: str = "scalar"

    def decorated(self) -> str:
        """The text with the compiler's policy for it."""
        return f"@{self.policy}\n{self.text}\n"


_own_parts: dict[tuple[Function, bool, Target], Part] = {}

parts: dict[str, Part] = {}
"""All that was emitted, by its name in texts: so an error's line is found again in the author's file."""


class _Progress(threading.local):
    """The functions that this thread is in the middle of."""

    def __init__(self) -> None:
        self.functions: list[Function] = []


_progress = _Progress()


def part_of(function: Any, scalar: bool, target: Target) -> Part:
    """A function's text. nbdl's own functions are kept: theirs never change while a process lives."""
    function = getattr(function, "py_func", function)
    if not isinstance(function, types.FunctionType):
        raise ScalarError(f"{function!r} is not a Python function, so it cannot be compiled here")
    known = _own_parts.get((function, scalar, target))
    if known is not None:
        return known
    if function in _progress.functions:
        first = function.__code__.co_firstlineno
        raise Refusal(function, first, "calls itself, which compiled code cannot", "write a loop in a body instead")
    _progress.functions.append(function)
    try:
        part = Rewriter(function, scalar, target).part()
        parts[part.name] = part
    finally:
        _progress.functions.pop()
    composed = function.__code__.co_filename.startswith("<")  # of authors' functions, whose constants may change
    if is_own(function) and not composed:
        _own_parts[function, scalar, target] = part
    return part


_STATEMENTS = (ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.If, ast.Expr, ast.Pass)
_IN_BODIES = (*_STATEMENTS, ast.For, ast.While, ast.Break, ast.Continue)
_NO_NUMBERS = {
    ast.List: "a list", ast.ListComp: "a list", ast.Dict: "a dict", ast.DictComp: "a dict", ast.Set: "a set",
    ast.SetComp: "a set", ast.GeneratorExp: "a generator", ast.JoinedStr: "a string", ast.Lambda: "a lambda",
    ast.Yield: "`yield`", ast.YieldFrom: "`yield`", ast.Await: "`await`",
}  # fmt: skip


def statements(node: ast.stmt) -> Iterator[ast.stmt]:
    """A statement and all within it, in the order of the text."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from statements(child)


class Rewriter(ast.NodeTransformer):
    """Rewrites one function: float32 literals, nbdl's maths, resolved names."""

    def __init__(self, function: types.FunctionType, scalar: bool, target: Target) -> None:
        self.function, self.scalar, self.target = function, scalar, target
        self.local = {*function.__code__.co_varnames, *function.__code__.co_cellvars}
        self.own = is_own(function)
        self.line = function.__code__.co_firstlineno
        self.result = Part(function.__name__, function)

    def part(self) -> Part:
        """The function rewritten. Its name ends in a digest of its text, so names never collide."""
        found = definition(self.function)
        names = [one for one in ast.walk(found) if isinstance(one, ast.Name)]
        self.local |= {one.id for one in names if isinstance(one.ctx, ast.Store)}
        body = [statement for statement in found.body if not _is_docstring(statement)]
        source = ast.FunctionDef("NAME", found.args, body or [ast.Pass()], [], lineno=found.lineno)
        node = ast.parse(ast.unparse(source)).body[0]
        assert isinstance(node, ast.FunctionDef)
        for before, statement in zip(statements(source), statements(node), strict=True):
            statement.lineno = getattr(before, "lineno", self.line)
        if node.args.kwonlyargs or node.args.vararg or node.args.kwarg:
            self.refuse("has keyword-only arguments, `*` or `**`, which compiled code cannot be given")
        node.args.posonlyargs, node.args.args = [], [*node.args.posonlyargs, *node.args.args]
        for argument in node.args.args:
            argument.annotation = None
        # Their values: what the text says was evaluated where the function was made, perhaps in another function.
        defaults = zip(reversed(node.args.args), reversed(self.function.__defaults__ or ()), strict=False)
        node.args.defaults = [self._default(value, argument.arg) for argument, value in defaults][::-1]
        node.body = [self.visit(statement) for statement in node.body]
        policy = getattr(self.function, "policy", None)
        if self.target.decorator is not None:
            self.result.policy = self.target.decorator
        elif policy or any(isinstance(inner, ast.For | ast.While) for inner in ast.walk(node)):
            self.result.policy = policy or "inlined"
        self.result.lines = [statement.lineno for statement in statements(node)]
        text = ast.unparse(ast.fix_missing_locations(node))
        name = self.function.__name__ if self.function.__name__.isidentifier() else "function"
        self.result.name = f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        self.result.text = text.replace("def NAME(", f"def {self.result.name}(", 1)
        return self.result

    def visit(self, node: ast.AST) -> Any:
        """As `ast.NodeTransformer.visit`, with what the language leaves out refused at its line."""
        if isinstance(node, ast.stmt):
            self.line = node.lineno
            if isinstance(node, ast.FunctionDef):
                self.refuse(f"has a function within it, {node.name}, which belongs beside it")
            if not isinstance(node, _STATEMENTS if self.scalar else _IN_BODIES) and not self.own:
                self.refuse(f"has a `{type(node).__name__.lower()}` statement")
        elif type(node) in _NO_NUMBERS and not self.own:
            self.refuse(f"has {_NO_NUMBERS[type(node)]}, `{ast.unparse(node)}`")
        return super().visit(node)

    def _default(self, value: Any, argument: str) -> ast.expr:
        if not self.scalar and (value is None or isinstance(value, str)):
            return ast.Constant(value)
        if not self.scalar and isinstance(value, tuple):
            return ast.Tuple([self._default(one, argument) for one in value], ast.Load())
        return self._say(value, argument)

    def _call_to(self, function: Function, scalar: bool = True) -> str:
        callee = part_of(function, scalar, self.target)
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
        raise Refusal(self.function, self.line, why, remedy(self.scalar))

    # Literals ---------------------------------------------------------------------------------------------

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        value = node.value
        if isinstance(value, str | bytes | complex) and not self.own:
            self.refuse(f"has {value!r}, which is not a number")
        if isinstance(value, float) or (self.scalar and type(value) is int):
            return ast.Name(self._constant(value), ast.Load())
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if not isinstance(node.value, ast.Constant):  # else a comment
            self.generic_visit(node)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return None
        return self.visit(ast.Assign([node.target], node.value, lineno=node.lineno))

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
        if not self.own and not self.scalar and name == "float" and self._is_builtin(name):
            return _call("float32" if self.target is CUDA else "np.float32", self._visited(node.args[0]))
        if (self.scalar or not self.own) and name in ("min", "max") and self._is_builtin(name):
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
        if ast.unparse(node.func) == SHARED_ARRAY:
            node.args.append(ast.Name("float32", ast.Load()))
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
            value = self._value(node.value)
            if not hasattr(value, node.attr):
                self.refuse(f"uses {ast.unparse(node)}, which there is not")
            return getattr(value, node.attr)
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
        """How the emitted text names a value that the function reaches: the first way that suits it."""
        for way in (
            self._number, self._primitive, self._of_maths, self._of_numpy, self._spelt, self._function, self._builtin,
            self._scalar,
        ):  # fmt: skip
            found = way(value, said)
            if found is not None:
                return found
        if callable(value):
            self.refuse(f"calls {said}, which compiled code does not have")
        hint = ", an array; what is an operand may be one, see r.table" if hasattr(value, "dtype") else ""
        self.refuse(f"uses {said} = {reprlib.repr(value)}{hint}")
        return ast.Constant(None)

    def _number(self, value: Any, said: str) -> ast.expr | None:
        """A bool or a number of Python."""
        if isinstance(value, bool):
            return ast.Constant(value)
        if isinstance(value, int | float):
            return self.visit_Constant(ast.Constant(value))
        return None

    def _primitive(self, value: Any, said: str) -> ast.expr | None:
        """An intrinsic of the engine, which the text imports; a GPU has none of them."""
        last = said.rpartition(".")[2]
        if self.target is CUDA or isinstance(value, types.FunctionType):
            return None
        for module in PRIMITIVES:
            if getattr(sys.modules.get(module), last, None) is value:
                self.result.imports.add((module, last))
                return ast.Name(last, ast.Load())
        return None

    def _of_maths(self, value: Any, said: str) -> ast.expr | None:
        """A function of `math`, or NumPy's of the same name."""
        module, name = _home(value)
        if module == "math" or (module == "numpy" and hasattr(math, name)) or getattr(math, name, None) is value:
            return ast.Name(self._maths(name), ast.Load())
        return None

    def _of_numpy(self, value: Any, said: str) -> ast.expr | None:
        """What NumPy or Numba hold, in the body of a CPU's kernel."""
        module, name = _home(value)
        if self.target is CUDA or self.scalar or module.split(".")[0] not in ("numpy", "numba"):
            return None
        source = "numpy" if module.startswith("numpy") else module
        if getattr(sys.modules.get(source), name, None) is not value:
            self.refuse(f"uses {said}, but only what {source} itself holds can be emitted by its name")
        if source == "numpy":
            return ast.Name(f"np.{name}", ast.Load())
        self.result.imports.add((source, name))
        return ast.Name(name, ast.Load())

    def _spelt(self, value: Any, said: str) -> ast.expr | None:
        """One of nbdl's own functions that is spelt otherwise in compiled text."""
        spelt = next((getattr(value, one) for one in self.target.spellings if hasattr(value, one)), None)
        if spelt is None:
            return None
        source, _, spelt = spelt.rpartition(":")
        if source:
            return ast.Name(self._call_to(getattr(importlib.import_module(source), spelt), False), ast.Load())
        if self.target is CPU:
            self.result.imports.add(("nbdl.engine.cpu.intrinsics", spelt))
        return ast.Name(spelt, ast.Load())

    def _function(self, value: Any, said: str) -> ast.expr | None:
        """A function of Python, which is emitted too."""
        if _home(value)[0] == "nbdl.kernels":
            self.refuse(f"uses {said}, which is not for {self.target.name} kernels")
        if isinstance(getattr(value, "py_func", value), types.FunctionType):
            return ast.Name(self._call_to(value, self.scalar), ast.Load())
        return None

    def _builtin(self, value: Any, said: str) -> ast.expr | None:
        """A builtin that kernels have; errors are for nbdl's own: nobody would see those of an author."""
        name = _home(value)[1]
        known = getattr(builtins, name, None) is value and name in BUILTINS
        if known or ((value is RuntimeError or value is ValueError) and self.own):
            return ast.Name(name, ast.Load())
        return None

    def _scalar(self, value: Any, said: str) -> ast.expr | None:
        """A number of NumPy, or an array without axes."""
        if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0:
            return self.visit_Constant(ast.Constant(value.item()))
        return None

    def _maths(self, name: str) -> str:
        """nbdl's own function of that name where there is one, LLVM's where that vectorises, else libm's."""
        from nbdl.program.language import maths

        if not (name in maths.FUNCTIONS or name in maths.NATIVE or name in maths.LIBRARY):
            self.refuse(f"calls math.{name}, which compiled code does not have")
        if not self.target.own_maths:
            return f"math.{name}"
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
