"""Weights of classes, as weights of rows; and whether a split took whole classes away."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nbdl.errors import ConfigError, DataError, warn

if TYPE_CHECKING:
    from nbdl.data.checks import Array
    from nbdl.network.job import Job
    from nbdl.units.layer import Shape

BINARY = (-1, 0, 1)  # labels of a single output
EXPECTED = 7.0  # rows of a class, by its share elsewhere: by chance there are none once in a thousand splits


def labels_of(y: Array, output_shape: Shape) -> NDArray[np.int64] | None:
    """The class of each row, or None where the targets are not one class a row.

    Args:
        y: targets, rows × columns: one-hot columns, integer labels, or 0 and 1 (or -1 and 1) for a single output.
    """
    if len(output_shape) != 1:
        return None
    if y.shape[1] > 1:
        one_class = y.min(initial=0) >= 0 and bool((np.abs(y.sum(axis=1) - 1.0) < 1e-3).all())
        return y.argmax(axis=1) if one_class else None
    column = y[:, 0]
    if output_shape[0] == 1:
        whole = bool(np.isin(column, BINARY).all())
    else:
        whole = column.dtype.kind in "iu" or bool((column == np.floor(column)).all())
    return column.astype(np.int64) if whole else None


def only_output(job: Job) -> Shape:
    """The shape of a row of the output that classes are of.

    Raises:
        ConfigError: there are several losses.
    """
    goals = job.compiled().goals
    if len(goals) > 1:
        raise ConfigError("class_weight is for a model with one loss; weigh rows by sample_weight, {output: weights}")
    return job.network.output_shapes[goals[0].output]


class ClassWeights:
    """A checked `class_weight`: {class: weight}, or "balanced".

    Raises:
        ConfigError: a class does not exist, or a weight is none.
    """

    def __init__(self, class_weight: Any, output_shape: Shape) -> None:
        self.output_shape, self.balanced = output_shape, isinstance(class_weight, str) and class_weight == "balanced"
        self.weights: dict[int, float] = {}
        if not self.balanced:
            if not isinstance(class_weight, Mapping):
                raise ConfigError(f"class_weight is a dict {{class: weight}}, or 'balanced', got {class_weight!r}")
            self.weights = {self._class(key): _weight(key, value) for key, value in class_weight.items()}

    def _class(self, key: Any) -> int:
        outputs = math.prod(self.output_shape)
        classes = BINARY if outputs == 1 else range(outputs)
        if isinstance(key, numbers.Real) and float(key) in classes:
            return int(float(key))
        known = "0 and 1 (or -1 and 1)" if outputs == 1 else f"0 to {outputs - 1}"
        raise ConfigError(f"class_weight has a weight for class {key!r}; the classes of this model are {known}")

    def balance(self, y: Array) -> None:
        """Where they are "balanced", take the weights n / (k · count) from these targets: k classes, n rows."""
        if self.balanced:
            classes, counts = np.unique(self._labels(y), return_counts=True)
            weights = len(y) / (len(classes) * counts)
            self.weights = dict(zip(classes.tolist(), weights.tolist(), strict=True))

    def factors(self, y: Array) -> NDArray[np.float32]:
        """The weight of each row of the targets; 1 for a class without one."""
        labels, factors = self._labels(y), np.ones(len(y), np.float32)
        for one, weight in self.weights.items():
            factors[labels == one] = weight
        return factors

    def _labels(self, y: Array) -> NDArray[np.int64]:
        labels = labels_of(y, self.output_shape)
        if labels is None:
            raise DataError(
                "class_weight needs one class for each row: integer labels, one-hot columns, or 0 and 1 for a single "
                "output. For other targets weigh each row: sample_weight=..."
            )
        return labels


def _weight(key: Any, value: Any) -> float:
    if not isinstance(value, numbers.Real) or not 0.0 <= float(value) < math.inf:
        raise ConfigError(f"class_weight: the weight of class {key!r} is a number of at least 0, got {value!r}")
    return float(value)


def warn_of_sorted(train: Array, validation: Array, output_shape: Shape) -> None:
    """Warn where the last rows, which validation_split takes, have other classes than those that are trained on."""
    kept, split = labels_of(train, output_shape), labels_of(validation, output_shape)
    if kept is None or split is None:
        return
    for rows, others, whose in ((kept, split, "the training rows"), (split, kept, "the validation rows")):
        classes, counts = np.unique(others, return_counts=True)
        missing = classes[(counts * (len(rows) / len(others)) > EXPECTED) & ~np.isin(classes, rows)]
        if len(missing):
            warn(
                f"validation_split takes the last rows, and {whose} have none of class {missing[0]}: the data seems to "
                "be sorted by class. Shuffle x and y together first, or use nbdl.utils.train_test_split(x, y, "
                "stratify=labels) and validation_data"
            )
            return
