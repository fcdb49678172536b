"""Docstrings of all forms are taken apart; what is said of the standard units is complete."""

from __future__ import annotations

import pytest

from nbdl import Activation, Layer
from nbdl.plugins.description import describe, signature_of
from nbdl.plugins.docstrings import parse_docstring
from nbdl.units.entry import SESSION, Entry
from nbdl.units.registry import registry

OWN = """
Cube: x times itself,
twice.

Formula: y = scale·x³
for any x.

Args:
    scale: of the result,
        a number. Default 1: none.
    low, high: between which x is kept.

A note: with a colon.

Raises:
    ConfigError: scale is 0.

Source: any book.

>>> 1 + 1
2
"""
GOOGLE = """Cube: x times itself, twice.

Formula:
    y = scale·x³ for any x.

Args:
    scale (float): of the result, a number. Default 1: none.
    low (Optional[Tuple[int, ...]], optional): between which x is kept.
    high: between which x is kept.

Raises:
    ConfigError: scale is 0.

References:
    any book.

Example:
    >>> 1 + 1
    2
"""
NUMPYDOC = """Cube: x times itself, twice.

Formula
-------
y = scale·x³ for any x.

Parameters
----------
scale : float, default 1
    of the result, a number. Default 1: none.
low, high : int
    between which x is kept.

Raises
------
ConfigError
    scale is 0.

References
----------
any book.

Examples
--------
>>> 1 + 1
2
"""
FIELDS = """Cube: x times itself, twice.

Formula: y = scale·x³ for any x.

:param float scale: of the result, a number.
    Default 1: none.
:param low: between which x is kept.
:param high: between which x is kept.
:raises ConfigError: scale is 0.

Source: any book.

>>> 1 + 1
2
"""


@pytest.mark.parametrize("text", [OWN, GOOGLE, NUMPYDOC, FIELDS], ids=["own", "google", "numpydoc", "fields"])
def test_all_forms_say_the_same(text: str) -> None:
    found = parse_docstring(text)
    assert found.summary == "Cube: x times itself, twice."
    assert found.formula == "y = scale·x³ for any x."
    assert found.arguments == {
        "scale": "of the result, a number. Default 1: none.",
        "low": "between which x is kept.",
        "high": "between which x is kept.",
    }
    assert found.raises == {"ConfigError": "scale is 0."}
    assert found.source == "any book."
    assert found.examples == [">>> 1 + 1\n2"]
    assert found.notes == (["A note: with a colon."] if text is OWN else [])


def test_types_are_kept() -> None:
    assert parse_docstring(GOOGLE).types == {"scale": "float", "low": "Optional[Tuple[int, ...]], optional"}
    assert parse_docstring(NUMPYDOC).types == {"scale": "float, default 1", "low": "int", "high": "int"}
    assert parse_docstring(FIELDS).types == {"scale": "float"}


def test_a_docstring_may_be_one_line_or_missing() -> None:
    found = parse_docstring("Softer: a smooth step. Formula: y = ln(1 + eˣ). Source: a paper of 2001.")
    assert (found.summary, found.formula, found.source) == (
        "Softer: a smooth step.", "y = ln(1 + eˣ).", "a paper of 2001.",
    )  # fmt: skip
    for nothing in (None, "", "  \n "):
        assert parse_docstring(nothing) == parse_docstring("")
    assert parse_docstring("\nArgs:\n    x: of it.").arguments == {"x": "of it."}
    assert parse_docstring("Formula, of both: y = x.").formula == "of both: y = x."


def entry(kind: str, target: object) -> Entry:
    return Entry(kind, "mine", target, SESSION, "mine")


class Bare(Layer):
    def __init__(self, size, *, rate=0.5, **more) -> None:  # type: ignore[no-untyped-def]
        pass


class Described(Activation):
    """Does it.

    Args:
        rate (float): how much.
    """

    def __init__(self, rate=0.5) -> None:  # type: ignore[no-untyped-def]
        self.rate = rate


class Child(Described):
    pass


def test_a_unit_without_a_docstring_has_none_of_its_base() -> None:
    found = describe(entry("layers", Bare))
    assert (found.summary, found.formula, found.notes) == ("", "", ())
    assert found.signature.startswith("mine(size, *, rate=0.5, name: str | None = None, ")
    assert found.signature.endswith(", **more)")
    own = {one.name: one for one in found.arguments if not one.common}
    assert set(own) == {"size", "rate", "**more"}
    assert (own["size"].default, own["rate"].default, own["rate"].text) == ("", "0.5", "")
    assert {"name", "trainable"} <= {one.name for one in found.arguments if one.common}
    assert next(one for one in found.arguments if one.name == "trainable").text.startswith("False freezes")
    assert (found.file, found.line > 0) == (__file__, True)


def test_a_subclass_says_what_its_authors_base_says() -> None:
    found = describe(entry("activations", Child))
    assert found.summary == "Does it."
    [rate] = found.arguments
    assert (rate.annotation, rate.text, rate.common) == ("float", "how much.", False)


def test_what_was_typed_has_no_file() -> None:
    namespace: dict[str, object] = {}
    exec(compile("def load(folder=None):\n    'Loads it.'", "<stdin>", "exec"), namespace)
    found = describe(entry("datasets", namespace["load"]))
    assert (found.summary, found.file, found.line) == ("Loads it.", "", 0)
    assert found.signature == "load(folder=None)"


def test_signatures_are_exact() -> None:
    def one(a: int, /, b: str | None = None, *rest: float, c: object = object(), **more: int) -> list[int]: ...

    assert signature_of(one) == (
        "one(a: int, /, b: str | None = None, *rest: float, c: object = ..., **more: int) -> list[int]"
    )


@pytest.mark.parametrize("one", registry.entries(), ids=lambda one: f"{one.kind}/{one.name}")
def test_standard_units_are_described_whole(one: Entry) -> None:
    found = describe(one)
    assert found.summary
    assert found.file
    assert found.line
    assert found.signature
    if isinstance(one.target, type):
        assert found.formula
        assert found.source
        assert all("Formula" not in note and "Source:" not in note for note in found.notes)
    assert all(str(argument) in found.signature for argument in found.arguments) or one.kind == "commands"
