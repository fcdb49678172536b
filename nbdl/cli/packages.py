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


def owner_of(registry: Registry, name: str) -> Owner | None:
    """Return the owner that a package's name, a plugin's name or a file stands for; None for anything else."""
    from nbdl.units.entry import normalise

    if name.endswith(".py") or (os.sep in name and Path(name).is_file()):
        from nbdl.plugins.session import register_file

        return register_file(name)
    if Path(name).is_dir():
        from nbdl.testing.packages import project_of

        name = project_of(Path(name) / "pyproject.toml") or name
    for owner in (*registry.seconds, *registry.switched_off):
        if normalise(name) in (normalise(owner.distribution), normalise(owner.plugin)):
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
        PluginError: Part of it is broken, it is switched off, or it registers nothing.
    """
    from nbdl.testing.packages import problem

    if owner.installed and (why := problem(owner.distribution)):
        raise PluginError(why)
    found = [entry for entry in loaded().entries() if entry.owner.distribution == owner.distribution]
    if not found:
        raise PluginError(f"{owner} registers nothing: are its register_... functions marked with @nbdl.hookimpl?")
    return found
