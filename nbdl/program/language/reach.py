"""Which elements a hand-written body reaches: told by sizes alone, or by data too.

One run in plain Python shows what a body of the first kind does with any data. One of the second kind takes an index,
the end of a loop or a way through an `if` from numbers in its arrays: other data may lead it outside of an array, so it
is compiled with checks of its indices.

The walk keeps the names whose values follow from data. It never takes such a body for one of the first kind: what it
does not know counts as data.
"""

from __future__ import annotations

import ast
import builtins
import re
import types
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from nbdl.program.language.source import Function, ScalarError, definition

SIZES = ("shape", "size", "ndim")

_found: weakref.WeakKeyDictionary[types.FunctionType, dict[frozenset[int], bool]] = weakref.WeakKeyDictionary()


def reaches_by_data(body: Function, known: frozenset[int]) -> bool:
    """Whether data decide which elements a body reads or writes.

    Args:
        known: the positions of arguments that hold no data: numbers and tables, a part's first row.
    """
    plain = getattr(body, "py_func", body)
    if not isinstance(plain, types.FunctionType):
        return True
    answers = _found.setdefault(plain, {})
    if known not in answers or plain.__closure__:
        answers[known] = _function(plain, known, False, ())[0]
    return answers[known]


def _function(
    function: types.FunctionType, known: frozenset[int], by_data: bool, callers: tuple[Any, ...]
) -> tuple[bool, bool]:
    """Whether data decide what a function reaches, and whether its result follows from data."""
    if function in callers:
        return True, True
    try:
        node = definition(function)
    except ScalarError:
        return True, True
    arguments = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
    walk = _Walk(function, {one for at, one in enumerate(arguments) if at not in known}, (*callers, function))
    walk.by_data = by_data
    walk.block(node.body, set())
    return walk.reaches, walk.returned


class _Walk:
    """One function, in the order in which it runs.

    Attributes:
        data: names whose values follow from data.
        by_data: whether the statement at hand runs only with some data.
        reaches: what was asked.
    """

    def __init__(self, function: types.FunctionType, data: set[str], callers: tuple[Any, ...]) -> None:
        self.function, self.data, self.callers = function, data, callers
        self.by_data = self.reaches = self.returned = self.left = False
        self.loops = 0

    def block(self, statements: Sequence[ast.stmt], sure: set[str]) -> None:
        """Walk statements; `sure` are the elements that were reached on every way that leads here."""
        for one in statements:
            self.statement(one, sure)

    def statement(self, node: ast.stmt, sure: set[str]) -> None:
        if isinstance(node, ast.If):
            self.under(self.value(node.test, sure), [node.body, node.orelse], sure)
        elif isinstance(node, ast.For | ast.While):
            self.loop(node, sure)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self.assign(target, self.value(node.value, sure), sure, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign(node.target, self.value(node.value, sure), sure, node.value)
        elif isinstance(node, ast.AugAssign):
            before = self.value(ast.copy_location(_loaded(node.target), node), sure)
            self.assign(node.target, self.value(node.value, sure) or before, sure)
        elif isinstance(node, ast.Return):
            self.returned |= self.by_data or (node.value is not None and self.value(node.value, sure))
            self.leave()
        elif isinstance(node, ast.Break | ast.Continue):
            self.leave()
        elif isinstance(node, ast.Expr):
            self.value(node.value, sure)
        elif not isinstance(node, ast.Pass):
            self.reaches = True

    def leave(self) -> None:
        """What comes after a way out that only some data take runs by data too."""
        if self.by_data:
            self.left = True
            self.reaches |= self.loops > 0  # what was walked before runs again

    def under(self, data: bool, blocks: Sequence[Sequence[ast.stmt]], sure: set[str]) -> None:
        """Walk blocks that run by a condition, which follows from data or does not."""
        before, self.by_data = self.by_data, self.by_data or data
        for block in blocks:
            self.block(block, set(sure))
        self.by_data = before or self.left
        for name in {name for block in blocks for one in block for name in _bound(one)}:
            _forget(name, sure)

    def loop(self, node: ast.For | ast.While, sure: set[str]) -> None:
        """Walk a loop until no name is added to those that follow from data."""
        for name in _bound(node):
            _forget(name, sure)
        while True:
            before = set(self.data)
            if isinstance(node, ast.For):
                data = self.times(node.target, node.iter, sure)
            else:
                data = self.value(node.test, sure)
            self.loops += 1
            self.under(data, [node.body, node.orelse], sure)
            self.loops -= 1
            if self.data == before:
                return

    def times(self, target: ast.expr, values: ast.expr, sure: set[str]) -> bool:
        """Set a loop's target; whether data decide how often it runs."""
        data = self.value(values, sure)
        called = values.func.id if isinstance(values, ast.Call) and isinstance(values.func, ast.Name) else ""
        if called == "enumerate" and isinstance(target, ast.Tuple) and len(target.elts) == 2:
            self.assign(target.elts[0], False, sure)
            self.assign(target.elts[1], data, sure)
            return False
        self.assign(target, data, sure)
        return data

    def assign(self, target: ast.expr, data: bool, sure: set[str], value: ast.expr | None = None) -> None:
        several = (ast.Tuple, ast.List)
        if isinstance(target, several):
            parts = value.elts if isinstance(value, several) and len(value.elts) == len(target.elts) else None
            found = [data if parts is None else self.value(one, sure) for one in parts or target.elts]
            for one, follows in zip(target.elts, found, strict=True):
                self.assign(one, follows, sure)
        elif isinstance(target, ast.Name):
            _forget(target.id, sure)
            if data or self.by_data:
                self.data.add(target.id)
            # A name stays one that follows from data: in a loop it may hold what was given to it further down.
        else:
            self.value(_loaded(target), sure)
            root: ast.expr = target
            while isinstance(root, ast.Subscript | ast.Attribute | ast.Starred):
                root = root.value
            if isinstance(root, ast.Name) and (data or self.by_data):
                self.data.add(root.id)

    def value(self, node: ast.expr, sure: set[str]) -> bool:
        """Whether a value follows from data."""
        if isinstance(node, ast.Name):
            return node.id in self.data
        if isinstance(node, ast.Attribute):
            return self.value(node.value, sure) and node.attr not in SIZES
        if isinstance(node, ast.Subscript):
            return self.element(node, sure)
        if isinstance(node, ast.IfExp | ast.BoolOp):
            first, *others = [node.test, node.body, node.orelse] if isinstance(node, ast.IfExp) else node.values
            data = self.value(first, sure)
            before = self.by_data
            for one in others:
                self.by_data |= data
                data |= self.value(one, set(sure))
            self.by_data = before
            return data
        if isinstance(node, ast.NamedExpr):
            data = self.value(node.value, sure)
            self.assign(node.target, data, sure)
            return data
        if isinstance(node, ast.Call):
            return self.call(node, sure)
        parts = [self.value(one, sure) for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
        return any(parts)

    def element(self, node: ast.Subscript, sure: set[str]) -> bool:
        """An element or a part of an array."""
        data = self.value(node.value, sure)
        if isinstance(node.value, ast.Attribute) and node.value.attr in SIZES:
            return False
        by_index = self.value(node.slice, sure)
        said = ast.unparse(node)
        if by_index or (self.by_data and said not in sure):
            self.reaches = True
        sure.add(said)
        return data or by_index

    def call(self, node: ast.Call, sure: set[str]) -> bool:
        if not isinstance(node.func, ast.Name):
            self.value(node.func, sure)
        positional = [self.value(one, sure) for one in node.args]
        named = [self.value(one.value, sure) for one in node.keywords]
        called = self.named(node.func)
        if called is len:
            return False
        if not isinstance(called, types.FunctionType) or (called.__module__ or "") == "nbdl.kernels":
            return any([*positional, *named])
        if (called.__module__ or "").partition(".")[0] in ("numpy", "numba"):
            return any([*positional, *named])
        if node.keywords:
            self.reaches = True
        clean = frozenset(at for at, data in enumerate(positional) if not data)
        reaches, result = _function(called, clean, self.by_data, self.callers)
        self.reaches |= reaches
        if any(positional) or self.by_data:  # it may have written to the others
            self.data |= {one.id for one in node.args if isinstance(one, ast.Name)}
        return result or self.by_data

    def named(self, node: ast.expr) -> Any:
        """The function that a name or a chain of attributes stands for."""
        if isinstance(node, ast.Attribute):
            return getattr(self.named(node.value), node.attr, None)
        if not isinstance(node, ast.Name):
            return None
        code, cells = self.function.__code__, self.function.__closure__ or ()
        if node.id in code.co_freevars:
            found = cells[code.co_freevars.index(node.id)].cell_contents
        else:
            found = self.function.__globals__.get(node.id, getattr(builtins, node.id, None))
        return getattr(found, "py_func", found)


def _loaded(target: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(target), mode="eval").body


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement, or one within it, assigns."""
    return (one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))


def _forget(name: str, sure: set[str]) -> None:
    sure -= {one for one in sure if re.search(rf"\b{name}\b", one)}
