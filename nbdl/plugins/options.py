"""The options of a registration: what `register(name, ..., option=value)` takes beside `aliases`, by kind of unit.

Some say what a unit is; the others tell the conformance suite (`nbdl.testing`) how to try it.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from nbdl.errors import did_you_mean
from nbdl.plugins.recipe import Settings
from nbdl.units.arguments import Range

ELEMENTS = ("activations", "layers", "regularizers")
COMPARING = ("losses", "metrics")
RECORDING = ("layers", "activations", "losses", "regularizers", "constraints", "optimizers", "metrics")
CLASSES = (*RECORDING, "initializers", "callbacks", "schedules")

# Of options that are mappings, the type of the values.
VALUES = {"renamed": str, "expected_failures": str, "ignored": tuple, "instead": str, "ranges": Range}


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        name: as it is written in a registration.
        takes: what it is given, as in `name=takes`.
        text: what it says.
        kinds: of the units that have it; none: all of them.
        for_tests: whether it is for the conformance suite alone.
        since: the version of `nbdl.hookspecs` that brought it.
        deprecated: what to use instead; whoever gives it is warned.
    """

    name: str
    takes: str
    text: str
    kinds: tuple[str, ...] = ()
    for_tests: bool = True
    since: str = "1.0"
    deprecated: str = ""


OPTIONS = (
    Option("description", '"text"', "one line for lists", for_tests=False),
    Option("renamed", '{"old": "new"}', "older spellings of arguments, which older files have", CLASSES, False),
    Option(
        "ignored", '{"axis": (-1,)}', "Keras's arguments that it lacks, with the values that change nothing",
        CLASSES, False, "1.1",
    ),
    Option("instead", '{"axis": "text"}', "what to do where these have another value", CLASSES, False, "1.1"),
    Option("ranges", '{"rho": Range(0, 1)}', "what numbers an argument may be", CLASSES, False, "1.1"),
    Option("pairs", '{"name": Pair}', "the formula that replaces a loss and that last activation", ("losses",), False),
    Option("default", "True", "what `compile()` takes where nothing is given", ("optimizers",), False),
    Option("role", '"early_stopping"', "what a model's own settings find it by", ("callbacks",), False),
    Option("task", '"classification"', 'or "regression"', ("datasets",), False),
    Option("classes", "10", "how many classes, numbered from 0", ("datasets",), False),
    Option("recipe", "{...}", "the command line's settings for the dataset", ("datasets",), False),
    Option("suffixes", '(".abc",)', "the endings of file names it is for", ("readers", "exporters"), False),
    Option("default_for", '"classification"', "the task that it is the default for", ("recipes",), False),
    Option("help", '"text"', "one line for `nbdl --help`", ("commands",), False),
    Option("makes", '"activation"', "what such a package offers, if its name does not say", ("templates",), False),
    Option(
        "examples", "({...}, ...)", "arguments to try beside the defaults (instead of them where some are required)",
        CLASSES,
    ),
    Option("kinks", "(0.0, ...)", "places without a derivative, which differences keep away from", ELEMENTS),
    Option("input_shape", "(6,)", "one row of what a layer takes, where (3,) and (4, 3) do not do", ("layers",)),
    Option("inputs", "2", "how many inputs to try a layer with that takes several", ("layers",), since="1.2"),
    Option("self_normalizing", "True", "a layer of noise that keeps mean 0 and variance 1", ("layers",)),
    Option("targets", '"labels", ...', "what y looks like; a loss refuses other targets, too", COMPARING),
    Option("predictions", '"reals", ...', "what p looks like", COMPARING),
    Option(
        "truth", "function", "the same unit in NumPy, float64, or a pair of its value and its gradient",
        (*RECORDING, "initializers"),
    ),
    Option("sample", "text, bytes or write(path)", "a small file that the reader reads", ("readers",)),
    Option("expected_failures", '{"check": "reason"}', "checks that fail, and why; one that passes fails, too"),
)  # fmt: skip


def options_of(kind: str) -> list[str]:
    """The names of the options that a registration of a kind may have."""
    names = [option.name for option in OPTIONS if not option.kinds or kind in option.kinds]
    if kind == "recipes":
        names += [field.name for field in fields(Settings)]
    return names


def unknown_option(kind: str, options: Iterable[str]) -> str:
    """What is wrong with the names of a registration's options, or an empty string.

    >>> unknown_option("activations", ["exmples"])
    "activations have no option 'exmples'. Did you mean 'examples'?"
    """
    known = options_of(kind)
    for name in options:
        if name not in known:
            hint = did_you_mean(name, known) or f" They have: {', '.join(known)}"
            return f"{kind} have no option {name!r}.{hint}"
    return ""


def malformed_option(kind: str, options: Mapping[str, Any]) -> str:
    """What is wrong with the values of a registration's options, or an empty string.

    >>> malformed_option("activations", {"kinks": 0.0})
    'kinks=(0.0, ...) is the form, got 0.0'
    """
    several = {"kinks": numbers.Real, "examples": Mapping, "suffixes": str}
    for name, value in options.items():
        right = True
        if name in several:
            right = isinstance(value, tuple | list) and all(isinstance(one, several[name]) for one in value)
        elif name in VALUES:
            right = isinstance(value, Mapping) and all(
                isinstance(key, str) and isinstance(one, VALUES[name]) for key, one in value.items()
            )
        if not right:
            takes = next(option.takes for option in OPTIONS if option.name == name)
            return f"{name}={takes} is the form, got {value!r}"
    return ""


def deprecated_option(kind: str, options: Iterable[str]) -> str:
    """What to write in place of a registration's options that are deprecated, or an empty string.

    >>> deprecated_option("activations", ["examples"])
    ''
    """
    old = {option.name: option.deprecated for option in OPTIONS if option.deprecated}
    return "; ".join(f"the option {name!r} of {kind} is deprecated: {old[name]}" for name in options if name in old)
