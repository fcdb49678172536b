"""`nbdl plugins docs`: the reference pages of a package's units, as nbdl's own."""

from __future__ import annotations

import click

from nbdl.cli import Command, debug_option, owner_meant, package_argument, units_of
from nbdl.errors import ConfigError
from nbdl.storage import as_path, check_folder
from nbdl_reference.folder import foreign, left_over, remove, stale, write
from nbdl_reference.pages import gaps, mark, pages

FAILED = 4  # as for anything that is wrong with a plugin


@click.command(cls=Command, short_help="Write reference pages of a package's units, with plots.")
@package_argument
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
    owner = owner_meant(package)
    entries = units_of(owner)
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
        click.echo(line)
    if check and (told or missing):
        ctx.exit(FAILED)
