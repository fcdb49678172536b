"""Shell completion: what an argument may be, for those with a known vocabulary.

The shell runs `nbdl` at each press of the key, with `_NBDL_COMPLETE` set. Numba is never imported then, no file of the
user's is run, and nothing is printed but the answer: what goes wrong gives none.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from nbdl.units.entry import Entry
    from nbdl.units.registry import Registry

Items: TypeAlias = "list[CompletionItem[str]]"
Completer: TypeAlias = Callable[[click.Context, click.Parameter, str], Items]

VARIABLE = "_NBDL_COMPLETE"
HEAD_LINES = 50  # of a table, to learn its columns
HEAD_CHARACTERS = 1 << 20
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/@%,~:")


def completing() -> bool:
    """Return whether the shell asks for completions."""
    return os.environ.get(VARIABLE, "").endswith("_complete")


def complete(app: click.Command) -> None:
    """Print the completions that the shell asks for; errors and warnings are not for its line."""
    from click.shell_completion import BashComplete, add_completion_class

    class Bash(BashComplete):
        """Completion for Bash, which takes a word as it is: blanks and the like are quoted here."""

        def format_completion(self, item: CompletionItem[Any]) -> str:
            import shlex

            value = item.value if PLAIN.issuperset(item.value) else shlex.quote(item.value)
            return f"{item.type},{value}"

    add_completion_class(Bash, "bash")
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere, suppress(Exception):
        sys.stderr = nowhere
        app(prog_name="nbdl")


def known_registry() -> Registry:
    """Return the registry; broken plugins are left out without a message."""
    from nbdl.units.registry import registry

    registry.load(quiet=True)
    return registry


def beginning(words: Iterable[str], incomplete: str) -> Items:
    """Return the words that begin as what was typed, in either case."""
    return [CompletionItem(word) for word in dict.fromkeys(words) if word.lower().startswith(incomplete.lower())]


def among(words: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Return a completer of words that a function of the context gives."""

    def completer(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
        try:
            return beginning(words(ctx), incomplete)
        except Exception:  # a shell's line is no place for errors
            return []

    return completer


def units(kind: str) -> Completer:
    """Return a completer of the names of a kind of unit."""
    return among(lambda ctx: known_registry().names(kind))


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Leave files to the shell."""
    return [CompletionItem(incomplete, type="file")]


def folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Leave folders to the shell."""
    return [CompletionItem(incomplete, type="dir")]


def sources(ctx: click.Context, param: click.Parameter, incomplete: str) -> Items:
    """Return datasets and files that begin so; if no dataset does, leave files to the shell."""
    try:
        found = beginning(known_registry().names("datasets"), incomplete)
        if found:
            found += [CompletionItem(name) for name in readable(incomplete)]
    except Exception:
        found = []
    return found or [CompletionItem(incomplete, type="file")]


def readable(incomplete: str) -> Iterator[str]:
    """Yield the files in this folder that begin so and have a suffix that some reader takes."""
    from nbdl.cli.source import suffixed

    readers = {suffix: entry for entry in readers_of_files() for suffix in entry.options["suffixes"]}
    for path in sorted(Path().iterdir()):
        if path.name.startswith(incomplete) and (path.is_dir() or suffixed(path.name, readers)):
            yield path.name


def readers_of_files() -> list[Entry]:
    """Return the registered readers."""
    return known_registry().entries("readers")


def column_names(ctx: click.Context) -> Iterable[str]:
    """Return the columns of the table that is to be read: of its first lines, so that a large one costs nothing."""
    from nbdl.data.source import find

    options = ctx.params
    # An option that still waits for its value keeps click from naming the arguments.
    source = str(options.get("source") or ctx.args[0])
    with Path(source).expanduser().open(encoding="utf-8-sig", newline="") as file:
        head = "".join(islice(iter(lambda: file.readline(HEAD_CHARACTERS), ""), HEAD_LINES))
    readers = {suffix: entry.target for entry in readers_of_files() for suffix in entry.options["suffixes"]}
    delimiter, header = options.get("delimiter"), options.get("header")
    typed = {"delimiter": "\t" if delimiter == "\\t" else delimiter, "header": header}
    reader = find(Path(source).name, readers, options.get("format"))
    table = reader(io.StringIO(head), **{name: value for name, value in typed.items() if value is not None})
    taken = {options.get("target"), *(options.get("ignore") or ())}
    return [name for name in getattr(table, "names", ()) if name not in taken]


def kinds(ctx: click.Context) -> Iterable[str]:
    """Return the kinds of unit."""
    from nbdl.hookspecs import KINDS

    return KINDS


def all_units(ctx: click.Context) -> Iterable[str]:
    """Return every unit: by its name, and by kind and name."""
    from nbdl.units.entry import singular

    entries = known_registry().entries()
    return [*(entry.name for entry in entries), *(f"{singular(entry.kind)}/{entry.name}" for entry in entries)]


def formats(ctx: click.Context) -> Iterable[str]:
    """Return the suffixes of the files that can be read."""
    suffixes = [suffix for entry in readers_of_files() for suffix in entry.options["suffixes"]]
    return [suffix.removeprefix(".") for suffix in suffixes if suffix != "-"]


def packages(ctx: click.Context) -> Iterable[str]:
    """Return the packages that have units."""
    return sorted({entry.owner.distribution for entry in known_registry().entries()})


def packages_and_units(ctx: click.Context) -> Iterable[str]:
    """Return what the conformance suite can be run on by name."""
    return [*packages(ctx), *all_units(ctx)]


def or_files(words: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Return a completer of words, and of files where none begins so."""
    named = among(words)
    return lambda ctx, param, incomplete: named(ctx, param, incomplete) or [CompletionItem(incomplete, type="file")]


def devices(ctx: click.Context) -> Iterable[str]:
    """Return the names of devices."""
    from nbdl.network.device import DEVICES

    return DEVICES


def checks(ctx: click.Context) -> Iterable[str]:
    """Return the names of the conformance suite's checks."""
    from nbdl.testing import suite

    return [check.name for check in suite.checks()]
