"""Spellings: the names under which a metric may stand in a history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbdl.units.registry import registry


def spelling(name: str, figures: Mapping[str, Any]) -> str | None:
    """The name under which a figure stands there: its own, or an alias of its metric; None if it is not there."""
    there = set(figures)
    return next((one for one in (name, *_other_spellings(name)) if one in there), None)


def _other_spellings(name: str) -> list[str]:
    """The names under which the same metric may stand in a history, "val_" included."""
    prefix = "val_" if name.startswith("val_") else ""
    entry = registry.find("metrics", name.removeprefix("val_"))
    return [] if entry is None else [prefix + other for other in (entry.name, *entry.aliases)]
