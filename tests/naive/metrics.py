"""Metrics: a number of all rows of y and p."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from naive.common import EPSILON, Array
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


def sparse_top_k(y: Array, p: Array, k: int = 5) -> float:
    hits = [sum(other > row[int(label)] for other in row) < k for label, row in zip(y.reshape(-1), p, strict=True)]
    return float(np.mean(hits))


def top_k(y: Array, p: Array, k: int = 5) -> float:
    return sparse_top_k(np.array(first_largest(y)), p, k)


# -- decisions ------------------------------------------------------------------------------------------------


def confusion(
    y: Array, p: Array, threshold: float = 0.5, top_k: int | None = None, class_id: int | None = None
) -> dict[str, int]:
    """How many targets and decisions are true and positive, false and positive, ..."""
    counts = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
    for targets, predictions in zip(y, p, strict=True):
        order = sorted(range(len(predictions)), key=lambda column: (-predictions[column], column))
        for column, (target, prediction) in enumerate(zip(targets, predictions, strict=True)):
            positive = prediction > threshold and (top_k is None or column in order[:top_k])
            if class_id in (None, column):
                counts[("t" if positive == (target != 0) else "f") + ("p" if positive else "n")] += 1
    return counts


def ratio(part: float, *wholes: float) -> float:
    return part / sum(wholes) if sum(wholes) else 0.0


def precision(
    y: Array, p: Array, thresholds: float | None = None, top_k: int | None = None, class_id: int | None = None
) -> float:
    default = 0.5 if top_k is None else -math.inf
    found = confusion(y, p, default if thresholds is None else thresholds, top_k, class_id)
    return ratio(found["tp"], found["tp"], found["fp"])


def recall(
    y: Array, p: Array, thresholds: float | None = None, top_k: int | None = None, class_id: int | None = None
) -> float:
    default = 0.5 if top_k is None else -math.inf
    found = confusion(y, p, default if thresholds is None else thresholds, top_k, class_id)
    return ratio(found["tp"], found["tp"], found["fn"])


def fbeta(y: Array, p: Array, average: str | None = None, beta: float = 1.0, threshold: float | None = None) -> Any:
    positive = p > threshold if threshold is not None else (p == p.max(axis=1, keepdims=True)) & (np.abs(p) > 1e-9)
    axis = None if average == "micro" else 0
    found, decided, there = ((x * 1.0).sum(axis=axis) for x in (positive * y, positive, y))
    share, hit = found / (decided + EPSILON), found / (there + EPSILON)
    scores = (1 + beta**2) * share * hit / (beta**2 * share + hit + EPSILON)
    if average == "weighted":
        return float((scores * there).sum() / (there.sum() + EPSILON))
    return scores if average is None else float(np.mean(scores))


# -- all thresholds -------------------------------------------------------------------------------------------


def at_each_threshold(
    y: Array, p: Array, num_thresholds: int, ends: float = 0.0, class_id: int | None = None
) -> list[dict[str, int]]:
    """Decisions at 0 - ends, 1/(n - 1), 2/(n - 1), ..., 1 + ends."""
    even = np.linspace(0, 1, num_thresholds)
    return [confusion(y, np.clip(p, 0, 1), t, None, class_id) for t in (even[0] - ends, *even[1:-1], even[-1] + ends)]


def auc(
    y: Array,
    p: Array,
    num_thresholds: int = 200,
    curve: str = "ROC",
    summation_method: str = "interpolation",
    from_logits: bool = False,
) -> float:
    found = at_each_threshold(y, 1 / (1 + np.exp(-p)) if from_logits else p, num_thresholds, EPSILON)
    area = 0.0
    for a, b in itertools.pairwise(found):
        if curve == "PR" and summation_method == "interpolation":
            area += davis_goadrich(a, b)
            continue
        (x0, y0), (x1, y1) = (
            (ratio(c["fp"], c["fp"], c["tn"]), ratio(c["tp"], c["tp"], c["fn"]))
            if curve == "ROC"
            else (ratio(c["tp"], c["tp"], c["fn"]), ratio(c["tp"], c["tp"], c["fp"]))
            for c in (a, b)
        )
        height = {"interpolation": (y0 + y1) / 2, "minoring": min(y0, y1), "majoring": max(y0, y1)}[summation_method]
        area += (x0 - x1) * height
    return area


def davis_goadrich(a: dict[str, int], b: dict[str, int]) -> float:
    """∫ precision d(recall) between two thresholds, with TP linear in TP + FP: by many small steps."""
    first, last = (b["tp"], b["tp"] + b["fp"]), (a["tp"], a["tp"] + a["fp"])
    if first == last:
        return 0.0
    s = (np.arange(4000) + 0.5) / 4000
    tp, positive = (first[i] + s * (last[i] - first[i]) for i in (0, 1))
    return float((tp / positive).mean() * (last[0] - first[0]) / (a["tp"] + a["fn"])) if last[0] > first[0] else 0.0


def best(y: Array, p: Array, of: str, where: str, wanted: float, num_thresholds: int, class_id: int | None) -> float:
    shares = {"sensitivity": ("tp", "fn"), "specificity": ("tn", "fp"), "precision": ("tp", "fp")}
    found = at_each_threshold(y, p, num_thresholds, 0.0, class_id)

    def share(name: str, counts: dict[str, int]) -> float:
        first, second = shares[name]
        return ratio(counts[first], counts[first], counts[second])

    return max([share(of, counts) for counts in found if share(where, counts) >= wanted], default=0.0)


# -- regression -----------------------------------------------------------------------------------------------


def r2(y: Array, p: Array, class_aggregation: str = "uniform_average", num_regressors: int = 0) -> float:
    left, around = ((y - p) ** 2).sum(axis=0), ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    score = np.average(1 - left / around, weights=around if class_aggregation.startswith("variance") else None)
    return float(1 - (1 - score) * (y.size - 1) / (y.size - num_regressors - 1)) if num_regressors else float(score)


def cosine(y: Array, p: Array) -> float:
    norms = [np.maximum(np.sqrt((x**2).sum(axis=1)), EPSILON) for x in (y, p)]
    return float(((y * p).sum(axis=1) / norms[0] / norms[1]).mean())


METRICS = {
    "accuracy": Truth(accuracy),
    "categorical_accuracy": Truth(categorical_accuracy),
    "sparse_categorical_accuracy": Truth(sparse_accuracy),
    "binary_accuracy": Truth(binary_accuracy),
    "top_k_categorical_accuracy": Truth(top_k),
    "sparse_top_k_categorical_accuracy": Truth(sparse_top_k),
    "precision": Truth(precision),
    "recall": Truth(recall),
    "true_positives": Truth(lambda y, p, thresholds=0.5: confusion(y, p, thresholds)["tp"]),
    "true_negatives": Truth(lambda y, p, thresholds=0.5: confusion(y, p, thresholds)["tn"]),
    "false_positives": Truth(lambda y, p, thresholds=0.5: confusion(y, p, thresholds)["fp"]),
    "false_negatives": Truth(lambda y, p, thresholds=0.5: confusion(y, p, thresholds)["fn"]),
    "f1_score": Truth(lambda y, p, average=None, threshold=None: fbeta(y, p, average, 1.0, threshold)),
    "fbeta_score": Truth(fbeta),
    "auc": Truth(auc),
    "sensitivity_at_specificity": Truth(
        lambda y, p, specificity, num_thresholds=200, class_id=None: best(
            y, p, "sensitivity", "specificity", specificity, num_thresholds, class_id
        )
    ),
    "specificity_at_sensitivity": Truth(
        lambda y, p, sensitivity, num_thresholds=200, class_id=None: best(
            y, p, "specificity", "sensitivity", sensitivity, num_thresholds, class_id
        )
    ),
    "precision_at_recall": Truth(
        lambda y, p, recall, num_thresholds=200, class_id=None: best(
            y, p, "precision", "sensitivity", recall, num_thresholds, class_id
        )
    ),
    "recall_at_precision": Truth(
        lambda y, p, precision, num_thresholds=200, class_id=None: best(
            y, p, "sensitivity", "precision", precision, num_thresholds, class_id
        )
    ),
    "root_mean_squared_error": Truth(lambda y, p: float(np.sqrt(((y - p) ** 2).mean()))),
    "r2_score": Truth(r2),
    "cosine_similarity": Truth(cosine),
}
