"""Threads: how many may be used, and when parallel regions are safe."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nbdl.errors import ConfigError

_forked = False
_workqueue = threading.Lock()


def _in_child() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    # libgomp kills a forked child that enters a parallel region (signal 15), so a child runs serially.
    os.register_at_fork(after_in_child=_in_child)


def usable_threads(wanted: int | None = None) -> int:
    """How many threads a run uses: what is asked for, else all that affinity, cgroups and Numba allow."""
    import numba

    if _forked:
        return 1
    if wanted is None:
        given = os.environ.get("NBDL_THREADS")
        wanted = int(given) if given and given.isdigit() else available()
    if wanted < 1:
        raise ConfigError(f"threads must be at least 1, got {wanted}")
    return int(min(wanted, numba.config.NUMBA_NUM_THREADS))


def available() -> int:
    """Processors that this process may use: affinity and the cgroup's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
        if quota != "max":
            count = min(count, max(1, int(int(quota) / int(period) + 0.5)))
    except (OSError, ValueError):
        pass
    return max(1, count)


@contextmanager
def parallel_region(threads: int) -> Iterator[None]:
    """Set Numba's number of threads for this thread and restore it; `workqueue` aborts unless entered one at a time."""
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        if _layer() == "workqueue":
            with _workqueue:
                yield
        else:
            yield
    finally:
        numba.set_num_threads(before)


def _layer() -> str:
    """The threading layer; before the first parallel region it is not known, so assume the one that needs care."""
    import numba

    try:
        return str(numba.threading_layer())
    except ValueError:
        return "workqueue"
