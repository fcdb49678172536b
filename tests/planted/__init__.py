"""Units with a defect each, and units without: what the conformance suite must catch and what it must let pass."""

from __future__ import annotations

from nbdl.units.entry import Entry
from planted import activations, files, layers, losses, tools, training, weights
from planted.defect import Defect, named

THEMES = (activations, layers, losses, weights, training, files, tools)
HEALTHY: dict[str, Entry] = {name: entry for theme in THEMES for name, entry in theme.HEALTHY.items()}
DEFECTS: list[Defect] = [defect for theme in THEMES for defect in theme.DEFECTS]

__all__ = ["DEFECTS", "HEALTHY", "THEMES", "Defect", "named"]
