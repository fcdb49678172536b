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


# Copies within a row: `outer` parts of a row, each of so many elements.


def join(a: Any, b: Any, outer: Any, size_a: Any, size_b: Any, y: Any) -> None:
    """Each part of y is the part of a, then that of b."""
    n, m = int(size_a[0, 0]), int(size_b[0, 0])
    for i in range(y.shape[0]):
        for o in range(int(outer[0, 0])):
            for j in range(n):
                y[i, o * (n + m) + j] = a[i, o * n + j]
            for j in range(m):
                y[i, o * (n + m) + n + j] = b[i, o * m + j]


def join_cuda(
    row: int, thread: int, threads: int, a: Any, b: Any, outer: Any, size_a: Any, size_b: Any, y: Any
) -> None:
    """The same for a GPU."""
    n, m = int(size_a[0]), int(size_b[0])
    both = n + m
    j, end, start = thread, int(outer[0]) * both, row * int(outer[0])
    while j < end:
        o = j // both
        k = j - o * both
        if k < n:
            y[start * both + j] = a[(start + o) * n + k]
        else:
            y[start * both + j] = b[(start + o) * m + k - n]
        j += threads


def part(x: Any, outer: Any, size: Any, start: Any, count: Any, y: Any) -> None:
    """Each part of y is `count` elements of the part of x, from `start` on."""
    n, first, width = int(size[0, 0]), int(start[0, 0]), int(count[0, 0])
    for i in range(y.shape[0]):
        for o in range(int(outer[0, 0])):
            for j in range(width):
                y[i, o * width + j] = x[i, o * n + first + j]


def part_cuda(
    row: int, thread: int, threads: int, x: Any, outer: Any, size: Any, start: Any, count: Any, y: Any
) -> None:
    """The same for a GPU."""
    n, first, width = int(size[0]), int(start[0]), int(count[0])
    j, end, before = thread, int(outer[0]) * width, row * int(outer[0])
    while j < end:
        o = j // width
        y[before * width + j] = x[(before + o) * n + first + j - o * width]
        j += threads


def spread(x: Any, outer: Any, size: Any, start: Any, count: Any, y: Any) -> None:
    """Each part of y is 0 but for `count` elements from `start` on, the part of x."""
    n, first, width = int(size[0, 0]), int(start[0, 0]), int(count[0, 0])
    for i in range(y.shape[0]):
        for o in range(int(outer[0, 0])):
            for j in range(n):
                y[i, o * n + j] = 0.0
            for j in range(width):
                y[i, o * n + first + j] = x[i, o * width + j]


def spread_cuda(
    row: int, thread: int, threads: int, x: Any, outer: Any, size: Any, start: Any, count: Any, y: Any
) -> None:
    """The same for a GPU."""
    n, first, width = int(size[0]), int(start[0]), int(count[0])
    j, end, before = thread, int(outer[0]) * n, row * int(outer[0])
    while j < end:
        o = j // n
        k = j - o * n - first
        y[before * n + j] = x[(before + o) * width + k] if k >= 0 and k < width else 0.0
        j += threads
