"""Data for losses and metrics: what targets and predictions look like.

A registration may say so by the options `predictions` and `targets`:

    "reals"                 any numbers
    "probabilities"         each in (0, 1); a row adds up to 1
    "positive"              numbers above 0
    "signs"                 -1 or 1
    "one-hot"               rows with a single 1
    "labels"                the number of a column, one per row (targets only)
    (low, high)             numbers between

Without it, losses that form a pair with an activation take probabilities (with `from_logits`: reals), and others reals;
metrics take one-hot targets and probabilities.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbdl.testing.probe import Array


def draw(kind: Any, rows: int, features: int, rng: np.random.Generator) -> Array:
    """Rows × features float32 of that description; labels are rows × 1."""
    if isinstance(kind, tuple | list):
        low, high = kind
        values = rng.uniform(low, high, (rows, features))
    elif kind == "labels":
        values = rng.integers(0, features, (rows, 1)).astype(np.float64)
    elif kind == "one-hot":
        values = np.eye(features)[rng.integers(0, features, rows)]
    elif kind == "signs":
        values = rng.choice([-1.0, 1.0], (rows, features))
    elif kind == "positive":
        values = rng.uniform(0.1, 2.0, (rows, features))
    elif kind == "probabilities":
        values = rng.uniform(0.1, 0.9, (rows, features))
        values = values / values.sum(axis=1, keepdims=True) if features > 1 else values
    else:
        values = rng.normal(0.0, 1.5, (rows, features))
    return np.ascontiguousarray(values, np.float32)


def loss_data(loss: Any, options: Any, rows: int, features: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Targets and predictions for a loss."""
    usual = "probabilities" if type(loss).pairs else "reals"
    predictions = draw("reals" if loss.from_logits else options.get("predictions", usual), rows, features, rng)
    targets = options.get("targets", usual)
    if loss.target_shape((features,)) != (features,):
        targets = "labels"
    return draw(targets, rows, features, rng), predictions


def metric_data(options: Any, rows: int, features: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Targets and predictions for a metric."""
    predictions = draw(options.get("predictions", "probabilities"), rows, features, rng)
    return draw(options.get("targets", "one-hot"), rows, features, rng), predictions
