"""Metrics: the figures of an evaluation in batches, the last of which is short."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from parity.cases import Array, Case, Figure, titled

ROWS, CLASSES = 1000, 5
Data = tuple[Array, Array]


def normal(seed: int, *shape: int) -> Array:
    """Normal numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def shares(scores: Array) -> Array:
    """Rows that add up to 1."""
    powers = np.exp(scores)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


SCORES = normal(1, ROWS, CLASSES)
LABELS = (SCORES + normal(2, ROWS, CLASSES)).argmax(axis=1)[:, None].astype(np.float32)
REALS = (2 * SCORES[:, :3] + normal(3, ROWS, 3), 2 * SCORES[:, :3])
POSITIVE = (np.abs(REALS[0]) + 0.5, np.abs(REALS[1]) + 0.5)
ONE_HOT = (np.eye(CLASSES, dtype=np.float32)[LABELS[:, 0].astype(int)], shares(SCORES))
SPARSE = (LABELS, shares(SCORES))
CHANCES = (1 / (1 + np.exp(-SCORES[:, :1]))).astype(np.float32)
BINARY = ((np.random.default_rng(4).uniform(size=(ROWS, 1)) < CHANCES).astype(np.float32), CHANCES)
SIGNS = (2 * BINARY[0] - 1, 2 * CHANCES - 1)
DISTRIBUTIONS = (shares(normal(5, ROWS, CLASSES)), shares(SCORES))
EQUAL = (np.round(REALS[0]), np.round(REALS[1]))

# Name, targets and predictions, settings.
METRICS: list[tuple[str, Data, list[dict[str, Any]]]] = [
    ("Accuracy", EQUAL, [{}]),
    ("BinaryAccuracy", BINARY, [{}, {"threshold": 0.7}]),
    ("CategoricalAccuracy", ONE_HOT, [{}]),
    ("SparseCategoricalAccuracy", SPARSE, [{}]),
    ("TopKCategoricalAccuracy", ONE_HOT, [{"k": 2}, {"k": 3}]),
    ("SparseTopKCategoricalAccuracy", SPARSE, [{"k": 2}]),
    ("Precision", BINARY, [{}, {"thresholds": 0.7}]),
    ("Precision", ONE_HOT, [{"class_id": 1, "thresholds": 0.3}, {"top_k": 2}]),
    ("Recall", BINARY, [{}, {"thresholds": 0.7}]),
    ("Recall", ONE_HOT, [{"class_id": 1, "thresholds": 0.3}, {"top_k": 2}]),
    ("F1Score", BINARY, [{"threshold": 0.5}, {"threshold": 0.7}]),
    ("F1Score", ONE_HOT, [{"average": "macro"}, {"average": "micro"}, {"average": "weighted", "threshold": 0.3}]),
    ("FBetaScore", ONE_HOT, [{"beta": 2.0, "average": "macro"}, {"beta": 0.5, "average": "micro", "threshold": 0.3}]),
    ("AUC", BINARY, [
        {}, {"curve": "PR"}, {"num_thresholds": 20}, {"curve": "PR", "num_thresholds": 20},
        {"num_thresholds": 20, "summation_method": "minoring"}, {"num_thresholds": 20, "summation_method": "majoring"},
    ]),
    ("AUC", ONE_HOT, [{"num_thresholds": 50}]),
    ("PrecisionAtRecall", BINARY, [{"recall": 0.4}]), ("RecallAtPrecision", BINARY, [{"precision": 0.7}]),
    ("SensitivityAtSpecificity", BINARY, [{"specificity": 0.6}]),
    ("SpecificityAtSensitivity", BINARY, [{"sensitivity": 0.6}]),
    *((name, BINARY, [{}, {"thresholds": 0.7}])
      for name in ("TruePositives", "TrueNegatives", "FalsePositives", "FalseNegatives")),
    ("R2Score", REALS, [{}, {"class_aggregation": "variance_weighted_average"}]),
    ("RootMeanSquaredError", REALS, [{}]),
    ("MeanSquaredError", REALS, [{}]), ("MeanAbsoluteError", REALS, [{}]),
    ("MeanAbsolutePercentageError", POSITIVE, [{}]), ("MeanSquaredLogarithmicError", POSITIVE, [{}]),
    ("LogCoshError", REALS, [{}]), ("CosineSimilarity", REALS, [{}]),
    ("Hinge", SIGNS, [{}]), ("SquaredHinge", SIGNS, [{}]), ("CategoricalHinge", ONE_HOT, [{}]),
    ("KLDivergence", DISTRIBUTIONS, [{}]), ("Poisson", POSITIVE, [{}]),
    ("BinaryCrossentropy", BINARY, [{}, {"label_smoothing": 0.1}]),
    ("CategoricalCrossentropy", ONE_HOT, [{}, {"label_smoothing": 0.1}]),
    ("SparseCategoricalCrossentropy", SPARSE, [{}]),
]  # fmt: skip
WORDS = [
    ("accuracy", ONE_HOT, ""), ("accuracy", BINARY, " of binary"), ("accuracy", SPARSE, " of labels"),
    ("acc", ONE_HOT, ""), ("mae", REALS, ""), ("mse", REALS, ""), ("cosine_similarity", REALS, ""),
]  # fmt: skip
EXPLAINED = {
    "Accuracy": "nbdl's Accuracy is what the word means to compile, on both sides; Keras's class of that name counts "
    "equal numbers",
}


def cases() -> Iterator[Case]:
    """Each with its settings."""
    for name, data, settings in METRICS:
        for one in settings:
            yield metric(name, one, data)
    for word, data, suffix in WORDS:
        yield named(word, data, suffix)


def metric(name: str, settings: dict[str, Any], data: Data) -> Figure:
    """A case; a metric that is a loss is the loss's unit."""
    columns = f" of {data[1].shape[1]} columns" if data is ONE_HOT else ""
    return Figure(
        titled(f"metric {name}", settings, columns),
        (f"metrics/{name}",),
        lambda side: getattr(side.metrics, name)(**settings),
        *data,
        loss=loss_for(data),
        explained=EXPLAINED.get(name, ""),
    )


def named(word: str, data: Data, suffix: str = "") -> Figure:
    """A metric by its name."""
    return Figure(f"metrics=[{word!r}]{suffix}", (f"metrics/{word}",), lambda side: word, *data, loss=loss_for(data))


def loss_for(data: Data) -> str:
    """A loss that takes such targets."""
    return "mean_squared_error" if data[0].shape == data[1].shape else "sparse_categorical_crossentropy"
