"""Threads: how many may be used, and when parallel regions are safe."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nbdl.errors import ConfigError

_forked = False
_workqueue = threading.Lock()


def _in_child() -> None:
    global _forked, _workqueue
    _forked = True
    _workqueue = threading.Lock()  # another thread may have held it


if hasattr(os, "register_at_fork"):
    # libgomp kills a forked child that enters a parallel region (signal 15), so a child runs serially.
    os.register_at_fork(after_in_child=_in_child)


def usable_threads(wanted: int | None = None) -> int:
    """How many threads a run uses: what is asked for, else all that affinity, cgroups and Numba allow."""
    import numba

    if _forked:
        return 1
    if wanted is None:
        wanted = _from_environment("NBDL_THREADS") or available()
    if wanted < 1:
        raise ConfigError(f"threads must be at least 1, got {wanted}")
    return int(min(wanted, numba.config.NUMBA_NUM_THREADS))


def check_environment() -> None:
    """Refuse numbers of threads in the environment that are none; Numba cannot even be imported with some of them.

    Raises:
        ConfigError: there is such a variable.
    """
    for name in ("NBDL_THREADS", "NUMBA_NUM_THREADS"):
        _from_environment(name)


def _from_environment(name: str) -> int | None:
    setting = os.environ.get(name)
    if not setting:
        return None
    if not setting.isdecimal() or int(setting) < 1:
        raise ConfigError(f"the environment variable {name} must be an integer of at least 1, got {setting!r}")
    return int(setting)


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


class Tuner:
    """Chooses between all threads and one while a model trains; the bits do not depend on it.

    On a busy machine a step waits for a thread that is held up in the middle of a tile. Each choice is tried, the
    faster one kept, and the other tried again from time to time, later and later while it stays behind.
    """

    FIRST_TRIES = (2, 1)  # the threads' first slice wakes them up
    PATIENCE, MOST_PATIENCE = 8, 128
    DOUBT = 1.2
    LEAST_SECONDS = 0.003  # in shorter slices it counts most how threads wake up: several are taken together

    def __init__(self, threads: int) -> None:
        self.choices = (threads, 1)
        self.tries = [0, 0]
        self.seconds = [math.inf, math.inf]
        self.best = self.trying = 0
        self.waited, self.patience = 0, self.PATIENCE
        self.spent, self.steps = 0.0, 0  # of slices that are taken together
        self.least = math.inf  # seconds of a step on all threads, at its quickest

    def next(self) -> int:
        """The number of threads for the next slice."""
        if self.steps:
            return self.choices[self.trying]
        self.trying = self.best
        for choice, wanted in enumerate(self.FIRST_TRIES):
            if self.tries[choice] < wanted:
                self.trying = choice
                break
        else:
            # One thread is no faster than it was: all of them need be doubted only where they have become slower.
            if self.waited >= self.patience and (self.best == 1 or self.seconds[0] > self.DOUBT * self.least):
                self.trying, self.waited = 1 - self.best, 0
        return self.choices[self.trying]

    def took(self, seconds: float, steps: int) -> None:
        """How long that slice took."""
        self.spent, self.steps = self.spent + seconds, self.steps + steps
        if self.spent < self.LEAST_SECONDS:
            return
        one, known = self.spent / self.steps, self.seconds[self.trying]
        self.spent, self.steps = 0.0, 0
        first = self.tries[self.trying] < self.FIRST_TRIES[self.trying]
        if first:
            self.seconds[self.trying] = min(one, known)
        elif self.trying == self.best:
            self.seconds[self.trying] = 0.5 * (known + min(one, 2.0 * known))  # one hiccup changes nothing yet
        else:
            self.seconds[self.trying] = one
        self.tries[self.trying] += 1
        self.waited += 1
        self.least = min(self.least, self.seconds[0])
        better = 0 if self.seconds[0] <= self.seconds[1] else 1
        if self.trying != self.best and not first:
            self.patience = self.PATIENCE if better != self.best else min(self.MOST_PATIENCE, 2 * self.patience)
        self.best = better


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
