"""The source of plain Python functions: found as syntax trees, described in messages, composed into others."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Callable, Sequence
from typing import Any

from nbdl.errors import ConfigError

Function = Callable[..., Any]


class ScalarError(ConfigError):
    """A function uses what cannot be compiled as a scalar function."""


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
