"""A plugin's own package: which it is, and whether its units can be found."""

from __future__ import annotations

import tomllib
import warnings
from importlib.metadata import PackageNotFoundError
from importlib.metadata import distribution as installed
from pathlib import Path

from nbdl.plugins.discovery import DISABLE, GROUP, LOAD, STRICT, strict
from nbdl.testing.subject import Subject, check, entries
from nbdl.units.entry import Entry, Owner, normalise
from nbdl.units.registry import registry

PACKAGE = "distributions"  # the kind of the entry that stands for a whole package


def project_of(file: Path) -> str:
    """The name of the project that a file belongs to: [project] name in the nearest pyproject.toml, or ""."""
    for folder in file.resolve().parents:
        described = folder / "pyproject.toml"
        if described.is_file():
            try:
                name = tomllib.loads(described.read_text("utf-8")).get("project", {}).get("name", "")
            except (tomllib.TOMLDecodeError, UnicodeDecodeError):
                return ""
            return str(name)
    return ""


def package(distribution: str) -> Entry:
    """An entry that stands for a distribution: its one check says whether its units are found."""
    return Entry(PACKAGE, distribution or "unknown", distribution, Owner("", distribution, ""), "")


def units(distribution: str) -> list[Entry]:
    """What a distribution registers; nothing where it cannot be loaded."""
    return [] if problem(distribution) else list(entries(distribution))


def problem(distribution: str) -> str:
    """Why a distribution's units cannot be tested and what to do, or an empty string."""
    if not distribution:
        return (
            "no pyproject.toml with a [project] name lies above the test's file; name the distribution: by the ini "
            'option nbdl_distribution, by @pytest.mark.nbdl_distribution("nbdl-mine"), or as an argument'
        )
    try:
        _load()
    except (Exception, SystemExit) as error:  # raised rather than noted where NBDL_STRICT_PLUGINS=1
        return f"a plugin cannot be loaded: {type(error).__name__}: {error}"
    broken = [one for one in registry.broken if _is(one.owner, distribution)]
    if broken:
        found = ". ".join(f"{one.module} cannot be loaded: {one.reason.rstrip('.?!')}" for one in broken)
        return f"{found}. Mend it; with {STRICT}=1 there is a traceback"
    if any(_is(owner, distribution) for owner in registry.switched_off):
        return f"{distribution} is switched off by {DISABLE} or {LOAD}; unset them"
    if any(entries(distribution)):
        return ""
    try:
        points = installed(distribution).entry_points
    except PackageNotFoundError:
        return f"{distribution} is not installed in this environment: `pip install -e .` in its folder"
    if not points.select(group=GROUP):
        return (
            f"{distribution} has no entry point of the group nbdl: write [project.entry-points.nbdl] and below it "
            'mine = "its_module" into its pyproject.toml, and install it again'
        )
    return f"{distribution} registers nothing: are its register_... functions marked with @nbdl.hookimpl?"


def _load() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is broken is told by `problem`; that of others is not asked for
        registry.load()


def _is(owner: Owner, distribution: str) -> bool:
    return normalise(owner.distribution) == normalise(distribution)


@check("units are found", PACKAGE)
def units_are_found(subject: Subject) -> None:
    """The package is installed, its plugin loads, and it registers something."""
    found = problem(subject.entry.target)
    if found and strict():
        _load()  # which raises what is wrong, if that is in the plugin
    assert not found, found
