"""Scalar functions that have no source: typed at a prompt, piped into Python, made by `exec`.

Their code is run with expressions in the place of numbers. A jump is taken both ways, so the function becomes a tree
of `if` statements that end in `return`; it has no loops, as a scalar function has none.
"""

from __future__ import annotations

import ast
import dis
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LONGEST = 256  # returns of one function: each `if` may double them

BINARY: dict[str, type[ast.operator]] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "//": ast.FloorDiv, "%": ast.Mod, "**": ast.Pow,
    "&": ast.BitAnd, "|": ast.BitOr, "^": ast.BitXor, "<<": ast.LShift, ">>": ast.RShift,
}  # fmt: skip
COMPARED: dict[str, type[ast.cmpop]] = {
    "<": ast.Lt, "<=": ast.LtE, "==": ast.Eq, "!=": ast.NotEq, ">": ast.Gt, ">=": ast.GtE,
}  # fmt: skip
UNARY: dict[str, type[ast.unaryop]] = {
    "UNARY_NEGATIVE": ast.USub, "UNARY_POSITIVE": ast.UAdd, "UNARY_NOT": ast.Not, "UNARY_INVERT": ast.Invert,
}  # fmt: skip
NOTHING = {"RESUME", "NOP", "CACHE", "PRECALL", "TO_BOOL", "COPY_FREE_VARS", "EXTENDED_ARG", "NOT_TAKEN"}
# What no scalar function has, by the instruction that tells it.
SAID = {
    "GET_ITER": "has a loop", "KW_NAMES": "calls a function with arguments by name", "CALL_KW": "calls a function with "
    "arguments by name", "BINARY_SUBSCR": "looks at elements of an array", "STORE_SUBSCR": "sets elements of an array",
    "BUILD_LIST": "has a list", "BUILD_MAP": "has a dict", "BUILD_SET": "has a set", "BUILD_STRING": "has a string",
    "MAKE_FUNCTION": "has a function within", "IS_OP": "compares by `is`", "CONTAINS_OP": "has an `in`",
    "RAISE_VARARGS": "raises", "LOAD_CLOSURE": "has a function within", "STORE_GLOBAL": "sets a global name",
}  # fmt: skip
NULL = ast.Constant("no self")  # what calls of functions have where calls of methods have an object


class Unreadable(Exception):
    """The code does what a scalar function cannot; the text says what."""


def read(function: Callable[..., Any]) -> ast.FunctionDef:
    """The syntax tree of a function that computes what the function's code does.

    Raises:
        Unreadable: it has a loop, or something else that no scalar function has.
    """
    code = function.__code__
    names = iter(code.co_varnames)
    count, keywords = code.co_argcount, code.co_kwonlyargcount
    positional = [ast.arg(next(names)) for _ in range(count)]
    only = [ast.arg(next(names)) for _ in range(keywords)]
    star = ast.arg(next(names)) if code.co_flags & inspect.CO_VARARGS else None
    stars = ast.arg(next(names)) if code.co_flags & inspect.CO_VARKEYWORDS else None
    arguments = ast.arguments([], positional, star, only, [None] * keywords, stars, [])
    name = function.__name__ if function.__name__.isidentifier() else "function"
    tree = ast.FunctionDef(name, arguments, _Reader(code).body(), [], lineno=1)
    again = ast.parse(ast.unparse(tree)).body[0]  # in the reader's tree one node may stand at several places
    assert isinstance(again, ast.FunctionDef)
    for node in ast.walk(again):
        if isinstance(node, ast.stmt | ast.expr | ast.arg):
            node.lineno = node.end_lineno = code.co_firstlineno
    return again


@dataclass
class _Path:
    """One way through the code: what is on the stack, and which expression each variable stands for."""

    position: int = 0
    stack: list[ast.expr] = field(default_factory=list)
    variables: dict[str, ast.expr] = field(default_factory=dict)

    def copy(self, position: int) -> _Path:
        return _Path(position, list(self.stack), dict(self.variables))

    def pop(self, count: int) -> list[ast.expr]:
        popped = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return popped


class _Reader:
    def __init__(self, code: Any) -> None:
        self.code = code
        self.instructions = list(dis.get_instructions(code))
        self.at = {one.offset: number for number, one in enumerate(self.instructions)}
        self.returns = self.fresh = 0
        self.taken = {*code.co_varnames, *code.co_names, *code.co_freevars}

    def body(self) -> list[ast.stmt]:
        """The whole function."""
        names = self.code.co_varnames[: self.code.co_argcount + self.code.co_kwonlyargcount]
        return self.statements(_Path(variables={name: ast.Name(name, ast.Load()) for name in names}))

    def statements(self, path: _Path) -> list[ast.stmt]:
        """From a path's position to its return, or to both of a jump's."""
        done: list[ast.stmt] = []
        while True:
            one = self.instructions[path.position]
            path.position += 1
            name = one.opname
            if name in ("RETURN_VALUE", "RETURN_CONST"):
                self.returns += 1
                if self.returns > LONGEST:
                    raise Unreadable("has too many branches")
                value = ast.Constant(one.argval) if name == "RETURN_CONST" else path.pop(1)[0]
                return [*done, ast.Return(value)]
            if "JUMP" in name and "_IF_" in name:
                return [*done, self.branch(one, path)]
            if name in ("JUMP_FORWARD", "JUMP_BACKWARD"):
                path.position = self.forward(one)
            elif name.startswith("STORE_FAST") or name == "UNPACK_SEQUENCE":
                done += self.stored(one, path)
            else:
                self.step(one, path)

    def forward(self, jump: dis.Instruction) -> int:
        """Where a jump leads; loops jump back."""
        if jump.argval <= jump.offset:
            raise Unreadable("has a loop")
        return self.at[jump.argval]

    def branch(self, jump: dis.Instruction, path: _Path) -> ast.stmt:
        """An `if` statement with both ways of a conditional jump."""
        name, target = jump.opname, self.forward(jump)
        (condition,) = path.pop(1)
        if name.endswith("NONE"):
            raise Unreadable("compares with None")
        jumped = path.copy(target)
        if name.endswith("_OR_POP"):  # `and`, `or`: the value stays where it decides
            jumped.stack.append(condition)
        on, off = self.statements(path), self.statements(jumped)
        return ast.If(condition, on, off) if "_IF_FALSE" in name else ast.If(condition, off, on)

    def stored(self, one: dis.Instruction, path: _Path) -> list[ast.stmt]:
        """Assignments; every value gets a name of its own, so what is on the stack keeps its meaning."""
        if one.opname == "UNPACK_SEQUENCE":
            (value,) = path.pop(1)
            if isinstance(value, ast.Tuple):
                path.stack += reversed(value.elts)
                return []
            parts = [self.name("part") for _ in range(one.argval)]
            path.stack += [ast.Name(part, ast.Load()) for part in reversed(parts)]
            return [_assign(ast.Tuple([ast.Name(part, ast.Store()) for part in parts], ast.Store()), value)]
        if one.opname == "STORE_FAST_LOAD_FAST":
            done = self.store(one.argval[0], path)
            path.stack.append(self.variable(one.argval[1], path))
            return done
        names = one.argval if isinstance(one.argval, tuple) else (one.argval,)
        return [statement for name in names for statement in self.store(name, path)]

    def store(self, name: str, path: _Path) -> list[ast.stmt]:
        (value,) = path.pop(1)
        if isinstance(value, ast.Name | ast.Constant):
            path.variables[name] = value
            return []
        variable = self.name(name)
        path.variables[name] = ast.Name(variable, ast.Load())
        return [_assign(ast.Name(variable, ast.Store()), value)]

    def name(self, stem: str) -> str:
        """A name that nothing has."""
        self.fresh += 1
        name = f"{stem}__{self.fresh}"
        return name if name not in self.taken else self.name(stem)

    def variable(self, name: str, path: _Path) -> ast.expr:
        if name not in path.variables:
            raise Unreadable(f"uses {name!r} before it is set")
        return path.variables[name]

    def step(self, one: dis.Instruction, path: _Path) -> None:
        """An instruction that only changes the stack."""
        name, stack = one.opname, path.stack
        if name in NOTHING:
            return
        if name.startswith("LOAD_"):
            self.load(one, path)
        elif name == "PUSH_NULL":
            stack.append(NULL)
        elif name == "POP_TOP":
            stack.pop()
        elif name == "COPY":
            stack.append(stack[-one.argval])
        elif name == "SWAP":
            stack[-1], stack[-one.argval] = stack[-one.argval], stack[-1]
        elif name == "BINARY_OP" and one.argrepr.rstrip("=") in BINARY:
            left, right = path.pop(2)
            stack.append(ast.BinOp(left, BINARY[one.argrepr.rstrip("=")](), right))
        elif name == "COMPARE_OP" and one.argval in COMPARED:
            left, right = path.pop(2)
            stack.append(ast.Compare(left, [COMPARED[one.argval]()], [right]))
        elif name in UNARY:
            stack.append(ast.UnaryOp(UNARY[name](), stack.pop()))
        elif name == "CALL_INTRINSIC_1" and one.argrepr.endswith("UNARY_POSITIVE"):
            stack.append(ast.UnaryOp(ast.UAdd(), stack.pop()))
        elif name == "BUILD_TUPLE":
            stack.append(ast.Tuple(path.pop(one.argval), ast.Load()))
        elif name == "CALL":
            arguments = path.pop(one.argval)
            function = next(part for part in path.pop(2) if part is not NULL)
            stack.append(ast.Call(function, arguments, []))
        else:
            raise Unreadable(SAID.get(name, f"has a `{name.lower()}`"))

    def load(self, one: dis.Instruction, path: _Path) -> None:
        """An instruction that puts a name, a constant or an attribute on the stack."""
        name, stack, flag = one.opname, path.stack, bool((one.arg or 0) & 1)
        if name in ("LOAD_CONST", "LOAD_SMALL_INT"):
            stack.append(ast.Constant(one.argval))
        elif name.startswith("LOAD_FAST") and "CLEAR" not in name:
            names = one.argval if isinstance(one.argval, tuple) else (one.argval,)
            stack += [self.variable(each, path) for each in names]
        elif name == "LOAD_GLOBAL":
            stack += [NULL, ast.Name(one.argval, ast.Load())] if flag else [ast.Name(one.argval, ast.Load())]
        elif name == "LOAD_DEREF" and one.argval in self.code.co_freevars:
            stack.append(ast.Name(one.argval, ast.Load()))
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            method = name == "LOAD_METHOD" or (sys.version_info >= (3, 12) and flag)
            found = ast.Attribute(stack.pop(), one.argval, ast.Load())
            stack += [NULL, found] if method else [found]
        else:
            raise Unreadable(SAID.get(name, f"has a `{name.lower()}`"))


def _assign(target: ast.expr, value: ast.expr) -> ast.Assign:
    return ast.Assign([target], value, lineno=1)
