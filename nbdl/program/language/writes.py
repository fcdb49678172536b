"""What a hand-written body writes to: its outputs alone, also by other names and in functions that it calls.

A body is walked in the order in which it runs, with the names that stand for an input or a part of one. At an `if` both
ways are taken, a loop is walked until no name is added.
"""

from __future__ import annotations

import ast
import builtins
import types
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from nbdl.program.language.rewrite import Refusal
from nbdl.program.language.source import Function, ScalarError, definition

# Functions that write to an argument, and its position.
WRITERS = {"copyto": 0, "put": 0, "place": 0, "putmask": 0, "fill_diagonal": 0, "put_along_axis": 0, "shuffle": 0}
CHANGING = ("fill", "sort", "partition", "put", "itemset", "resize")
VIEWS = ("T", "real", "flat", "base")
# Methods and functions whose result shares memory with an array.
SHARING = (
    "reshape", "ravel", "transpose", "view", "asarray", "ascontiguousarray", "atleast_1d", "atleast_2d", "squeeze",
    "swapaxes", "expand_dims", "broadcast_to", "flip", "flipud", "fliplr", "diagonal",
)  # fmt: skip
ONLY_OUTPUTS = "only outputs are written"

Names = dict[str, int]  # how many axes of an input a name stands for; 0 or no entry: none

# Functions that leave certain inputs alone and return none of them.
_clean: weakref.WeakKeyDictionary[types.FunctionType, set[tuple[tuple[int, int], ...]]] = weakref.WeakKeyDictionary()


def refuse_writes(body: Function, inputs: Mapping[int, int]) -> None:
    """Refuse a body that may write to its inputs.

    Args:
        body: plain Python over arrays.
        inputs: by the position of an argument that is an input, its axes.

    Raises:
        Refusal: it does, with the line.
    """
    _look(body, inputs, ())


def _look(function: Any, inputs: Mapping[int, int], callers: tuple[Any, ...]) -> int:
    """Walk a function; how many axes of an input its result may have."""
    function = getattr(function, "py_func", function)
    known = tuple(sorted(inputs.items()))
    if not inputs or function in callers or known in _clean.get(function, ()):
        return 0
    try:
        node = definition(function)
    except ScalarError:
        return 0  # it has no source, and is refused where it is compiled
    arguments = [*node.args.posonlyargs, *node.args.args]
    walk = _Walk(function, node, callers)
    walk.block(node.body, {arguments[at].arg: axes for at, axes in inputs.items() if at < len(arguments)})
    if not walk.returned and not function.__closure__:
        _clean.setdefault(function, set()).add(known)
    return walk.returned


class _Walk:
    """One function, in the order in which it runs."""

    def __init__(self, function: types.FunctionType, node: ast.FunctionDef, callers: tuple[Any, ...]) -> None:
        self.function, self.callers, self.returned, self.line = function, callers, 0, node.lineno
        self.local = {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
        self.local |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}

    def block(self, body: Sequence[ast.stmt], names: Names) -> Names:
        """The names after some statements."""
        for statement in body:
            names = self.statement(statement, names)
        return names

    def statement(self, node: ast.stmt, names: Names) -> Names:
        """The names after a statement."""
        self.line = node.lineno
        if isinstance(node, ast.If):
            self.axes(node.test, names)
            return _either(self.block(node.body, dict(names)), self.block(node.orelse, dict(names)))
        if isinstance(node, ast.For | ast.While):
            return self.loop(node, names)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.calls(child, names)
        if isinstance(node, ast.Return) and node.value is not None:
            self.returned = max(self.returned, self.axes(node.value, names))
        elif isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name) and names.get(node.target.id):
                self.refuse(node.target.id)
            self.store(node.target, names)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self.bind(target, node.value, names)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.bind(node.target, node.value, names)
        elif isinstance(node, ast.With | ast.Try):
            for part in ("body", "handlers", "orelse", "finalbody"):
                for one in getattr(node, part, ()):
                    names = self.block(one.body if isinstance(one, ast.ExceptHandler) else [one], names)
        return names

    def loop(self, node: ast.For | ast.While, names: Names) -> Names:
        """The names after a loop, walked until none is added."""
        self.calls(node.iter if isinstance(node, ast.For) else node.test, names)
        while True:
            before = dict(names)
            inside = dict(names)
            if isinstance(node, ast.For):
                self.each(node.target, node.iter, inside)
            names = _either(before, self.block(node.body, inside))
            if names == before:
                return self.block(node.orelse, names)

    # -- names -----------------------------------------------------------------------------------------------

    def bind(self, target: ast.expr, value: ast.expr, names: Names) -> None:
        """An assignment."""
        several = (ast.Tuple, ast.List)
        if isinstance(target, several) and isinstance(value, several) and len(target.elts) == len(value.elts):
            found = [self.axes(one, names) for one in value.elts]  # all of them before the first is assigned
            for one, axes in zip(target.elts, found, strict=True):
                self.set(one, axes, names)
        else:
            self.set(target, self.axes(value, names), names)

    def set(self, target: ast.expr, axes: int, names: Names) -> None:
        """Bind a target to a value that has this many axes of an input."""
        if isinstance(target, ast.Name):
            names[target.id] = axes
        elif isinstance(target, ast.Starred):
            self.set(target.value, axes, names)
        elif isinstance(target, ast.Tuple | ast.List):
            for one in target.elts:
                self.set(one, max(axes - 1, 0), names)
        else:
            self.store(target, names)

    def each(self, target: ast.expr, values: ast.expr, names: Names) -> None:
        """The target of a loop over values."""
        called = values.func.id if isinstance(values, ast.Call) and isinstance(values.func, ast.Name) else ""
        if isinstance(values, ast.Call) and called in ("zip", "enumerate", "reversed") and values.args:
            parts = [max(self.axes(one, names) - 1, 0) for one in values.args]
            targets = target.elts if isinstance(target, ast.Tuple) else [target]
            if called == "enumerate":
                parts = [0, parts[0]]
            for one, axes in zip(targets, parts, strict=False):
                self.set(one, axes, names)
            return
        self.set(target, max(self.axes(values, names) - 1, 0), names)

    def store(self, target: ast.expr, names: Names) -> None:
        """An assignment to an element, a slice or an attribute."""
        if isinstance(target, ast.Subscript | ast.Attribute) and self.axes(target.value, names):
            self.refuse(ast.unparse(target))

    # -- values ----------------------------------------------------------------------------------------------

    def axes(self, value: ast.expr, names: Names) -> int:
        """How many axes of an input an expression has: 0 of a number, or of what has memory of its own."""
        if isinstance(value, ast.Name):
            return names.get(value.id, 0)
        if isinstance(value, ast.Subscript):
            index = value.slice.elts if isinstance(value.slice, ast.Tuple) else [value.slice]
            kept = (ast.Slice, ast.Constant)
            numbers = [one for one in index if not isinstance(one, kept) or type(getattr(one, "value", None)) is int]
            return max(self.axes(value.value, names) - len(numbers), 0)
        if isinstance(value, ast.Attribute):
            return self.axes(value.value, names) if value.attr in VIEWS else 0
        if isinstance(value, ast.IfExp):
            return max(self.axes(value.body, names), self.axes(value.orelse, names))
        if isinstance(value, ast.BoolOp):
            return max(self.axes(one, names) for one in value.values)
        if isinstance(value, ast.NamedExpr):
            self.bind(value.target, value.value, names)
            return self.axes(value.value, names)
        if isinstance(value, ast.Tuple | ast.List):
            deepest = max((self.axes(one, names) for one in value.elts), default=0)
            return deepest and deepest + 1
        return self.result(value, names) if isinstance(value, ast.Call) else 0

    def result(self, call: ast.Call, names: Names) -> int:
        """How many axes of an input the result of a call has."""
        func = call.func
        if isinstance(func, ast.Attribute) and self.axes(func.value, names):
            return 2 if func.attr in SHARING else 0
        called = self.value(func)
        if isinstance(called, types.FunctionType) and not _is_library(called):
            return _look(called, self.arguments_of(call, called, names), (*self.callers, self.function))
        shares = getattr(called, "__name__", "") in SHARING and any(self.axes(one, names) for one in call.args)
        return 2 if shares else 0

    def arguments_of(self, call: ast.Call, function: types.FunctionType, names: Names) -> dict[int, int]:
        """Which arguments of a call are inputs, and their axes."""
        known = function.__code__.co_varnames[: function.__code__.co_argcount]
        found = {at: self.axes(one, names) for at, one in enumerate(call.args)}
        found |= {known.index(one.arg): self.axes(one.value, names) for one in call.keywords if one.arg in known}
        return {at: axes for at, axes in found.items() if axes}

    def calls(self, node: ast.AST, names: Names) -> None:
        """Look at all calls within an expression."""
        for one in ast.walk(node):
            if isinstance(one, ast.Call):
                self.call(one, names)
            elif isinstance(one, ast.NamedExpr):
                self.axes(one, names)

    def call(self, call: ast.Call, names: Names) -> None:
        """Refuse a call that writes to an input."""
        func, said = call.func, ast.unparse(call.func)
        if isinstance(func, ast.Attribute) and func.attr in CHANGING and self.axes(func.value, names):
            self.refuse(ast.unparse(func.value), said)
        written = [one.value for one in call.keywords if one.arg == "out"]
        called = self.value(func)
        name = getattr(called, "__name__", "")
        if getattr(called, "__module__", "") == "nbdl.kernels":
            written += call.args[2:3] if name == "gemm" else []
        elif isinstance(called, types.FunctionType) and not _is_library(called):
            _look(called, self.arguments_of(call, called, names), (*self.callers, self.function))
        elif called is not None and _is_library(called):
            written += call.args[getattr(called, "nin", len(call.args)) :]
            written += call.args[WRITERS[name] :][:1] if name in WRITERS else []
            written += call.args[:1] if name == "nan_to_num" and len(call.args) + len(call.keywords) > 1 else []
        for one in written:
            if self.axes(one, names):
                self.refuse(ast.unparse(one), said)

    def value(self, node: ast.expr) -> Any:
        """What a name, or a chain of attributes, is where the function was made; None if that is not known."""
        if isinstance(node, ast.Attribute):
            return getattr(self.value(node.value), node.attr, None)
        if not isinstance(node, ast.Name) or node.id in self.local:
            return None
        cells = dict(zip(self.function.__code__.co_freevars, self.function.__closure__ or (), strict=False))
        if node.id in cells:
            try:
                found = cells[node.id].cell_contents
            except ValueError:  # it is not set yet
                return None
        else:
            found = self.function.__globals__.get(node.id, getattr(builtins, node.id, None))
        return getattr(found, "py_func", found)

    def refuse(self, text: str, how: str = "") -> None:
        by = f" by {how}(...)" if how else ""
        raise Refusal(self.function, self.line, f"writes to an input (`{text}`{by})", ONLY_OUTPUTS)


def _either(one: Names, other: Names) -> Names:
    """The names after one or the other way."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in (*one, *other)}


def _is_library(function: Any) -> bool:
    module = getattr(function, "__module__", None) or ("numpy" if hasattr(function, "nin") else "")
    return module.partition(".")[0] in ("numpy", "numba")
