"""`nbdl plugins check`: the conformance suite on units of a package, of a file, or by name."""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import click

from nbdl.cli.complete import all_units, among, checks, or_files, packages_and_units
from nbdl.cli.options import debug_option, json_option, plugin_file_option
from nbdl.cli.output import echo, echo_over
from nbdl.cli.packages import owner_of, units_of
from nbdl.cli.parameters import Command
from nbdl.cli.plugin_info import WIDTH, units_named, wrapped
from nbdl.cli.plugins import loaded
from nbdl.errors import ConfigError, PluginError, UnknownNameError, counted, did_you_mean

if TYPE_CHECKING:
    from nbdl.testing import Check, Result
    from nbdl.units.entry import Entry
    from nbdl.units.registry import Registry

SIMULATOR = "NUMBA_ENABLE_CUDASIM"
FAILED = "failed"
# What the outcomes of checks are called in lines and in tables.
SHOWN = {"passed": "ok", FAILED: "FAILED", "expected failure": "expected", "skipped": "skipped"}
SHORT = {"passed": "ok", FAILED: "F", "expected failure": "x", "skipped": "s"}


class CheckCommand(Command):
    """The command; before anything is imported it makes CUDA kernels run in the simulator where there is no GPU."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        from nbdl.engine.cuda.availability import problem

        if SIMULATOR not in os.environ and "numba" not in sys.modules and problem():
            os.environ[SIMULATOR] = "1"
        return super().make_context(info_name, args, parent, **extra)


@click.command(cls=CheckCommand, short_help="Run the conformance suite on a package, a file or a unit.")
@click.argument("subject", metavar="PACKAGE|FILE.py|UNIT", shell_complete=or_files(packages_and_units))
@click.option(
    "--unit",
    "only",
    metavar="UNIT",
    shell_complete=among(all_units),
    multiple=True,
    help="Of the package only this unit; may be repeated.",
)
@click.option(
    "--check",
    "names",
    metavar="NAME",
    shell_complete=among(checks),
    multiple=True,
    help="Only this check; may be repeated.",
)
@plugin_file_option
@json_option
@debug_option
@click.pass_context
def check(ctx: click.Context, subject: str, only: tuple[str, ...], names: tuple[str, ...], as_json: bool) -> None:
    """Run the conformance suite on all units of a package or of a file, or on one unit, and print the results.

    CUDA kernels are run in Numba's simulator where there is no GPU. Exit code 4 if a check fails, or if the
    package is broken.

    \b
    nbdl plugins check nbdl-my-swish
    nbdl plugins check my_units.py --unit cube
    nbdl plugins check activation/elu
    """
    wanted = suite(chosen(subject, only), names)
    results = []
    report = None if as_json else Report(wanted)
    for result in run(wanted):
        results.append(result)
        if report is not None:
            report.add(result)
    if report is None:
        rows = [
            {"unit": title(one.entry), "check": one.check.name, "outcome": one.outcome, "reason": one.text}
            for one in results
        ]
        echo(json.dumps(rows, indent=2))
    else:
        report.end()
    if any(one.outcome == FAILED for one in results):
        ctx.exit(4)


# -- what is checked ----------------------------------------------------------------------------------------


def chosen(subject: str, only: Sequence[str]) -> list[Entry]:
    """Return the units of a package, of a file, or of a name; of these, if any are named, only those.

    Raises:
        PluginError: The package or file is broken, or offers nothing.
        UnknownNameError: There is no such package or unit.
    """
    units = units_meant(loaded(), subject)
    if not only:
        return units
    asked = {id(entry) for name in only for entry in units_named(loaded(), name)}
    found = [entry for entry in units if id(entry) in asked]
    if not found:
        raise ConfigError(f"--unit {only[0]}: {subject} has {', '.join(entry.name for entry in units)}")
    return found


def units_meant(registry: Registry, subject: str) -> list[Entry]:
    """Return the units of a package or file, else those of a name.

    Raises:
        PluginError: The package or file is broken, or offers nothing.
        UnknownNameError: There is no such package or unit.
    """
    from importlib.metadata import PackageNotFoundError, distribution

    from nbdl.testing.packages import problem

    owner = owner_of(registry, subject)
    if owner is not None:
        return units_of(owner)
    try:
        return units_named(registry, subject)
    except UnknownNameError as error:
        try:
            distribution(subject)
        except (PackageNotFoundError, ValueError):
            near = did_you_mean(subject, [owner.distribution for owner in registry.seconds])
            raise UnknownNameError(f"no package or file {subject!r} either: {error}{near}") from None
        raise PluginError(problem(subject)) from None


def suite(units: Sequence[Entry], names: Sequence[str]) -> list[tuple[Entry, list[Check]]]:
    """Return each unit with its checks, all or those of these names.

    Raises:
        ConfigError: No check of that name applies to any of the units.
    """
    from nbdl.testing import checks_for

    found = [(entry, checks_for(entry)) for entry in units]
    known = {one.name.lower(): one.name for _, its in found for one in its}
    for name in names:
        if name.lower() not in known:
            raise ConfigError(f"no check {name!r}.{did_you_mean(name, known)} Those here: {', '.join(known.values())}")
    asked = {name.lower() for name in names}
    kept = [(entry, [one for one in its if not asked or one.name.lower() in asked]) for entry, its in found]
    return [(entry, its) for entry, its in kept if its]


# -- running ------------------------------------------------------------------------------------------------


def run(wanted: Sequence[tuple[Entry, Sequence[Check]]]) -> Iterator[Result]:
    """Run the checks one after the other; on a terminal the one that runs is shown."""
    total, number = sum(len(its) for _, its in wanted), 0
    for entry, its in wanted:
        for one in its:
            number += 1
            with shown(f"{number}/{total} {title(entry)}: {one.name}"):
                result = tried(entry, one)
            yield result


def tried(entry: Entry, one: Check) -> Result:
    """Run a check; what the unit prints or warns of meanwhile is no part of the result, and exiting is a failure."""
    from nbdl.testing.user import Result, result

    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return result(entry, one)
    except (Exception, SystemExit) as error:
        return Result(entry, one, FAILED, f"{type(error).__name__}: {error}")


def title(entry: Entry) -> str:
    """Name a unit among all kinds."""
    return f"{entry.kind}/{entry.name}"


@contextmanager
def shown(text: str) -> Iterator[None]:
    """Show a line on a terminal for as long as something takes."""
    terminal = sys.stderr.isatty()
    if terminal:
        echo_over(text)
    try:
        yield
    finally:
        if terminal:
            echo_over()


# -- the report ---------------------------------------------------------------------------------------------


class Report:
    """The results as text, a unit as soon as it is done: of one unit a line for each check, of several a table."""

    def __init__(self, wanted: Sequence[tuple[Entry, Sequence[Check]]]) -> None:
        self.checks = list(dict.fromkeys(one.name for _, its in wanted for one in its))
        self.sizes = {title(entry): len(its) for entry, its in wanted}
        self.width = max(map(len, self.sizes), default=0)
        self.results: list[Result] = []
        self.row: dict[str, str] = {}
        if len(self.sizes) > 1:
            self.head()

    def head(self) -> None:
        """Print what the columns are."""
        for number, name in enumerate(self.checks, 1):
            echo(f"{number:>3}  {name}")
        echo(f"\n{'':<{self.width}}{''.join(f'{number:>3}' for number in range(1, len(self.checks) + 1))}")

    def add(self, result: Result) -> None:
        """Print what is known by now."""
        self.results.append(result)
        if len(self.sizes) == 1:
            echo(f"{SHOWN[result.outcome]:<9} {result.check.name}")
            return
        unit = title(result.entry)
        self.row[result.check.name] = SHORT[result.outcome]
        if len(self.row) == self.sizes[unit]:
            cells = "".join(f"{self.row.get(name, '-'):>3}" for name in self.checks)
            echo(f"{unit:<{self.width}}{cells}")
            self.row = {}

    def end(self) -> None:
        """Print why something failed or was not run, and the numbers."""
        for one in self.results:
            if one.outcome != "passed":
                echo(f"\n{SHOWN[one.outcome]}: {title(one.entry)}: {one.check.name}")
                for line in one.text.split("\n"):
                    echo("\n".join(wrapped(line, WIDTH, 2, 2)))
        counts = Counter(one.outcome for one in self.results)
        numbers = ", ".join(f"{counts[outcome]} {word}" for outcome, word in SHOWN.items() if counts[outcome])
        units = counted(len(self.sizes), "unit") if len(self.sizes) != 1 else next(iter(self.sizes))
        echo(f"\n{units}: {numbers}")
