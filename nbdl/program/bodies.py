"""Hand-written bodies that programs are made of, whatever the units; see `Recorder.kernel`."""

from __future__ import annotations

from typing import Any


def take(x: Any, columns: Any, features: Any, count: Any, y: Any) -> None:
    """y[i, j] = x[i, columns[j]]."""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = x[i, int(columns[j, 0])]


def take_cuda(row: int, thread: int, threads: int, x: Any, columns: Any, features: Any, count: Any, y: Any) -> None:
    """The same for a GPU."""
    start, end = row * int(count[0]), int(count[0])
    j = thread
    while j < end:
        y[start + j] = x[row * int(features[0]) + int(columns[j])]
        j += threads
