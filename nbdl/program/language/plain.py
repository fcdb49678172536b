"""Scalar functions as plain Python runs them: the same code objects, where arithmetic never raises."""

from __future__ import annotations

import dis
import functools
import math
import types
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]


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
    loaded = {one.argval for one in dis.get_instructions(function.__code__) if one.opname == "LOAD_GLOBAL"}
    for name in loaded & scope.keys():  # co_names has the names of attributes too
        scope[name] = _reference_value(scope[name])
    cells = tuple(types.CellType(_reference_value(cell.cell_contents)) for cell in function.__closure__ or ())
    clone = types.FunctionType(function.__code__, scope, function.__name__, function.__defaults__, cells)
    clone.__kwdefaults__ = function.__kwdefaults__
    return clone
