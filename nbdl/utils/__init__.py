"""Helpers, under Keras's path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.errors import DataError
from nbdl.seeding import set_random_seed as set_random_seed

if TYPE_CHECKING:
    import numpy as np


def to_categorical(y: Any, num_classes: int | None = None, nb_classes: int | None = None) -> np.ndarray:
    """Integer labels as one-hot rows.

    Formula: result[i, j] = 1 if y[i] = j else 0.

    Args:
        y: integers from 0, of any shape; a last axis of length 1 is dropped.
        num_classes: number of columns; default the largest label plus 1. `nb_classes` is the Keras 1 spelling.

    Returns:
        float32, the shape of y and an axis of classes.

    Raises:
        DataError: labels are not integers from 0 to num_classes - 1.

    Source: Keras 3, utils/numerical_utils.py.

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    import numpy as np

    labels = np.asarray(y)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if labels.size and (labels.dtype.kind not in "fiub" or (labels != np.floor(labels)).any() or labels.min() < 0):
        raise DataError("to_categorical: labels are integers from 0; class names must be numbered first")
    labels = labels.astype(np.int64)
    classes = num_classes if num_classes is not None else nb_classes
    if classes is None:
        classes = int(labels.max()) + 1 if labels.size else 0
    if labels.size and labels.max() >= classes:
        raise DataError(
            f"to_categorical: label {labels.max()} does not fit {classes} classes, which are 0 to {classes - 1}"
        )
    return np.asarray(np.eye(classes, dtype=np.float32)[labels])
