"""Helpers, under Keras's path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.errors import DataError
from nbdl.network.seeds import set_random_seed as set_random_seed
from nbdl.plugins.keras_paths import missing
from nbdl.units.keras_names import explained
from nbdl.utils.splitting import train_test_split as train_test_split

if TYPE_CHECKING:
    import numpy as np


MOST_CLASSES = 1 << 14  # of a confusion matrix: 2 GiB

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise missing(__name__, name)


def normalize(x: Any, axis: int = -1, order: int = 2) -> np.ndarray:
    """Each vector along an axis, divided by its norm; vectors of norm 0 stay.

    Formula: result = x / ‖x‖.

    Args:
        x: numbers.
        axis: along which the norm is taken.
        order: of the norm: 2 is the root of the sum of squares, 1 the sum of sizes, infinity the largest size.

    Source: Keras 3, utils/numerical_utils.py.

    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    import numpy as np

    from nbdl.data.checks import as_array

    array = as_array(x, "normalize: x")
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return np.asarray(array / np.where(norm == 0, 1, norm))


def plot_model(model: Any, to_file: Any = "model.svg") -> None:
    """Draw a model: a box for each layer, and what each is connected to.

    Formula: the same as model.export(to_file).

    Args:
        model: whose input shape is known.
        to_file: a file; its suffix names an exporter: ".svg". An earlier drawing is replaced, any other file is not.

    Source: Keras 3, utils/model_visualization.py, which needs Graphviz.
    """
    model.export(to_file)


@explained
def to_categorical(y: Any, num_classes: int | None = None, nb_classes: int | None = None) -> np.ndarray:
    """Integer labels as one-hot rows.

    Formula: result[i, j] = 1 if y[i] = j else 0.

    Args:
        y: integers from 0, of any shape; a last axis of length 1 is dropped.
        num_classes: number of columns; default the largest label plus 1. `nb_classes` is the Keras 1 spelling.

    Returns:
        float32, the shape of y and an axis of classes.

    Raises:
        ConfigError: num_classes is not an integer of at least 1.
        DataError: labels are not integers from 0 to num_classes - 1.

    Source: Keras 3, utils/numerical_utils.py.

    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    import numpy as np

    number = num_classes if num_classes is not None else nb_classes
    labels = _labels(y, "to_categorical: y")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = _classes(number, "to_categorical")
    if classes is None:
        classes = int(labels.max()) + 1 if labels.size else 0
    if labels.size and labels.max() >= classes:
        raise DataError(
            f"to_categorical: label {labels.max()} does not fit {classes} classes, which are 0 to {classes - 1}"
        )
    try:
        rows = np.zeros((labels.size, classes), np.float32)
    except (MemoryError, ValueError):
        raise DataError(f"to_categorical: {labels.size} rows of {classes} columns do not fit into memory") from None
    rows[np.arange(labels.size), labels.reshape(-1)] = 1.0
    return rows.reshape(*labels.shape, classes)


def _labels(y: Any, name: str) -> np.ndarray:
    """Integer labels from 0 of what `as_array` takes."""
    import numpy as np

    from nbdl.data.checks import as_array

    array = as_array([y] if np.isscalar(y) else y, name)
    if array.size and not ((array == np.floor(array)).all() and 0 <= array.min() <= array.max() < 1 << 53):
        raise DataError(f"{name} holds integers from 0; other labels must be numbered first")
    return array.astype(np.int64)[0] if np.isscalar(y) else array.astype(np.int64)


def _classes(number: Any, name: str) -> int | None:
    """A number of classes, checked."""
    from nbdl.data.checks import count

    return None if number is None else count(number, f"{name}: num_classes", 1, 1)


def confusion_matrix(y_true: Any, y_pred: Any, num_classes: int | None = None) -> np.ndarray:
    """How often each class was taken for each.

    Formula: result[i, j] = number of rows of class i that were predicted as class j.

    Args:
        y_true: integer labels from 0, or rows with the largest value in the class's column (one-hot, probabilities).
        y_pred: the same, e.g. what `model.predict` returned.
        num_classes: default the largest label of either plus 1, or the number of columns.

    Returns:
        int64, num_classes × num_classes: rows are the true classes, columns the predicted ones.

    Raises:
        DataError: labels are not integers from 0 to num_classes - 1, or there are not as many of both.

    Source: Keras 3, metrics/metrics_utils.py; scikit-learn, metrics/_classification.py.

    >>> confusion_matrix([0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    array([[1, 0],
           [1, 1]])
    """
    import numpy as np

    from nbdl.data.checks import as_array

    wanted = _classes(num_classes, "confusion_matrix")
    labels, widths = [], [wanted or 0]
    for name, values in (("y_true", y_true), ("y_pred", y_pred)):
        array = as_array(values, f"confusion_matrix: {name}")
        if array.ndim == 2 and array.shape[1] > 1:
            widths.append(0 if wanted else array.shape[1])
            array = array.argmax(axis=1)
        array = array.reshape(-1)
        whole = (array == np.floor(array)).all()
        if not whole or (array.size and not 0 <= array.min() <= array.max() < (wanted or MOST_CLASSES)):
            most = f" to {MOST_CLASSES - 1 if wanted is None else wanted - 1}"
            raise DataError(f"confusion_matrix: {name} holds integers from 0{most}, or a column for each class")
        labels.append(array.astype(np.int64))
        widths.append(int(array.max()) + 1 if array.size else 0)
    true, predicted = labels
    if len(true) != len(predicted):
        raise DataError(f"confusion_matrix: y_true has {len(true)} rows, y_pred {len(predicted)}")
    classes = max(widths)
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)
