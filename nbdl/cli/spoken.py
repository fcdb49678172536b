"""Messages of the library in the words of the command line: its arguments become the options of a command.

The library writes an argument as `name=value`. Where the running command has an option of that name, the option takes
its place: `header=False` is `--no-header` then, `download=True` is `--download`, `task='regression'` is
`--task regression`. This is the one place that does so; no other part of the library knows of options.
"""

from __future__ import annotations

import ast
import re
import shlex

import click

# Not in a call, as in `Dense(4, name='x')`: that is Python.
ARGUMENT = re.compile(r"(?<![\w.(\[])(?<!, )(?P<name>[a-z_]+)=(?P<value>True|False|'[^']*'|\"[^\"]*\"|\.\.\.)")
REGISTER = (
    (re.compile(r"call nbdl\.register\(Path\((?P<file>'[^']*'|\"[^\"]*\")\)\) before loading"), "add --plugin-file {}"),
    (re.compile(r"define them and call nbdl\.register\(\.\.\.\) before loading"), "add --plugin-file with their file"),
)


def in_options(text: str, command: click.Command) -> str:
    """Return a message with a command's options in place of Python's arguments.

    >>> train = click.Command("train", params=[click.Option(["--header/--no-header"]), click.Option(["--task"])])
    >>> in_options("read it with header=False, or task='regression'; Dense(4, task='x') stays", train)
    "read it with --no-header, or --task regression; Dense(4, task='x') stays"
    """
    options = {option.name: option for option in command.params if isinstance(option, click.Option)}

    def written(match: re.Match[str]) -> str:
        option = options.get(match["name"])
        return match[0] if option is None else as_option(option, match["value"]) or match[0]

    if "plugin_file" in options:
        for pattern, instead in REGISTER:
            text = pattern.sub(lambda match, instead=instead: instead.format(quoted(match)), text)  # type: ignore[misc]
    return ARGUMENT.sub(written, text)


def quoted(match: re.Match[str]) -> str:
    """Return the file that a match names, as the shell wants it."""
    file = match.groupdict().get("file")
    return "" if file is None else shlex.quote(str(ast.literal_eval(file)))


def as_option(option: click.Option, value: str) -> str:
    """Write an argument's value as an option, or return "" where the option cannot say it."""
    name = max(option.opts, key=len)
    if not option.is_flag:
        return f"{name} {option.metavar or 'VALUE'}" if value == "..." else f"{name} {shlex.quote(literal(value))}"
    if value == "True":
        return name
    return option.secondary_opts[0] if value == "False" and option.secondary_opts else ""


def literal(value: str) -> str:
    """Return the text that a literal stands for."""
    return str(ast.literal_eval(value))
