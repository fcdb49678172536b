"""An array that is read a slice at a time, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np


class OnDisk:
    """As h5py's and zarr's arrays are: `np.asarray` would read everything, rows are taken in rising order."""

    chunks = None

    def __init__(self, values: Any) -> None:
        self.values, self.shape, self.dtype, self.read = values, values.shape, values.dtype, []

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> Any:
        if not isinstance(rows, slice):
            assert (np.diff(rows) > 0).all()
        found = self.values[rows]
        self.read.append(len(found))
        return found

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise AssertionError("the whole array was read")
