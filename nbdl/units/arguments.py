"""Checks of arguments by annotation and range, and their order by position.

A unit's constructor takes its own arguments in Keras's order. Where Keras has an argument in between that nbdl lacks,
`positions` names it, so that those after it keep their places.
"""

from __future__ import annotations

import inspect
import math
import numbers
import operator
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbdl.errors import ConfigError

Checks = dict[str, tuple[Sequence[str], Any]]  # of each argument that is checked, the types and the default

KEYWORD, ANYWHERE = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
VARIABLE = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
Factor = float  # as an annotation: a finite number of at least 0
WANTED = {
    "bool": "True or False", "int": "an integer", "float": "a number", "Factor": "a number of at least 0",
    "str": "text", "None": "None", "Sequence[int]": "a list of integers", "Sequence[float]": "a list of numbers",
    "Sequence[str]": "a list of texts",
}  # fmt: skip


@dataclass(frozen=True)
class Range:
    """The numbers that an argument may be: from `low` to `high`, both included.

    Args:
        wanted: what an error says of the argument; by default that it lies between the two.
        whole: whether only integers fit.
        optional: whether None fits too.
        schedules: whether functions and schedules fit too.
    """

    low: float
    high: float = math.inf
    wanted: str = ""
    whole: bool = False
    optional: bool = False
    schedules: bool = False

    def holds(self, value: Any) -> bool:
        """Whether a value fits."""
        if value is None:
            return self.optional
        if callable(value):
            return self.schedules
        fitting = hasattr(value, "__index__") if self.whole else isinstance(value, numbers.Real)
        return fitting and not isinstance(value, bool) and self.low <= float(value) <= self.high

    def error(self, who: str, name: str, value: Any) -> ConfigError:
        """Make the error of a value that does not fit."""
        wanted = self.wanted or f"lies between {self.low:g} and {self.high:g}"
        return ConfigError(f"{who}: {name} {wanted}, got {value!r}")


def is_bool(value: Any) -> bool:
    """Whether it is True or False, NumPy's included."""
    return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")


def _has_index(value: Any) -> bool:
    try:
        operator.index(value)  # every array has __index__, and few can use it
    except TypeError:
        return False
    return True


def is_number(value: Any) -> bool:
    """Whether it is one number, of any library, and no bool."""
    if is_bool(value) or isinstance(value, str | bytes | complex):
        return False
    if isinstance(value, numbers.Real):
        return True
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return hasattr(value, "__float__")


def truth(value: Any) -> bool | None:
    """Return True or False for a boolean or an integer 0 or 1, as older scripts write it; None for all else."""
    if is_bool(value) or (CHECKS["int"](value) and value in (0, 1)):
        return bool(value)
    return None


CHECKS: dict[str, Callable[[Any], bool]] = {
    "bool": is_bool,
    "int": lambda value: _has_index(value) and not is_bool(value),
    "float": is_number,
    "Factor": lambda value: is_number(value) and 0.0 <= float(value) < math.inf,
    "str": lambda value: isinstance(value, str),
    "None": lambda value: value is None,
    "Sequence[int]": lambda value: is_sequence(value, "int"),
    "Sequence[float]": lambda value: is_sequence(value, "float"),
    "Sequence[str]": lambda value: is_sequence(value, "str"),
}


def is_sequence(value: Any, kind: str) -> bool:
    """Whether it is a list, tuple, range or array of such values."""
    ordered = isinstance(value, Sequence) or (hasattr(value, "__array__") and getattr(value, "ndim", 1) != 0)
    return ordered and not isinstance(value, str | bytes) and all(CHECKS[kind](one) for one in value)


def kinds_of(parameter: inspect.Parameter) -> list[str]:
    """Find the plain types that an argument may have, from its annotation or from a default of True or False.

    An empty list: it may be anything.
    """
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return ["bool"] if isinstance(parameter.default, bool) else []
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    kinds = [part.strip() for part in text.split("|")]
    return kinds if all(kind in CHECKS for kind in kinds) else []


def checks_of(parameters: Mapping[str, inspect.Parameter]) -> Checks:
    """Read what `checked` looks at, once for each function: reading takes longer than the check itself."""
    found = {name: (kinds_of(one), one.default) for name, one in parameters.items() if one.kind not in VARIABLE}
    return {name: one for name, one in found.items() if one[0]}


def checked(who: str, checks: Checks, values: Mapping[str, Any], own: bool = True) -> dict[str, Any]:
    """Check arguments by their annotations and fit them: 1 for a boolean becomes True, 3.0 for an integer 3.

    Args:
        own: whether the function is nbdl's. Of others only booleans are checked, and nothing is changed: an annotation
            is no promise that other types do not work.

    Raises:
        ConfigError: an argument has another type: texts are no booleans, and booleans no numbers. It is named.
    """
    fitted = dict(values)
    for name, value in values.items():
        kinds, default = checks.get(name, ((), value))
        if value is default or not (own or "bool" in kinds):
            continue
        fitting = _fitting(value, kinds)
        if not any(CHECKS[kind](fitting) for kind in kinds):
            wanted = " or ".join(WANTED[kind] for kind in kinds)
            raise ConfigError(f"{who}: {name} is {wanted}, got {reprlib.repr(value)}")
        if own:
            fitted[name] = fitting
    return fitted


def _fitting(value: Any, kinds: Sequence[str]) -> Any:
    """Convert a value that stands for one of these kinds; return others as they are."""
    if "bool" in kinds and (is_bool(value) or not {"int", "float"} & {*kinds}):
        found = truth(value)
        return value if found is None else found
    whole = is_number(value) and not getattr(value, "shape", ()) and float(value).is_integer()
    return int(value) if whole and "int" in kinds and "float" not in kinds else value


def ordered(
    signature: inspect.Signature, positions: Sequence[str], lacking: Mapping[str, Any], method: bool
) -> inspect.Signature:
    """Make a signature that takes arguments by position in this order, and all others by name.

    Args:
        positions: names of arguments, also of some that the signature lacks.
        lacking: the defaults of these.
        method: whether the first parameter is the object.
    """
    known = signature.parameters
    first = [*known][:1] if method else []
    placed = [
        known[name].replace(kind=ANYWHERE)
        if name in known
        else inspect.Parameter(name, ANYWHERE, default=lacking[name], annotation=type(lacking[name]).__name__)
        for name in (*first, *positions)
    ]
    rest = [one for one in known.values() if one.name not in (*first, *positions)]
    by_name = [one.replace(kind=KEYWORD) for one in rest if one.kind not in VARIABLE]
    return signature.replace(parameters=[*placed, *by_name, *(one for one in rest if one.kind in VARIABLE)])


def is_method(function: Callable[..., Any]) -> bool:
    """Whether a function is defined in a class, so that its first parameter is the object."""
    return "." in function.__qualname__.rpartition("<locals>.")[2]


def own_positions(signature: inspect.Signature, method: bool) -> list[str]:
    """List the arguments that a function takes by position, without the object of a method."""
    parameters = [*signature.parameters.values()][1 if method else 0 :]
    return [one.name for one in parameters if one.kind is ANYWHERE]


def by_name(who: str, positions: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Name the arguments that are given by position.

    Raises:
        TypeError: there are too many by position, or one is given twice.
    """
    if len(args) > len(positions):
        known = ", ".join(positions) or "none"
        raise TypeError(f"{who} takes {len(positions)} arguments by position ({known}), got {len(args)}")
    placed = dict(zip(positions, args, strict=False))
    for name in placed:
        if name in kwargs:
            raise TypeError(f"{who}: multiple values for argument {name!r}")
    return {**placed, **kwargs}
