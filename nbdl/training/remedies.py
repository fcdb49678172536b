"""Remedies: what helps against values that are not finite, by where they came from and how large the data is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.network.learnable import fits
from nbdl.training.inputs import parted

if TYPE_CHECKING:
    from nbdl.engine.run import Finding
    from nbdl.network.job import Job

LARGE = 1e4  # data beyond it is mentioned in the error
DATA = ("inputs", "targets", "weights of rows or classes")  # in the order of a batch
DOMAINS = {"positive": "values above 0", "probabilities": "probabilities, values from 0 to 1"}


def remedies(job: Job, finding: Finding | None, data: Sequence[Any], first: bool) -> str:
    """Return the end of an error's text.

    Args:
        job: the network and its setup.
        finding: the first operation whose result was not finite, where the replay found it.
        data: inputs, targets and weights.
        first: whether it was the first step of all, which no learning rate has spoiled.
    """
    found = [f"scaled {name} (they go up to {size:.3g})" for name, size in sizes(job, data).items() if size > LARGE]
    origin = "" if finding is None else finding.operation.layer
    for goal in job.compiled().goals:
        domain = DOMAINS.get(str(goal.loss.predictions))
        is_nan = origin == "loss" and finding is not None and finding.value == "NaN"
        if is_nan and domain and not fits(job.network, goal):
            loss = goal.loss.unit_name
            found.insert(0, f"a last layer whose activation gives {domain}, as the loss {loss!r} expects")
            first = True  # no learning rate mends it
    if finding is not None and finding.operation.phase == "clip":
        found.append("clipvalue, since the squares that clipnorm and global_clipnorm add up are too large for float32")
    if not (first and found):
        found += ["a smaller learning rate"] if found else ["a smaller learning rate", "scaled inputs"]
    return f"Usual remedies: {', '.join(found)}"


def sizes(job: Job, data: Sequence[Any]) -> dict[str, float]:
    """Return the largest magnitudes of inputs, of targets and of weights, as far as there are any."""
    found: dict[str, float] = {}
    with np.errstate(all="ignore"):
        for name, arrays in zip(DATA, parted(job, data), strict=True):
            largest = [float(np.max(np.abs(array))) for array in arrays if array is not None and np.size(array)]
            if largest:
                found[name] = max(largest)
    return found
