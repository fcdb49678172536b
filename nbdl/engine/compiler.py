"""The compiler, wrapped: the only module that calls Numba's decorators, and the cache that is never stale.

A kernel is a module of generated text (see `nbdl.engine.emit`). The text holds everything that the kernel
reaches, and its file is named by the text's digest: another text is another file. Numba's own cache, beside that file,
is therefore always right, with public API alone; `nbdl.engine.cache` ties it to the text. Without a folder that can
be trusted and written, the same text is compiled in memory.
"""

from __future__ import annotations

import linecache
import os
import sys
import threading
import types as python_types
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

# libgomp reads this when it loads, at the first parallel region: two pools that spin without bound cost 80 times the
# work on a busy machine, and 10 000 rounds start a region as fast.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import numba
from numba import cfunc, njit, types

from nbdl.engine import cache
from nbdl.errors import ConfigError

# Never nnan or ninf: they let LLVM delete the checks for NaN. Nor arcp: 1 / sqrt(x) would be an estimate, which is NaN
# at 0 and at infinity; without it that takes 0.12 ns rather than 0.06, and nothing else longer.
FAST_MATH = {"contract", "reassoc", "nsz", "afn"}
# error_model: a check for division by zero would block vectorisation (Adam: 7 times slower).
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": FAST_MATH}
WORD = types.int64
KERNEL = types.int64(*([WORD] * 8))
INT_TABLE, FLOAT_TABLE, WORDS = types.int64[:, ::1], types.float32[:, ::1], types.int64[::1]
DRIVER = types.int64(INT_TABLE, INT_TABLE, INT_TABLE, WORDS, INT_TABLE, FLOAT_TABLE, FLOAT_TABLE, WORDS)


def float32(value: float) -> Any:
    """A float32 constant of a kernel module."""
    import numpy as np

    return np.float32(value)


def scalar(function: Callable[..., Any]) -> Any:
    """A function that kernels call; forced inline, or loops over the larger ones do not vectorise."""
    return njit(nogil=True, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """A part of a kernel's body: put into it before LLVM sees it, which would else optimise it once more per level."""
    return njit(nogil=True, inline="always", no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)(function)


def called(function: Callable[..., Any]) -> Any:
    """A part that is compiled once and called, where several others would each take a copy of it."""
    return njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)(function)


def guarded(function: Callable[..., Any]) -> Any:
    """A part whose indices are checked: one outside of an array raises, which its kernel turns into a status."""
    return njit(nogil=True, boundscheck=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """A kernel: called by address, returns a status, never raises."""
    return cfunc(KERNEL, cache=_has_file(function), nopython=True, **OPTIONS)(function)


def driver(function: Callable[..., Any]) -> Any:
    """A driver: called from Python with the tables of a schedule."""
    return njit(DRIVER, cache=_has_file(function), nogil=True, **OPTIONS)(function)


def parallel_driver(function: Callable[..., Any]) -> Any:
    """A driver whose `prange` loops run on Numba's threads."""
    return njit(DRIVER, cache=_has_file(function), nogil=True, parallel=True, **OPTIONS)(function)


def entry(signature: str) -> Callable[..., Any]:
    """A function that Python calls with arrays, for one signature."""

    def decorate(function: Callable[..., Any]) -> Any:
        return njit(signature, cache=_has_file(function), nogil=True, **OPTIONS)(function)

    return decorate


def c_function(signature: Any, function: Callable[..., Any]) -> Any:
    """A function for callers in C that holds addresses of this process, so it is never cached."""
    return cfunc(signature, nopython=True, **OPTIONS)(function)


def _has_file(function: Callable[..., Any]) -> bool:
    return not function.__code__.co_filename.startswith("<")


@dataclass
class Statistics:
    """What this process compiled, and what it took from the cache."""

    compiled: int = 0
    loaded: int = 0


statistics = Statistics()
_lock = threading.RLock()
_modules: dict[str, Any] = {}


def _in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A fork waits for a kernel that is being compiled: in the child nobody would release this lock, nor the compiler's.
    os.register_at_fork(
        before=lambda: _lock.acquire(), after_in_parent=lambda: _lock.release(), after_in_child=_in_child
    )


def load(text: str) -> Any:
    """The compiled `run` of a kernel module's text; from memory, the cache folder, or compiled now."""
    compiled = _modules.get(text)
    if compiled is not None:
        return compiled
    with _lock:
        if text not in _modules:
            _modules[text] = _imported(text)
        return _modules[text]


def _imported(text: str) -> Any:
    name, folder = cache.kernel_name(text), cache.cache_folder()
    if folder is None:
        return _counted(_from_memory(name, text))
    entry = cache.Entry(folder, name, text)
    for attempt in (1, 2):
        try:
            compiled = _counted(entry.module().run)
            break
        except numba.core.errors.NumbaError:
            raise  # the text is at fault, not the folder
        except Exception as error:  # a damaged file can raise anything that unpickling can
            sys.modules.pop(name, None)
            if attempt == 1:
                with suppress(OSError):
                    entry.discard()
                continue
            compiled = _counted(_from_memory(name, text))  # which raises where the text is at fault
            cache.warn_once(f"kernels are compiled again in each process: the cache folder {folder} failed: {error}")
            return compiled
    if not _hits(compiled):
        with suppress(OSError, ConfigError):  # a full disk costs the next process a second, not this one its training
            entry.write_seal()
    return compiled


def _from_memory(name: str, text: str) -> Any:
    filename = f"<{name}>"
    module = python_types.ModuleType(name)
    sys.modules[name] = module
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    exec(compile(text, filename, "exec"), module.__dict__)
    return module.run


def _counted(compiled: Any) -> Any:
    if _hits(compiled):
        statistics.loaded += 1
    else:
        statistics.compiled += 1
    return compiled


def _hits(compiled: Any) -> int:
    """How often Numba took this function from its files."""
    return int(compiled.cache_hits if hasattr(compiled, "cache_hits") else sum(compiled.stats.cache_hits.values()))


def address(compiled: Any) -> int:
    """Where a compiled kernel starts; `load` keeps the kernel alive for the life of the process."""
    return int(compiled.address)


__all__ = [
    "address",
    "called",
    "driver",
    "entry",
    "float32",
    "guarded",
    "inlined",
    "kernel",
    "load",
    "parallel_driver",
    "scalar",
]
