"""Metrics: a number of all rows of y and p."""

from __future__ import annotations

import numpy as np

from naive.common import Array
from nbdl.testing.truths import Truth


def first_largest(rows: Array) -> list[int]:
    """The first column that has the largest value of its row."""
    found = []
    for row in rows:
        best = 0
        for column in range(1, len(row)):
            if row[column] > row[best]:
                best = column
        found.append(best)
    return found


def categorical_accuracy(y: Array, p: Array) -> float:
    return float(np.mean([a == b for a, b in zip(first_largest(y), first_largest(p), strict=True)]))


def sparse_accuracy(y: Array, p: Array) -> float:
    return float(np.mean([int(a) == b for a, b in zip(y.reshape(-1), first_largest(p), strict=True)]))


def binary_accuracy(y: Array, p: Array, threshold: float = 0.5) -> float:
    return float(np.mean((y > threshold) == (p > threshold)))


def accuracy(y: Array, p: Array) -> float:
    if p.shape[1] == 1:
        return binary_accuracy(y, p)
    return sparse_accuracy(y, p) if y.shape[1] == 1 else categorical_accuracy(y, p)


METRICS = {
    "accuracy": Truth(accuracy),
    "categorical_accuracy": Truth(categorical_accuracy),
    "sparse_categorical_accuracy": Truth(sparse_accuracy),
    "binary_accuracy": Truth(binary_accuracy),
}
