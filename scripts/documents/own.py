"""nbdl's own units and commands, and where their code is in the repository."""

from __future__ import annotations

import posixpath
from pathlib import Path

from nbdl_reference.pages import module_place

from nbdl.cli.app import COMMANDS
from nbdl.units.entry import Entry
from nbdl.units.registry import registry

ROOT = Path(__file__).resolve().parent.parent.parent
REFERENCE = "scripts/docs/reference"
SOURCES = ("", "plugins")  # folders that packages are in


def own_entries(kind: str | None = None) -> list[Entry]:
    """The units that come with nbdl, of a kind or of all.

    Raises:
        SystemExit: some are broken.
    """
    entries = registry.entries(kind)
    broken = [one for one in registry.broken if one.owner.distribution == "nbdl"]
    if broken:
        raise SystemExit("\n".join(map(str, broken)))
    return [entry for entry in entries if entry.owner.distribution == "nbdl"]


def own_commands() -> list[Entry]:
    """nbdl's own commands, as a plugin would register them."""
    owner = own_entries()[0].owner
    return [Entry("commands", name, target, owner, target.partition(":")[0]) for name, target in COMMANDS.items()]


def in_repository(file: str, line: int) -> str:
    """A link from a reference page to a line of a file, which is named within its package."""
    for folder in SOURCES:
        path = posixpath.join(folder, file)
        if (ROOT / path).is_file():
            return f"[{path}:{line}]({posixpath.relpath(path, REFERENCE)}#L{line})"
    return module_place(file, line)
