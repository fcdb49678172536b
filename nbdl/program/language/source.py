"""The source of plain Python functions: found as syntax trees, described in messages, composed into others."""

from __future__ import annotations

import ast
import dis
import functools
import importlib
import linecache
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

from nbdl.errors import ConfigError

Function = Callable[..., Any]


OWN = ("nbdl.program.", "nbdl.engine.")  # the rooms whose functions may use more than those of authors


def is_own(function: Function) -> bool:
    """Tell whether a function belongs to nbdl's own program and engine, rather than to an author."""
    return (function.__module__ or "").startswith(OWN)


def source_of(module: str) -> Path:
    """Return the file of an importable module, which is imported unless it was: digests cover its text."""
    return Path(str(importlib.import_module(module).__file__))


class ScalarError(ConfigError):
    """A function uses what cannot be compiled as a scalar function."""


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@functools.lru_cache(maxsize=256)
def _definitions(filename: str, text: str) -> dict[int, list[ast.FunctionDef | ast.Lambda]]:
    """All functions of a file by their first line, decorators included."""
    found: dict[int, list[ast.FunctionDef | ast.Lambda]] = {}
    for node in ast.walk(_parsed(text)):
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
        if tuple(argument.arg for argument in (*node.args.posonlyargs, *node.args.args)) == names
        and (node.name if isinstance(node, ast.FunctionDef) else "<lambda>") == code.co_name
    ]
    if not text:
        return _without_source(function)
    if not (found and _unchanged(code, text)):
        raise ScalarError(f"{describe(function)}: its file changed since it was imported; import it again (or restart)")
    if len(found) > 1:  # lambdas on one line: the columns tell them apart
        positions = set(code.co_positions())
        found = [node for node in found if isinstance(node, ast.Lambda) and _place(node.body) in positions]
    if len(found) == 1:
        node = found[0]
        if isinstance(node, ast.FunctionDef):
            return node
        body: list[ast.stmt] = [ast.copy_location(ast.Return(node.body), node)]
        return ast.FunctionDef("function", node.args, body, [], lineno=node.lineno)
    return _without_source(function, "several such functions stand on one line; give each a line of its own")


def _without_source(
    function: Function, otherwise: str = "its source cannot be read; define it in a file or a notebook cell"
) -> ast.FunctionDef:
    """The syntax tree of a function by its bytecode."""
    from nbdl.program.language import bytecode as from_bytecode

    try:
        return from_bytecode.read(function)
    except from_bytecode.Unreadable as error:
        raise ScalarError(f"{describe(function)} {error}, and {otherwise}") from None


@functools.lru_cache(maxsize=4096)
def _unchanged(code: CodeType, text: str) -> bool:
    """Whether a file's text still is what running code was compiled from.

    What is compared is the code of the function itself: its annotations, defaults and decorators are not in it, a
    docstring and line numbers are left out. Code with `assert` is taken as it is: test runners rewrite it.
    """
    if code.co_filename.startswith("<nbdl "):
        return True  # composed, and so in no file
    try:
        return any(_alike(one, code) for one in _compiled_again(code, text)) or _asserts(code)
    except SyntaxError:  # where warnings are errors; it is not for this function to say so
        return True


_DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)


def _compiled_again(code: CodeType, text: str) -> Iterator[CodeType]:
    """Code that a file's text gives in the place of running code."""
    first, statements = code.co_firstlineno, _parsed(text).body
    around = [s for s in statements if _first_line(s) <= first <= (s.end_lineno or first)]
    # Calls into imported modules are compiled in another way; a notebook compiles each statement of a cell alone.
    others = [s for s in statements if s in around or not isinstance(s, _DEFINING)]
    flags = code.co_flags & annotations.compiler_flag | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for chosen in (others, around):
        module = compile(ast.Module(chosen, []), code.co_filename, "exec", flags, dont_inherit=True)
        yield from (c for c in _nested(module) if c.co_firstlineno == first and c.co_name == code.co_name)


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min(statement.lineno, *(one.lineno for one in decorators)) if decorators else statement.lineno


def _nested(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)


def _alike(one: CodeType, other: CodeType) -> bool:
    quick = [(code.co_code, code.co_names, code.co_freevars, *map(_meaning, code.co_consts)) for code in (one, other)]
    return quick[0] == quick[1] or _instructions(one) == _instructions(other)


def _instructions(code: CodeType) -> list[Any]:
    """What code does, whatever its constants' numbers and lines."""
    return [(one.opname, _meaning(one.argval)) for one in dis.get_instructions(code)]


def _meaning(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _instructions(value)
    return value if isinstance(value, frozenset) else repr(value)  # 1, 1.0 and True are equal, and NaN is not


def _asserts(code: CodeType) -> bool:
    raises = ("LOAD_ASSERTION_ERROR", "@pytest_ar", "@py_assert")
    return any(str(part).startswith(raises) for one in dis.get_instructions(code) for part in (one.opname, one.argval))


def _place(node: ast.expr) -> tuple[int, int | None, int, int | None]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def describe(function: Function) -> str:
    """A function with its place: "df (…/softplus.py:12)"."""
    code = getattr(function, "__code__", None)
    return f"{function.__name__} ({code.co_filename}:{code.co_firstlineno})" if code else repr(function)


def label(function: Function) -> str:
    """A short name for listings: "softplus" for `f` of softplus.py, "softplus.df" for its derivative."""
    text = getattr(function, "label", None)
    if text is not None:
        return str(text)
    module = (function.__module__ or "").rpartition(".")[2]
    if function.__name__ == "f":
        return module
    return function.__name__ if module in ("functions", "bodies") else f"{module}.{function.__name__}"


_composed: dict[tuple[str, ...], Function] = {}


def compose(
    name: str, arguments: Sequence[str], expression: str, /, *statements: str, **functions: Function
) -> Function:
    """A scalar function made of others: `compose("g", ["x"], "2.0 * f(x)", f=f)`; statements come before the return.

    >>> compose("twice", ["x"], "f(f(x))", f=abs)(-3.0)
    3.0
    """
    lines = [*statements, f"return {expression}"]
    text = f"def {name}({', '.join(arguments)}):\n" + "".join(f"    {line}\n" for line in lines)
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
    arguments = [*node.args.posonlyargs, *node.args.args]
    read = {name.id for statement in node.body for name in ast.walk(statement) if isinstance(name, ast.Name)}
    return [argument.arg for argument in arguments if argument.arg in read]
