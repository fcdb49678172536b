"""What commands about plugins are called with: a package, a file, or nothing for the project that they run in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbdl.cli.complete import or_files, packages
from nbdl.cli.plugins import loaded
from nbdl.errors import ConfigError, PluginError, UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from nbdl.units.entry import Entry, Owner
    from nbdl.units.registry import Registry

package_argument = click.argument(
    "package", required=False, metavar="[PACKAGE|FILE.py]", shell_complete=or_files(packages)
)


def owner_of(registry: Registry, what: str) -> Owner | None:
    """Return the owner that a package's name, a plugin's name or a file stands for; None for anything else."""
    from nbdl.units.entry import normalise

    if what.endswith(".py") or (os.sep in what and Path(what).is_file()):
        from nbdl.plugins.session import register_file

        return register_file(what)
    if Path(what).is_dir():
        from nbdl.testing.packages import project_of

        what = project_of(Path(what) / "pyproject.toml") or what
    for owner in (*registry.seconds, *registry.switched_off):
        if normalise(what) in (normalise(owner.distribution), normalise(owner.plugin)):
            return owner
    return None


def owner_meant(package: str | None) -> Owner:
    """Return the owner of the units: of a package, of a file, or of the project around the current folder.

    Raises:
        ConfigError: No package is given, and there is no project here.
        UnknownNameError: There is no such plugin.
    """
    from nbdl.testing.packages import project_of

    name = package or project_of(Path("pyproject.toml"))
    if not name:
        raise ConfigError("there is no pyproject.toml with a [project] name here: say which package or file is meant")
    registry = loaded()
    owner = owner_of(registry, name)
    if owner is None:
        plugins = sorted({one.owner.distribution for one in registry.entries()})
        hint = did_you_mean(name, plugins) or " Is it installed? `nbdl plugins` lists those that are."
        raise UnknownNameError(f"no plugin package or file is called {name!r}.{hint}")
    return owner


def units_of(owner: Owner) -> list[Entry]:
    """Return all that a package or file registers.

    Raises:
        PluginError: Part of it is broken, it is switched off, or there is nothing.
    """
    registry = loaded()
    for broken in registry.broken:
        if broken.owner.distribution == owner.distribution:
            raise PluginError(str(broken))
    found = [entry for entry in registry.entries() if entry.owner.distribution == owner.distribution]
    if not found:
        off = "is switched off" if owner in registry.switched_off else "registers nothing"
        raise PluginError(f"{owner} {off}, so there is nothing to write about")
    return found
