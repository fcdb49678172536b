"""NPZ: NumPy arrays by name, inputs and targets, with or without a test part."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TextIO

from nbdl import hookimpl
from nbdl.data import Arrays, listed, path_only
from nbdl.errors import DataError
from nbdl.storage import Archive, Npz

INPUTS = ("x", "X", "data", "x_train", "X_train")
TARGETS = ("y", "Y", "target", "labels", "y_train", "Y_train")
TEST_INPUTS = ("x_test", "X_test")
TEST_TARGETS = ("y_test", "Y_test")


def read(source: Path | TextIO) -> Arrays:
    """Read inputs x (or X, data, x_train), targets y (or Y, target, labels, y_train), x_test and y_test.

    Args:
        source: A path; arrays of Python objects are refused, since reading them could run code.

    Returns:
        The arrays; targets and test part only where the file has them.

    Raises:
        DataError: Not such a file, no inputs, or two arrays that could be the same thing.
    """
    path = path_only(source, "An .npz file")
    problem = f"{path}: is not a whole .npz file. Write it with numpy.savez."
    with path.open("rb") as file:
        found = Npz(Archive(file, str(path), problem, DataError, compressed=True))
        x, *others = (pick(path, found.names, names) for names in (INPUTS, TARGETS, TEST_INPUTS, TEST_TARGETS))
        if x is None:
            raise DataError(f"{path}: has no array x. Arrays: {listed(found.names) or 'none'}.")
        y, x_test, y_test = (None if name is None else found.read(name) for name in others)
        return Arrays(str(path), found.read(x), y, x_test, y_test)


def pick(path: Path, named: Collection[str], names: tuple[str, ...]) -> str | None:
    """Return the one of `names` that the file has, or None."""
    found = [name for name in names if name in named]
    if len(found) > 1:
        raise DataError(f"{path}: {' and '.join(found)} could be the same thing. Keep one of them.")
    return found[0] if found else None


def sample(path: Path) -> None:
    """Write two rows of three numbers, and two labels."""
    import numpy as np

    np.savez(path, x=np.arange(6.0).reshape(2, 3), y=np.array([0, 1]))


@hookimpl
def register_readers(register: Callable[..., None]) -> None:
    """Offer the reader."""
    register("npz", read, suffixes=(".npz",), sample=sample)
