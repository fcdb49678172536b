"""`nbdl plugins docs`: the reference pages of a package's units, as nbdl's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbdl.cli.complete import or_files, packages
from nbdl.cli.options import debug_option
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command
from nbdl.cli.plugins import loaded
from nbdl.errors import ConfigError, PluginError, UnknownNameError, did_you_mean
from nbdl.storage.outputs import as_path, check_folder

if TYPE_CHECKING:
    from nbdl.units.entry import Entry, Owner

FAILED = 4  # as for anything that is wrong with a plugin


@click.command(cls=Command, short_help="Write reference pages of a package's units, with plots.")
@click.argument("package", required=False, metavar="[PACKAGE|FILE.py]", shell_complete=or_files(packages))
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    default="reference",
    show_default=True,
    help="Where to.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail if a page is stale or a docstring lacks something.")
@debug_option
@click.pass_context
def docs(ctx: click.Context, package: str | None, folder: str, check: bool) -> None:
    """Write a page for each kind of unit in PACKAGE, or in the project around the current folder: signatures,
    formulas, arguments, examples, and a plot of each scalar function and its derivative.

    Pages of the same package that are no longer needed are removed; no file of another package or of your own is
    overwritten. With --check the exit code is 4 if a page is stale, or a unit has no docstring or no formula.

    \b
    nbdl plugins docs nbdl-my-swish -o docs/reference
    nbdl plugins docs my_units.py -o reference --check
    """
    from nbdl.plugins.reference.folder import foreign, left_over, remove, stale, write
    from nbdl.plugins.reference.pages import gaps, mark, pages

    owner = chosen(package)
    entries = registered(owner)
    target, files = as_path(folder, "-o FOLDER"), pages(owner.distribution, entries)
    own = mark(owner.distribution)
    if others := foreign(target, files, own):
        raise ConfigError(
            f"{target / others[0]} was not written by this command for {owner.distribution}, so it is not overwritten: "
            "give another folder by -o, or remove it"
        )
    changed, superfluous = stale(target, files), left_over(target, files, own)
    missing = gaps(entries)
    if check:
        told = [f"{target / name} is stale" for name in changed]
        told += [f"{target / name} is of a unit that is not there" for name in superfluous]
        if told:
            told.append(f"Write them again: nbdl plugins docs {package or owner.distribution} -o {folder}")
    else:
        check_folder(target)
        write(target, {name: files[name] for name in changed})
        remove(target, superfluous)
        told = [f"wrote {target / name}" for name in changed] + [f"removed {target / name}" for name in superfluous]
        told = told or [f"{target} is up to date"]
    for line in told + missing:
        echo(line)
    if check and (told or missing):
        ctx.exit(FAILED)


def chosen(package: str | None) -> Owner:
    """Return the owner of the units: of a package, of a file, or of the project around the current folder.

    Raises:
        ConfigError: No package is given, and there is no project here.
        UnknownNameError: There is no such plugin.
    """
    from nbdl.cli.plugin_check import owner_of
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


def registered(owner: Owner) -> list[Entry]:
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
