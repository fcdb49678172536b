"""The page of commands: what click itself says of their usage and options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import cleandoc
from typing import TYPE_CHECKING

from nbdl.plugins import Argument, PluginCommand, describe, imported
from nbdl.units import Entry
from nbdl_reference.markdown import block, code, prose, table

if TYPE_CHECKING:
    import click


def command_page(every: Sequence[Entry], top: click.Command | None = None) -> str:
    """Return the page of these commands, after what the group of all commands says."""
    rows = (
        [f"[{code(f'nbdl {one.name}')}](#nbdl-{one.name.replace(' ', '-')})", prose(described(one))] for one in every
    )
    parts = ["# Commands", *(() if top is None else paragraphs(top)), table(["command", ""], rows)]
    parts += [part for entry in every for part in section(entry)]
    return "\n\n".join(parts)


def paragraphs(command: click.Command) -> Iterator[str]:
    """A command's help, paragraph by paragraph."""
    for paragraph in cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):  # click's mark for lines that stay as they are
            yield block(paragraph.removeprefix("\b").strip("\n"), "text")
        elif paragraph.strip():
            yield prose(" ".join(paragraph.split()))


def commands(entry: Entry) -> Iterator[Entry]:
    """A command, and each within it as an entry of its own.

    Raises:
        PluginError: it cannot be imported.
    """
    import click

    command = command_of(entry)
    yield Entry(entry.kind, entry.name, command, entry.owner, entry.module)
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=entry.name)
        for name in command.list_commands(context):
            within = command.get_command(context, name)
            if not isinstance(within, PluginCommand):  # which has an entry of its own
                yield from commands(Entry(entry.kind, f"{entry.name} {name}", within, entry.owner, entry.module))


def command_of(entry: Entry) -> click.Command:
    """Return the command that an entry stands for."""
    import click

    return entry.target if isinstance(entry.target, click.Command) else imported(str(entry.target))


def described(entry: Entry) -> str:
    """One line about a command."""
    return command_of(entry).get_short_help_str(limit=200)


def section(entry: Entry) -> Iterator[str]:
    """A command, paragraph by paragraph."""
    import click

    command, unit = command_of(entry), describe(entry)
    yield f"## nbdl {entry.name}"
    yield block(unit.signature, "text")
    yield from paragraphs(command)
    options = [one for one in unit.arguments if one.keyword_only]
    if options:
        yield table(
            ["option", "default", "meaning"], ([spelling(one), default(one), prose(one.text)] for one in options)
        )
    if type(command).format_epilog is not click.Command.format_epilog:
        yield f"{code(f'nbdl {entry.name} --help')} says more, which depends on the plugins that are installed."


def spelling(option: Argument) -> str:
    """An option's names, and what is to be given to it."""
    return code(option.name if option.annotation == "flag" else f"{option.name} {option.annotation}")


def default(option: Argument) -> str:
    """An option's default; one that is described in words comes in parentheses, and there may be none."""
    if option.default.startswith("("):
        return prose(option.default.strip("()"))
    return {"": "required", "none": ""}.get(option.default, code(option.default))
