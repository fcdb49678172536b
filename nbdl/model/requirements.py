"""Which plugins a model's file needs: written into it, and said clearly where one is missing or another version."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from typing import Any

from nbdl.errors import ConfigError, FileFormatError, warn
from nbdl.plugins import discovery
from nbdl.storage import schema
from nbdl.units.entry import SESSION, Entry, singular
from nbdl.units.registry import registry

Need = dict[str, Any]  # "distribution", "version", and "units", as "activations/relu"; older files lack the units
NEED = schema.record({"distribution": schema.text, "version": schema.text}, {"units": schema.items(schema.name)})


def needs_of(entries: Iterable[Entry]) -> list[Need]:
    """What a file says of the units that a model is made of, by distribution."""
    found: dict[str, Need] = {}
    for entry in entries:
        owner = entry.owner
        new = {"distribution": owner.distribution, "version": owner.version, "units": []}
        need = found.setdefault(owner.distribution, new)
        need["units"] = sorted({*need["units"], f"{entry.kind}/{entry.name}"})
    return [found[name] for name in sorted(found)]


def checked_needs(needs: list[Need], name: str) -> list[Need]:
    """What a file says of the units, if its names and versions can be ones of packages.

    Raises:
        FileFormatError: they cannot. They become part of commands that a user may copy.
    """
    for need in needs:
        pinned = f"{need['distribution']}=={need['version']}"
        if need["version"] and not re.fullmatch(r"[\w.-]+==[\w.+!-]+", pinned, re.ASCII):
            raise FileFormatError(
                f"{name} is damaged: expected a package's name and version among the plugins that it needs, got "
                f"{schema.shown(pinned)}"
            )
    return needs


def refuse_missing(needs: list[Need], name: str) -> None:
    """Say which units a file needs and this process lacks, and how to get them.

    A unit that somebody else offers under the same name is taken, with a warning.

    Raises:
        ConfigError: a unit is not there.
    """
    missing: list[str] = []
    not_installed: list[Need] = []
    for need in needs:
        lacking = _lacking(need, name)
        if lacking and need["version"] and not _installed(need["distribution"]):
            not_installed.append({**need, "units": lacking})
        elif lacking:
            missing.append(f"{lacking} of {_saved(need)}{remedy(need)}")
    if not_installed:
        parts = [f"{need['units']} of {_saved(need)}" for need in not_installed]
        which = "which is" if len(parts) == 1 else "which are"
        missing.append(
            f"{', '.join(parts)}, {which} not installed: pip install {' '.join(map(_pinned, not_installed))}"
        )
    if missing:
        raise ConfigError(
            f"{name} says that it needs {'; and '.join(missing)}. (Only the file says so: install or register what you "
            "trust)"
        )


def _lacking(need: Need, name: str) -> str:
    """The units of a distribution that are not there, as text."""
    lacking = []
    for unit in need.get("units", ()):
        kind, _, title = unit.partition("/")
        entry = registry.find(kind, title) if kind in registry.kinds else None
        shown = f"the {singular(kind)} {title!r}"
        if entry is None:
            lacking.append(shown)
        elif entry.owner.distribution != need["distribution"]:
            warn(f"{name} was saved with {shown} of {_saved(need)}; here it is that of {entry.owner}")
    return " and ".join(lacking)


def remedy(need: Need) -> str:
    """Why units of a distribution are not there, and what to do; begins with punctuation, or is empty."""
    distribution, pinned = need["distribution"], _pinned(need)
    broken = next((one for one in registry.broken if one.owner.distribution == distribution), None)
    switched_off = [owner for owner in registry.switched_off if owner.distribution == distribution]
    if distribution == SESSION.distribution:
        return ". The model has units of its author's own: define them and call nbdl.register(...) before loading"
    if not need["version"]:
        return f", a file: call nbdl.register(Path({distribution!r})) before loading"
    if broken is not None:
        return f", which is installed and broken: {broken.reason}. {broken.remedy}"
    if switched_off:
        return f", which is installed and switched off by {discovery.DISABLE} or {discovery.LOAD}"
    here = _installed(distribution)
    if not here:
        return f", which is not installed: pip install {pinned}"
    if here != need["version"]:
        return f"; {distribution} {here}, which is installed, has it no more: pip install {pinned}"
    return ""


def other_version(needs: list[Need], error: BaseException) -> str:
    """Which version of a plugin would read what this one's does not, or an empty string.

    Args:
        error: what came of it; `made_from`, if it has that, is the entry that refused its arguments.
    """
    entry: Entry | None = getattr(error, "made_from", None)
    hints = []
    for need in needs:
        here = _installed(need["distribution"])
        concerned = entry is None or entry.owner.distribution == need["distribution"]
        if concerned and need["version"] and here and here != need["version"]:
            hints.append(f"it was saved with {_saved(need)}; {here} is installed: pip install {_pinned(need)}")
    return "; ".join(hints)


def changed_in_place(error: BaseException) -> str:
    """What may have become of a third party's unit that refuses its arguments in a version that is the same."""
    entry: Entry | None = getattr(error, "made_from", None)
    if entry is None or entry.owner.distribution == discovery.GROUP:
        return ""
    return (
        f"Either the file is damaged, or the {singular(entry.kind)} {entry.name!r} of {entry.owner} has changed since: "
        'renamed={"old": "new"} in its registration reads older names of arguments'
    )


def _saved(need: Need) -> str:
    return " ".join(filter(None, (need["distribution"], need["version"])))


def _pinned(need: Need) -> str:
    return "==".join(filter(None, (need["distribution"], need["version"])))


def _installed(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
