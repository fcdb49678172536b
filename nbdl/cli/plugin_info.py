"""`nbdl plugins info`: all that there is to say about a unit."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from nbdl.cli.complete import all_units, among, kinds
from nbdl.cli.options import debug_option, json_option, plugin_file_option
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command
from nbdl.cli.plugins import loaded
from nbdl.errors import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbdl.plugins.description import Argument, Description
    from nbdl.units.entry import Entry
    from nbdl.units.registry import Registry

WIDTH = 100  # at most, and where there is no terminal
LABEL = 12
FIXED = "\xa0"


@click.command(cls=Command, short_help="Formula, arguments, defaults, source and owner of a unit.")
@click.argument("unit", shell_complete=among(all_units))
@click.option(
    "--kind", metavar="KIND", shell_complete=among(kinds), help="Of the units of that name, only the one of this kind."
)
@plugin_file_option
@json_option
@debug_option
def info(unit: str, kind: str | None, as_json: bool) -> None:
    """Describe UNIT: its formula, arguments with their defaults, where it is written, whose it is.

    Where several kinds have a unit of that name all are described, the shortest first; `kind/name` names one.

    \b
    nbdl plugins info adam
    nbdl plugins info loss/hinge
    nbdl plugins info cube --plugin-file my_units.py
    """
    from nbdl.plugins.description import describe

    registry = loaded()
    entries = units_named(registry, unit, kind)
    if as_json:
        found = [{**asdict(describe(entry)), "broken": troubles(registry, entry)} for entry in entries]
        echo(json.dumps(found, indent=2))
        return
    width = min(shutil.get_terminal_size().columns, WIDTH) if sys.stdout.isatty() else WIDTH
    texts = [list(page(describe(entry), troubles(registry, entry), max(width, 40))) for entry in entries]
    echo("\n\n".join("\n".join(lines) for lines in sorted(texts, key=len)))


def units_named(registry: Registry, unit: str, kind: str | None = None) -> list[Entry]:
    """Return the units of a name, or of `kind/name`.

    Raises:
        UnknownNameError: There is none; the message says what is near.
    """
    from nbdl.hookspecs import KINDS
    from nbdl.units.registry import kind_named

    before, slash, name = unit.rpartition("/")
    if slash:
        kind = before
    kinds = KINDS if kind is None else (kind_named(kind),)
    found = [entry for one in kinds if (entry := registry.find(one, name)) is not None]
    if not found:
        raise UnknownNameError(unknown(registry, name, kinds))
    return found


def unknown(registry: Registry, name: str, kinds: tuple[str, ...]) -> str:
    """Say that no unit has that name in these kinds, and which have one like it."""
    from nbdl.units.entry import singular

    known = {spelling: entry for entry in registry.entries() for spelling in (entry.name, *entry.aliases)}
    among = [spelling for spelling, entry in known.items() if entry.kind in kinds]
    near = did_you_mean(name, among)
    noun = singular(kinds[0]) if len(kinds) == 1 else "unit"
    names = [(entry, (entry.name, *entry.aliases)) for entry in registry.entries() if entry.kind not in kinds]
    other = [singular(entry.kind) for entry, spellings in names if name in spellings]
    text = f"no {noun} is called {name!r}.{near}"
    if other:
        text += f" There is {' and '.join(f'{one}/{name}' for one in other)}."
    elif not near:
        text += " `nbdl plugins list` lists all."
    if registry.broken:
        text += " Some plugins are broken; `nbdl plugins doctor` tells why."
    return text


def troubles(registry: Registry, entry: Entry) -> list[str]:
    """Say what of the unit's own package is broken."""
    return [f"{one.module}: {one.reason}" for one in registry.broken if one.owner == entry.owner]


# -- the page -----------------------------------------------------------------------------------------------


def page(unit: Description, broken: list[str], width: int) -> Iterator[str]:
    """Yield the lines of a unit's description."""
    yield f"{unit.kind}/{unit.name}  ({unit.owner})"
    if unit.summary:
        yield from wrapped(unit.summary, width)
    yield ""
    yield from wrapped(between_arguments(unit.signature), width, 2, 6)
    if unit.formula:
        yield ""
        yield from wrapped(unit.formula, width, 2, 2)
    yield from section("Arguments", [one for one in unit.arguments if not one.common], width)
    common = [one for one in unit.arguments if one.common]
    if common:
        yield ""
        yield "All of the kind also take"
        shown = [f"{one.name}={one.default}" if one.default else one.name for one in common]
        yield from wrapped(", ".join(shown), width, 2, 2)
    for note in unit.notes:
        yield ""
        yield from (note.split("\n") if "\n" in note else wrapped(note, width))
    for example in unit.examples:
        yield ""
        yield from (f"  {line}" for line in example.split("\n"))
    yield ""
    for label, text in labelled(unit, broken):
        yield from wrapped(f"{label:<{LABEL - 1}} {text}", width, 0, LABEL)
    location = f"{unit.file}:{unit.line}" if unit.file else "none: it was typed in a session"
    yield f"{'file':<{LABEL - 1}} {location}"  # whole, to be copied


def section(title: str, arguments: list[Argument], width: int) -> Iterator[str]:
    """Yield arguments, each with its text below."""
    if not arguments:
        return
    yield ""
    yield title
    for argument in arguments:
        yield from wrapped(str(argument), width, 2, 6)
        yield from wrapped(argument.text, width, 6, 6)


def labelled(unit: Description, broken: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what is short: aliases, errors, functions, source, owner."""
    if unit.aliases:
        yield "aliases", ", ".join(unit.aliases)
    if unit.returns:
        yield "returns", unit.returns
    for name, text in unit.raises:
        yield "raises", f"{name}: {text}"
    for name, text in unit.facts:
        yield name, text
    if unit.source:
        yield "source", unit.source
    for function in unit.functions:
        yield "function", between_arguments(function.signature)
    yield "owner", f"{unit.owner}, plugin {unit.owner.plugin!r}, module {unit.module}"
    for text in broken:
        yield "broken", text


def between_arguments(signature: str) -> str:
    """Let a signature be broken between arguments only."""
    return signature.replace(" ", FIXED).replace(f",{FIXED}", ", ")


def wrapped(text: str, width: int, first: int = 0, rest: int = 0) -> list[str]:
    """Break a text into lines; words longer than a line stay whole."""
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(FIXED, " ") for line in lines]
