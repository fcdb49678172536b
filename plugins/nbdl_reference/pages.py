"""Reference pages from the registry: one a kind of unit, an index, and a plot for each scalar function.

Nothing on them differs between machines: neither versions nor paths outside the package.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nbdl.hookspecs import KINDS, specifications
from nbdl.options import CLASSES
from nbdl.plugins import Argument, Description, describe, parse_docstring
from nbdl.units import BASES, Entry, singular
from nbdl_reference.commands import command_page, commands
from nbdl_reference.contract import WRITTEN_WITH, hook_page, written_with_page
from nbdl_reference.curves import Plot, plot_of
from nbdl_reference.markdown import block, code, prose, table, wrapped
from nbdl_reference.plots import svg

if TYPE_CHECKING:
    import click

GENERATED = "Generated from the registry by nbdl; do not edit."  # on every page and plot, with whose they are
INDEX = "README.md"
COMPUTING = tuple(kind for kind in CLASSES if kind != "callbacks")  # kinds of units that have a formula

Place = Callable[[str, int], str]  # Markdown for a line of a file, which is named within its package


@dataclass(frozen=True)
class Item:
    """A unit on its page: what the registry has, what the code says, and what can be drawn."""

    entry: Entry
    unit: Description
    plot: Plot | None

    @property
    def picture(self) -> str:
        """The name of the plot's file, relative to the page."""
        return f"plots/{self.entry.kind}/{self.entry.name}.svg"

    @property
    def summary(self) -> str:
        """One line: what the registration says for lists, else what the docstring begins with."""
        return str(self.entry.options.get("description") or self.unit.summary)


def pages(
    title: str,
    entries: Sequence[Entry],
    link: Place | None = None,
    contract: bool = False,
    top: click.Command | None = None,
) -> dict[str, str]:
    """The pages of these units, and plots, by their relative file names.

    Args:
        title: of the index: the package's name.
        entries: the units, all of one package.
        link: how a page says where a unit's code is, given its file's name within the package.
        contract: whether to add the pages of hooks and of the recorder.
        top: the group of all commands, for the page of nbdl's own.

    Raises:
        PluginError: a command cannot be imported.
    """
    made: dict[str, str] = {}
    listed: dict[str, list[Item]] = {kind: [] for kind in KINDS}
    for entry in sorted(entries, key=lambda entry: entry.name.lower()):
        item = Item(entry, describe(entry), plot_of(entry))
        listed[entry.kind].append(item)
        if item.plot:
            made[item.picture] = svg(item.plot).replace("\n", f"\n{mark(title)}\n", 1)
    contents = {}
    for kind, items in listed.items():
        if kind == "commands" and items:
            every = [one for entry in entries if entry.kind == kind for one in commands(entry)]
            made["commands.md"] = command_page(every, top)
            contents[kind] = {f"nbdl {one.name}": f"nbdl-{one.name.replace(' ', '-')}" for one in every}
        elif items:
            made[f"{kind}.md"] = kind_page(kind, items, link or module_place)
            contents[kind] = {item.entry.name: item.entry.name.lower() for item in items}
    if contract:
        made["hooks.md"] = hook_page()
        contents["hooks"] = {name: name for name in specifications()}
        for name, methods in WRITTEN_WITH.items():
            made[f"{name.lower()}.md"] = written_with_page(name)
            contents[name.lower()] = {method: method for method in methods}
    made[INDEX] = index(title, contents)
    return {name: f"{mark(title)}\n\n{text}\n" if name.endswith(".md") else text for name, text in made.items()}


def module_place(file: str, line: int) -> str:
    """Where code is, as text: the same wherever a package is installed."""
    return code(f"{file}:{line}")


def mark(title: str) -> str:
    """The comment on every page and plot that says what made it, and of which package it is.

    >>> mark("nbdl-toy")
    '<!-- Generated from the registry by nbdl; do not edit. Package: nbdl-toy -->'
    """
    return f"<!-- {GENERATED} Package: {re.sub('-+', '-', title)} -->"  # a comment holds no two dashes


def gaps(entries: Iterable[Entry]) -> list[str]:
    """What the docstrings of these units lack: a line for each unit without one, or without its formula."""
    found = []
    for entry in entries:
        unit = describe(entry)
        where = f"{singular(entry.kind)} {entry.name!r} ({within_package(entry.module, unit.file)}:{unit.line})"
        if not unit.summary:
            found.append(f"{where} has no docstring: open it with one line on what the unit does")
        elif entry.kind in COMPUTING and not unit.formula:
            found.append(f'{where} has no formula in its docstring: write a line "Formula: y = ..."')
    return found


def within_package(module: str, file: str) -> str:
    """A file's name relative to the folder of the package that a module belongs to.

    >>> within_package(__name__, __file__)
    'nbdl_reference/pages.py'
    """
    top = sys.modules.get(module.partition(".")[0])
    for folder in getattr(top, "__path__", ()):
        parent = Path(folder).parent
        if Path(file).is_relative_to(parent):
            return Path(file).relative_to(parent).as_posix()
    return Path(file).name


# -- pages --------------------------------------------------------------------------------------------------


def index(title: str, contents: Mapping[str, Mapping[str, str]]) -> str:
    """The page that leads to all others.

    Args:
        contents: by page what it is about, and the place on the page of each.
    """
    rows = (
        [f"[{page}]({page}.md)", ", ".join(f"[{code(name)}]({page}.md#{anchor})" for name, anchor in names.items())]
        for page, names in contents.items()
    )
    return f"# Reference of {prose(title)}\n\n{table(['', ''], rows)}"


def kind_page(kind: str, items: Sequence[Item], link: Place) -> str:
    """The page of a kind: a table of its units, then each of them."""
    base = BASES.get(kind)
    head = [f"# {kind.capitalize()}"]
    if base is not None:
        head.append(prose(parse_docstring(base.__doc__).summary))
    head.append(
        table(
            [singular(kind), ""],
            ([f"[{code(item.entry.name)}](#{item.entry.name.lower()})", prose(item.summary)] for item in items),
        )
    )
    common = {one.name: one for item in items for one in item.unit.arguments if one.common}
    every = f"every-{singular(kind)}"
    if common:
        head += [
            f"## Every {singular(kind)}",
            "Beside its own arguments it takes these, by keyword.",
            arguments_table(common.values()),
        ]
    sections = [part for item in items for part in section(item, every if common else "", link)]
    return "\n\n".join([*head, *sections])


def section(item: Item, every: str, link: Place) -> Iterator[str]:
    """A unit on its page, paragraph by paragraph.

    Args:
        every: where the page has the arguments that all of the kind take; "" if there are none.
    """
    unit = item.unit
    yield f"## {code(unit.name)}"
    yield prose(item.summary)
    if unit.aliases:
        yield f"Also called {', '.join(map(code, unit.aliases))}."
    yield block(wrapped(unit.signature, map(str, unit.arguments)), "python")
    if unit.formula:
        yield block(wrapped(unit.formula), "text")
    if item.plot:
        yield f"![{prose(item.plot.title)}]({item.picture})"
        if item.plot.unit != unit.name:
            yield f"Drawn for {code(item.plot.unit)}."
    own = [one for one in unit.arguments if not one.common]
    if own:
        yield arguments_table(own)
    if every and len(own) < len(unit.arguments):
        yield f"{'And' if own else 'It takes'} [what every {singular(unit.kind)} takes](#{every})."
    for note in unit.notes if item.summary == unit.summary else (unit.summary, *unit.notes):
        yield prose(note)
    for example in unit.examples:
        yield block(example, "pycon")
    yield "\n".join(f"- {line}" for line in facts(unit, link))


def arguments_table(arguments: Iterable[Argument]) -> str:
    """Arguments with defaults and texts."""
    return table(
        ["argument", "default", "meaning"],
        ([code(one.name), code(one.default) if one.default else "required", prose(one.text)] for one in arguments),
    )


def facts(unit: Description, link: Place) -> Iterator[str]:
    """What is short: errors, what the registration says, source, and where the code is."""
    if unit.returns:
        yield f"Returns {prose(unit.returns)}"
    yield from (f"Raises {code(name)}: {prose(text)}" for name, text in unit.raises)
    yield from (f"{name[:1].upper()}{name[1:]}: {prose(text)}" for name, text in unit.facts)
    if unit.source:
        yield f"Source: {prose(unit.source)}"

    def where(file: str, line: int) -> str:
        return link(within_package(unit.module, file), line)

    if unit.functions:
        yield "Code: " + ", ".join(f"{code(one.role)} in {where(one.file, one.line)}" for one in unit.functions)
    elif unit.file:
        yield f"Code: {where(unit.file, unit.line)}"
