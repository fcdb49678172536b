"""train_test_split: rows of some arrays, split in two."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, DataError
from nbdl.network.seeds import new_seed

if TYPE_CHECKING:
    import numpy as np


def train_test_split(
    *arrays: Any,
    test_size: float | int | None = None,
    train_size: float | int | None = None,
    random_state: Any = None,
    shuffle: bool = True,
    stratify: Any = None,
) -> list[Any]:
    """Each array's rows in two parts: the same rows of each, and those that scikit-learn takes for the same seed.

    Formula: of n rows ⌈test_size·n⌉ are for testing and ⌊train_size·n⌋ for training, or the rest.

    Args:
        arrays: arrays, lists, or pandas objects, of the same number of rows.
        test_size: a share of the rows, 0 < share < 1, or a number of rows. Default: what `train_size` leaves, or 0.25.
        train_size: the same for training. Default: what `test_size` leaves.
        random_state: a seed from 0 to 2**32 - 1, or a `numpy.random.RandomState`. Default: a new one, from the seed of
            `nbdl.set_random_seed` if that was called (scikit-learn: NumPy's global one).
        shuffle: else the first rows are for training and the next ones for testing. Default True.
        stratify: labels, of which both parts get the same shares. Default None.

    Returns:
        The training and the test part of each array: [x_train, x_test, y_train, y_test, ...].

    Raises:
        ConfigError: sizes are out of range, leave a part empty, or do not fit `stratify`.
        DataError: there is no array, or their lengths differ.

    Source: scikit-learn, model_selection/_split.py.

    >>> train_test_split([1, 2, 3, 4, 5], test_size=0.4, shuffle=False)
    [[1, 2, 3], [4, 5]]
    """
    lengths = [_rows(array) for array in arrays]
    if not lengths or len(set(lengths)) > 1:
        raise DataError(f"train_test_split takes arrays of one length, got {lengths or 'none'}")
    train, test = _sizes(lengths[0], test_size, train_size)
    if shuffle:
        chosen = _chosen(lengths[0], train, test, _random(random_state), stratify)
    elif stratify is not None:
        raise ConfigError("train_test_split: stratify shuffles the rows; it does not go with shuffle=False")
    else:
        chosen = range(train), range(train, train + test)
    return [_take(array, rows) for array in arrays for rows in chosen]


def _rows(array: Any) -> int:
    if isinstance(array, Mapping | Set):
        raise DataError(f"train_test_split takes arrays and lists, got a {type(array).__name__}")
    if hasattr(array, "shape"):
        return int(array.shape[0])
    if not hasattr(array, "__len__"):
        raise DataError(f"train_test_split takes arrays and lists, got {array!r}")
    return len(array)


def _take(array: Any, rows: Any) -> Any:
    """Some rows: of an array or table of its own type, else a list."""
    if hasattr(array, "iloc"):
        return array.iloc[list(rows)]
    if hasattr(array, "shape"):
        return array[rows.start : rows.stop] if isinstance(rows, range) else array[rows]
    return [array[int(row)] for row in rows]


def _sizes(rows: int, test_size: Any, train_size: Any) -> tuple[int, int]:
    """Rows for training and for testing."""
    if test_size is None and train_size is None:
        test_size = 0.25
    test = None if test_size is None else _size(rows, test_size, "test_size", math.ceil)
    train = None if train_size is None else _size(rows, train_size, "train_size", math.floor)
    if test is None:
        assert train is not None
        test = rows - train
    if train is None:
        train = rows - test
    shares = [size for size in (test_size, train_size) if isinstance(size, float)]
    if min(train, test) < 1 or train + test > rows or sum(shares) > 1.0:
        raise ConfigError(
            f"train_test_split: test_size={test_size} and train_size={train_size} of {rows} rows are {train} rows to "
            f"train on and {test} to test on"
        )
    return train, test


def _size(rows: int, size: Any, name: str, rounded: Any) -> int:
    if isinstance(size, numbers.Integral) and not isinstance(size, bool) and 0 < int(size) < rows:
        return int(size)
    if isinstance(size, numbers.Real) and not isinstance(size, numbers.Integral) and 0.0 < float(size) < 1.0:
        return int(rounded(float(size) * rows))
    raise ConfigError(f"{name} is a share, 0 < share < 1, or a number of rows below {rows}, got {size!r}")


def _random(state: Any) -> np.random.RandomState:
    import numpy as np

    if isinstance(state, np.random.RandomState):
        return state
    return np.random.RandomState(new_seed() if state is None else state)


def _chosen(rows: int, train: int, test: int, random: np.random.RandomState, labels: Any) -> tuple[Any, Any]:
    """The rows for training and those for testing."""
    import numpy as np

    if labels is None:
        order = random.permutation(rows)
        return order[test : test + train], order[:test]
    labels = np.asarray(labels)
    if len(labels) != rows:
        raise DataError(f"train_test_split: stratify has {len(labels)} labels for {rows} rows")
    if labels.ndim > 1:
        numbers_of = np.unique(labels.reshape(rows, -1), axis=0, return_inverse=True)[1].reshape(-1)
    else:
        numbers_of = np.unique(labels, return_inverse=True)[1]
    counts = np.bincount(numbers_of)
    if counts.min() < 2:
        raise ConfigError("train_test_split: stratify needs two rows of each class, and one class has a single one")
    if min(train, test) < len(counts):
        raise ConfigError(f"train_test_split: {min(train, test)} rows cannot hold each of {len(counts)} classes")
    of_class = np.split(np.argsort(numbers_of, kind="stable"), np.cumsum(counts)[:-1])
    train_counts = _apportioned(counts, train, random)
    test_counts = _apportioned(counts - train_counts, test, random)
    kept: list[Any] = []
    split: list[Any] = []
    for members, first, second in zip(of_class, train_counts, test_counts, strict=True):
        members = members[random.permutation(len(members))]
        kept.extend(members[:first])
        split.extend(members[first : first + second])
    return random.permutation(kept), random.permutation(split)


def _apportioned(counts: Any, wanted: int, random: np.random.RandomState) -> Any:
    """`wanted` shared out by these counts: rounded down, and what is left goes to the largest remainders.

    Among equal remainders chance decides.
    """
    import numpy as np

    exact = counts / counts.sum() * wanted
    shares = np.floor(exact)
    left = int(wanted - shares.sum())
    remainders = exact - shares
    for value in np.sort(np.unique(remainders))[::-1] if left > 0 else ():
        (candidates,) = np.where(remainders == value)
        candidates = random.choice(candidates, size=min(len(candidates), left), replace=False)
        shares[candidates] += 1
        left -= len(candidates)
        if left == 0:
            break
    return shares.astype(int)
