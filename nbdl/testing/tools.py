"""Tools: commands of the command line, and templates of packages."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import PurePosixPath
from typing import Any

import click

from nbdl.plugins.commands import BUILT_IN, imported
from nbdl.testing.subject import Subject, check

# What templates call what is to be filled in: nbdl's own words (`nbdl.plugins.scaffold`), and those of others.
LEFT = re.compile(r"my_unit|my-unit|MyUnit|my_kind|THE_AUTHOR|THE_YEAR|\bTODO\b|\bFIXME\b|<your ")

# -- commands ---------------------------------------------------------------------------------------------


def _command(subject: Subject) -> click.Command:
    target = subject.entry.target
    assert isinstance(target, str), f'register "module:object", which is imported when it is called, not {target!r}'
    return imported(target)


@check("is a command", "commands")
def is_a_command(subject: Subject) -> None:
    """ "module:object" is a click command, which no command of nbdl's own hides; `--help` prints help and exits 0."""
    from click.testing import CliRunner

    name = subject.entry.name
    assert name not in BUILT_IN, f"nbdl has a command {name!r} of its own, which hides this one: call it something else"
    result = CliRunner().invoke(_command(subject), ["--help"], prog_name=f"nbdl {name}")
    said = result.output or repr(result.exception)
    assert result.exit_code == 0, f"`nbdl {name} --help` exits with {result.exit_code}: {said}"
    assert "Usage:" in result.output, f"`nbdl {name} --help` prints no usage: {result.output[:200]!r}"


@check("documented", "commands")
def commands_are_documented(subject: Subject) -> None:
    """It is registered with one line of `help`, for `nbdl --help`; its own text and each option say what they do."""
    line, command = str(subject.options.get("help", "")), _command(subject)
    assert line.strip(), 'register it with help="...", one line for `nbdl --help`'
    assert "\n" not in line, "help is one line"
    assert (command.help or "").strip(), "the command has no docstring"
    for option in (one for one in command.params if isinstance(one, click.Option)):
        assert option.help or option.hidden, f"{option.opts[-1]} has no help"


# -- templates --------------------------------------------------------------------------------------------


@check("writes a package", "templates")
def writes_a_package(subject: Subject) -> None:
    """The files are those of a whole package: a pyproject.toml with an entry point, its module, a test and a README.

    Python and TOML can be parsed, nothing is left to fill in, every path stays within the package, and asked again
    the template writes the same.
    """
    request = _request(subject.entry.name)
    files = subject.entry.target(request)
    assert files == subject.entry.target(request), "asked again, it writes other files"
    assert files, "it writes no files"
    for name, text in files.items():
        _whole(name, text)
    for wanted in ("pyproject.toml", "README.md"):
        assert wanted in files, f"there is no {wanted}"
    assert any(PurePosixPath(name).name.startswith("test_") for name in files), "there is no test"
    points = tomllib.loads(files["pyproject.toml"]).get("project", {}).get("entry-points", {}).get("nbdl", {})
    assert points, "pyproject.toml has no entry point of the group nbdl"
    for module in points.values():
        path = str(module).replace(".", "/")
        endings = (f"{path}.py", f"{path}/__init__.py")
        assert any(f"/{name}".endswith(f"/{one}") for name in files for one in endings), f"there is no module {module}"


def _request(kind: str) -> Any:
    from nbdl.plugins.scaffold import named

    return named("a_trial", kind)


def _whole(name: str, text: Any) -> None:
    """Assert that a file is text, lies within the package, and parses."""
    path = PurePosixPath(name)
    assert isinstance(text, str), f"{name} is not text"
    assert not path.is_absolute() and ".." not in path.parts, f"{name} lies outside of the package"  # noqa: PT018
    left = LEFT.search(name + "\n" + text)
    assert left is None, f"{name}: {left and left[0]!r} is left to fill in"
    try:
        if path.suffix == ".py":
            ast.parse(text)
        elif path.suffix == ".toml":
            tomllib.loads(text)
    except (SyntaxError, tomllib.TOMLDecodeError) as error:
        raise AssertionError(f"{name} cannot be parsed: {error}") from None
