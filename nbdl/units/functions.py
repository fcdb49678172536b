"""Units made of plain functions: a loss f(y, p), an activation f(x), or a pair of one and its derivative."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable
from numbers import Number
from typing import Any, NamedTuple

from nbdl.errors import ConfigError, PluginError, warn
from nbdl.units.elementwise import unregistered
from nbdl.units.registry import registry
from nbdl.units.unit import Unit


class Slope(NamedTuple):
    """A function, what is said to be its derivative, and a point to compare them at."""

    function: Callable[[float], Any]
    derivative: Callable[[float], Any]
    point: float


def own_loss(value: Any) -> Any:
    """Make a unit of what `compile` was given as loss, if that is a plain function or a pair of them.

    Args:
        value: f(y, p, ...), or (f, df) with the derivative df(y, p, ...) by p; further arguments have defaults.

    Raises:
        ConfigError: the functions do not fit, or the derivative of f cannot be found.
    """
    value = _plain(value)
    if inspect.isfunction(value):
        return _registered_unit("losses", value) or _derived("losses", value, 1, "", "compile's loss", "loss=(f, df)")
    if isinstance(value, tuple | list):
        loss = unit_of_functions("losses", tuple(value), "compile's loss")
        f, df = (_of_numbers(one, "compile's loss") for one in value)
        points = itertools.product((0.0, 1.0, 0.3), (0.11, 0.42, 0.87))
        slopes = (Slope(functools.partial(f, y), functools.partial(df, y), p) for y, p in points)
        _compare_slopes(
            slopes, f"compile's loss: {df.__name__}", f"{f.__name__} by its second argument, the prediction"
        )
        return loss
    return value


def own_activation(value: Any, where: str, package: str) -> Any:
    """Make a unit of what a layer was given as activation, if that is a plain function or a pair of them.

    Args:
        value: f(x, ...), or (f, df) with df(x, y, ...), where y is f(x); further arguments have defaults.
        where: the layer and its argument, for messages.
        package: of the layer, whose lines are not the user's.

    Raises:
        ConfigError: the functions do not fit, or the derivative of f cannot be found.
    """
    value = _plain(value)
    if inspect.isfunction(value):
        found = _registered_unit("activations", value)
        return found or _derived("activations", value, 0, "y", where, "activation=(f, df)")
    if isinstance(value, tuple | list):
        unit = unit_of_functions("activations", tuple(value), where)
        f, df = (_of_numbers(one, where) for one in value)
        slopes = (Slope(f, lambda x: df(x, f(x)), x) for x in (-2.3, -0.7, -0.1, 0.2, 0.9, 3.1))
        _compare_slopes(slopes, f"{where}: {df.__name__}", f"{f.__name__} by x", package)
        return unit
    return value


def _registered_unit(kind: str, function: Any) -> Any:
    """Make the registered unit that begins with a function; None where there is none."""
    unit = _registered(kind, (function,))
    return None if unit is None else unit()


def _derived(kind: str, function: Any, by: int, also: str, where: str, pair: str) -> Any:
    """Make a unit of one function and the derivative that follows from its code."""
    from nbdl.program.language.derivative import derivative
    from nbdl.program.language.source import ScalarError

    leading = 1 if kind == "activations" else 2
    if len(inspect.signature(function).parameters) < leading:
        names = "f(x)" if kind == "activations" else "f(y, p)"
        raise ConfigError(f"{where}: a function {names} of numbers is wanted, got {function.__name__}")
    try:
        slope = derivative(function, by, also)
    except ScalarError as error:
        raise ConfigError(f"{where}: {error}; give the derivative too, as a pair {pair}") from None
    return unit_of_functions(kind, (function, slope), where)


def _of_numbers(function: Any, where: str) -> Any:
    """A function that is refused where it fails or returns no number."""

    @functools.wraps(function)
    def run(*numbers: float) -> Any:
        must = f"{where}: {function.__name__} must return a number"
        try:
            value = function(*numbers)
        except (ArithmeticError, ValueError):
            raise
        except Exception as error:
            raise ConfigError(f"{must}, and fails: {error}") from None
        if not isinstance(value, Number):
            raise ConfigError(f"{must}, got {type(value).__name__}")
        return value

    return run


def _compare_slopes(slopes: Iterable[Slope], wrong: str, right: str, package: str = "nbdl") -> None:
    """Warn where a function is not the derivative of another, at most of some points: kinks may lie at a few.

    Args:
        wrong, right: the derivative and the function, for the warning.
    """
    step, agreeing, seen = 1e-4, 0, 0
    for f, df, point in slopes:
        try:
            slope, wanted = df(point), (f(point + step) - f(point - step)) / (2.0 * step)
        except ConfigError:
            raise
        except (ArithmeticError, ValueError):  # outside of what the functions are for
            continue
        seen += 1
        agreeing += abs(slope - wanted) <= 1e-2 * max(abs(slope), abs(wanted)) + 1e-3
    if 2 * agreeing < seen:
        warn(f"{wrong} is not the derivative of {right}: right at {agreeing} of {seen} points", package=package)


def _plain(value: Any) -> Any:
    """The Python function of one that Numba has compiled; anything else as it is."""
    return getattr(value, "py_func", value)


def is_function(value: Any) -> bool:
    """Whether it is a function rather than a unit or its class."""
    return callable(value) and not isinstance(value, type | Unit)


def _registered(kind: str, functions: tuple[Any, ...]) -> Any:
    """The registered unit that begins with these functions, or None."""
    known = (entry.target for entry in registry.entries(kind))
    return next((one for one in known if getattr(one, "functions", ())[: len(functions)] == functions), None)


def unit_of_functions(kind: str, functions: tuple[Callable[..., Any], ...], where: str) -> Any:
    """A unit of scalar functions: the registered one that they make, or one of this model's own."""
    functions = tuple(map(_plain, functions))
    if not all(map(inspect.isfunction, functions)):
        raise ConfigError(f"{where}: plain Python functions are wanted, got {functions!r}")
    unit = _registered(kind, functions)
    try:
        return (unit or unregistered(kind, functions[0].__name__, functions))()
    except (PluginError, TypeError) as error:
        first = {"activations": "x"}.get(kind, "y and p")
        raise ConfigError(f"{where}: {error}; arguments after {first} need defaults") from None
