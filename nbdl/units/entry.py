"""What the registry holds: units, who offers them, and plugins that could not be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Owner:
    """Who registered a unit: the entry point, its distribution, and that one's version.

    Units of a file without a package have the file's name as distribution, and no version.
    """

    plugin: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()

    @property
    def installed(self) -> bool:
        """Whether it is a package that pip knows, rather than a session or a file."""
        return bool(self.version)


SESSION = Owner("session", "this session", "")


@dataclass(frozen=True)
class Entry:
    """One registered unit: `target` is a class, or for data and commands a function."""

    kind: str
    name: str
    target: Any
    owner: Owner
    module: str
    aliases: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Broken:
    """A plugin module that could not be used, and why."""

    owner: Owner
    module: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"plugin {self.owner.plugin!r} of {self.owner} ({self.module}): {self.reason}. {self.remedy}"


def normalise(name: str) -> str:
    """Names are compared without case, underscores and dashes."""
    return name.lower().replace("_", "").replace("-", "")


def singular(kind: str) -> str:
    """One of a kind.

    >>> singular("losses"), singular("activations")
    ('loss', 'activation')
    """
    return {"losses": "loss"}.get(kind, kind.removesuffix("s"))
