"""NPY: one NumPy array, of features only or with the target as its last column."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from nbdl import hookimpl
from nbdl.data import Arrays, path_only
from nbdl.errors import DataError
from nbdl.storage import array, header, refusing


def read(source: Path | TextIO, *, last_is_target: bool = False) -> Arrays:
    """Read one array of shape (rows, ...).

    Args:
        source: A path; an array of Python objects is refused, since reading it could run code.
        last_is_target: Whether the last column of a two-dimensional array is the target. Default: no.

    Returns:
        The arrays.

    Raises:
        DataError: Not such a file, or a type or shape that cannot be used.
    """
    path = path_only(source, "An .npy file")
    problem = f"{path}: is not a whole .npy file. Write it with numpy.save."
    with path.open("rb") as file, refusing(problem, DataError):
        header(file, os.fstat(file.fileno()).st_size, str(path), DataError)
        file.seek(0)
        x = array(file)
    if not last_is_target:
        return Arrays(str(path), x)
    if x.ndim != 2 or x.shape[1] < 2:
        raise DataError(f"{path}: shape {x.shape}; a target as last column needs two dimensions and two columns.")
    return Arrays(str(path), x[:, :-1], x[:, -1])


def sample(path: Path) -> None:
    """Write two rows of three numbers."""
    import numpy as np

    np.save(path, np.arange(6.0).reshape(2, 3))


@hookimpl
def register_readers(register: Callable[..., None]) -> None:
    """Offer the reader."""
    register("npy", read, suffixes=(".npy",), sample=sample)
