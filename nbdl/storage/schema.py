"""Schemas: what JSON in a file must look like, checked before anything uses it.

A schema is a function of a value and its place that says what is wrong there, or None. Sizes and depths have bounds, so
what passes can be used without fear; what units do with their own arguments is up to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from nbdl.errors import printable

Schema: TypeAlias = Callable[[Any, str], str | None]

MOST_TEXT = 100_000
MOST_NAME = 1_000
MOST_DEPTH = 50
MOST_COUNT = 1 << 53  # whole numbers up to here are exact in JSON of other programs too
MOST_INTEGER = 1 << 64


def mismatch(where: str, expected: str, got: Any) -> str:
    """Return the sentence for a value that is not what was expected."""
    return f"{where or 'it'}: expected {expected}, got {shown(got)}"


def shown(value: Any) -> str:
    """Return a value as a message shows it.

    >>> shown("a"), shown([1, 2]), shown({}), shown(None), shown(True)
    ("'a'", 'a list of 2', 'a mapping of 0', 'null', 'true')
    """
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"a mapping of {len(value)}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and abs(value) > MOST_INTEGER:
        return "a number beyond 2 ** 64"
    written = repr(value)
    return written if len(written) <= 80 else f"{written[:60]}... ({len(written)} characters)"


def is_name(value: object) -> bool:
    """Return whether a text can be the name of a layer or a metric: short, printable, not only blanks."""
    if not isinstance(value, str) or not 0 < len(value) <= MOST_NAME or value.isspace():
        return False
    return printable(value) == value and not any(one in value for one in "\n\t")


# -- schemas ----------------------------------------------------------------------------------------------


def name(value: Any, where: str) -> str | None:
    """A name."""
    return None if is_name(value) else mismatch(where, f"a printable name of up to {MOST_NAME} characters", value)


def text(value: Any, where: str) -> str | None:
    """Any text that UTF-8 can hold."""
    if not isinstance(value, str):
        return mismatch(where, "text", value)
    if len(value) > MOST_TEXT:
        return mismatch(where, f"up to {MOST_TEXT:,} characters", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        return mismatch(where, "text that UTF-8 can hold", value)
    return None


def flag(value: Any, where: str) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else mismatch(where, "true or false", value)


def number(value: Any, where: str) -> str | None:
    """A finite number."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = is_number and (abs(value) <= MOST_INTEGER if isinstance(value, int) else math.isfinite(value))
    return None if fits else mismatch(where, "a finite number", value)


def whole(least: int = 0, most: int = MOST_COUNT) -> Schema:
    """A whole number in a range."""

    def check(value: Any, where: str) -> str | None:
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return None if fits else mismatch(where, f"a whole number from {least} to {most}", value)

    return check


def one_of(*values: str) -> Schema:
    """One of some texts."""

    def check(value: Any, where: str) -> str | None:
        return None if isinstance(value, str) and value in values else mismatch(where, " or ".join(values), value)

    return check


def maybe(schema: Schema) -> Schema:
    """Null, or what fits the schema."""
    return lambda value, where: None if value is None else schema(value, where)


def either(expected: str, *schemas: Schema) -> Schema:
    """What fits one of some schemas."""

    def check(value: Any, where: str) -> str | None:
        return None if any(one(value, where) is None for one in schemas) else mismatch(where, expected, value)

    return check


def items(schema: Schema, most: int = 1_000_000) -> Schema:
    """A list whose entries all fit."""

    def check(value: Any, where: str) -> str | None:
        if not isinstance(value, list):
            return mismatch(where, "a list", value)
        if len(value) > most:
            return mismatch(where, f"up to {most:,} entries", value)
        return next((problem for i, one in enumerate(value) if (problem := schema(one, f"{where}[{i}]"))), None)

    return check


def entries(schema: Schema) -> Schema:
    """A mapping of names to what fits."""

    def check(value: Any, where: str) -> str | None:
        if not isinstance(value, dict):
            return mismatch(where, "a mapping", value)
        for key, one in value.items():
            problem = name(key, f"a name in {where or 'it'}") or schema(one, f"{where}.{key}".lstrip("."))
            if problem:
                return problem
        return None

    return check


def record(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """A mapping with these entries; further ones, as a later version may write, are plain data."""
    known = {**required, **(optional or {})}

    def check(value: Any, where: str) -> str | None:
        if not isinstance(value, dict):
            return mismatch(where, f"a mapping with {', '.join(required) or 'names'}", value)
        for key in required:
            if key not in value:
                return f"{where or 'it'}: {key!r} is missing"
        for key, one in value.items():
            problem = name(key, f"a name in {where or 'it'}") or known.get(key, plain)(
                one, f"{where}.{key}".lstrip(".")
            )
            if problem:
                return problem
        return None

    return check


def plain(value: Any, where: str, depth: int = 0) -> str | None:
    """Any JSON, if it is not nested too deeply, and its numbers and texts are of a sane size."""
    if isinstance(value, str):
        return text(value, where)
    if isinstance(value, int):
        return None if abs(value) <= MOST_INTEGER else mismatch(where, "a number up to 2 ** 64", value)
    if depth >= MOST_DEPTH and isinstance(value, list | dict):
        return f"{where}: expected up to {MOST_DEPTH} levels, got more"
    if isinstance(value, list):
        found = (plain(one, f"{where}[{i}]", depth + 1) for i, one in enumerate(value))
        return next(filter(None, found), None)
    if isinstance(value, dict):
        for key, one in value.items():
            problem = text(key, f"a name in {where or 'it'}") or plain(one, f"{where}.{key}".lstrip("."), depth + 1)
            if problem:
                return problem
    return None


_MADE = record({"name": name}, {"config": entries(plain)})


def unit(value: Any, where: str) -> str | None:
    """A unit: its name, or a mapping of name and config."""
    if isinstance(value, str | dict):
        return name(value, where) if isinstance(value, str) else _MADE(value, where)
    return mismatch(where, "a name, or a mapping of name and config", value)
