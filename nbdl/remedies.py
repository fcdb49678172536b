"""Remedies: what helps against values that are not finite, by where they came from and how large the data is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.registry import registry

if TYPE_CHECKING:
    from nbdl.engine.batches import Finding

LARGE = 1e4  # data beyond it is worth a word
DATA = ("inputs", "targets", "weights of rows or classes")  # in the order of a batch
DOMAINS = {"positive": "above 0", "probabilities": "from 0 to 1"}


def remedies(loss: Any, finding: Finding | None, data: Sequence[Any], first: bool) -> str:
    """Return the end of an error's text.

    Args:
        loss: the model's loss.
        finding: the first operation whose result was not finite, where the replay found it.
        data: inputs, targets and weights.
        first: whether it was the first step of all, which no learning rate has spoiled.
    """
    found = [f"scaled {name} (they go up to {size:.3g})" for name, size in sizes(data).items() if size > LARGE]
    place = "" if finding is None else finding.operation.layer
    entry = registry.entry_of(loss)
    domain = None if entry is None else DOMAINS.get(entry.options.get("predictions", ""))
    if place == "loss" and finding is not None and finding.what == "NaN" and domain:
        found.insert(0, f"a last layer whose activation gives values {domain}, as the loss {loss.unit_name!r} expects")
    if finding is not None and finding.operation.phase == "clip":
        found.append("clipvalue, since the squares that clipnorm and global_clipnorm add up are too large for float32")
    if not (first and found):
        found += ["a smaller learning rate"] if found else ["a smaller learning rate", "scaled inputs"]
    return f"Usual remedies: {', '.join(found)}"


def sizes(data: Sequence[Any]) -> dict[str, float]:
    """Return the largest magnitude of each array that is there."""
    arrays = zip(DATA, data, strict=False)
    with np.errstate(all="ignore"):
        return {name: float(np.max(np.abs(array))) for name, array in arrays if array is not None and np.size(array)}
