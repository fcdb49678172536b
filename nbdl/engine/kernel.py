"""The compiler, wrapped: the only module that calls Numba's decorators, and the cache that is never stale.

A kernel is a module of generated text (see `nbdl.engine.scalar`). The text holds everything that the kernel
reaches, and its file is named by the text's digest: another text is another file, and no file is ever rewritten.
Numba's own cache, beside that file, is therefore always right, with public API alone. Without a folder that can be
trusted and written, the same text is compiled in memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import os
import stat
import sys
import tempfile
import threading
import types as python_types
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# libgomp reads this when it loads, at the first parallel region: two pools that spin without bound cost 80 times the
# work on a busy machine, and 10 000 rounds start a region as fast.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import llvmlite
import numba
from numba import cfunc, njit, types

from nbdl.errors import ConfigError
from nbdl.files import write_atomically

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
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}\n{text}".encode()).hexdigest()[:32]
    name, folder = f"nbdl_kernel_{digest}", cache_folder()
    if folder is not None:
        for attempt in (1, 2):
            try:
                return _counted(_from_file(name, _stored(folder / f"{name}.py", text)))
            except numba.core.errors.NumbaError:
                raise  # the text is at fault, not the folder
            except Exception as error:  # a damaged file can raise anything that unpickling can
                sys.modules.pop(name, None)
                if attempt == 1:
                    _discard(folder, name)
                else:
                    compiled = _counted(_from_memory(name, text))  # which raises where the text is at fault
                    warn_once(f"kernels are compiled again in each process: the cache folder {folder} failed: {error}")
                    return compiled
    return _counted(_from_memory(name, text))


def _stored(path: Path, text: str) -> Path:
    """The file that holds this text, written if it is not there or damaged."""
    if not path.exists() or path.read_bytes() != text.encode():
        write_atomically(path, text.encode())
    return path


def _discard(folder: Path, name: str) -> None:
    """Remove what is cached of a kernel."""
    cached = [path for place in _numba_folders() for path in place.glob(f"*/{name}.*")]
    for path in (folder / f"{name}.py", *(folder / "__pycache__").glob(f"{name}.*"), *cached):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _from_file(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: Numba looks the module up when it loads from the cache
    spec.loader.exec_module(module)
    return module.run


def _from_memory(name: str, text: str) -> Any:
    filename = f"<{name}>"
    module = python_types.ModuleType(name)
    sys.modules[name] = module
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    exec(compile(text, filename, "exec"), module.__dict__)
    return module.run


def _counted(compiled: Any) -> Any:
    hits = compiled.cache_hits if hasattr(compiled, "cache_hits") else sum(compiled.stats.cache_hits.values())
    if hits:
        statistics.loaded += 1
    else:
        statistics.compiled += 1
    return compiled


def address(compiled: Any) -> int:
    """Where a compiled kernel starts; `load` keeps the kernel alive for the life of the process."""
    return int(compiled.address)


# -- the cache folder -------------------------------------------------------------------------------------

_folder: list[Path | None] = []
_warned: set[str] = set()


def default_cache_folder() -> Path:
    """`$NBDL_CACHE`, else `$XDG_CACHE_HOME/nbdl`, else `~/.cache/nbdl`."""
    if given := os.environ.get("NBDL_CACHE"):
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nbdl"


def cache_folder() -> Path | None:
    """The folder of kernel modules, or None where it cannot be trusted or written."""
    if not _folder:
        _folder.append(_prepared())
    return _folder[0]


def _prepared() -> Path | None:
    """Numba's cache is pickle, so nobody else may write there."""
    folder: Path | None = None
    try:
        for folder in (*_numba_folders(), (default_cache_folder() / "kernels").absolute()):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_private(folder)
            with tempfile.NamedTemporaryFile(dir=folder):
                pass
    except (OSError, RuntimeError, ConfigError) as error:
        warn_once(f"kernels are compiled again in each process: the cache folder {folder or ''} is not used: {error}")
        return None
    return folder


def _numba_folders() -> list[Path]:
    """Where `NUMBA_CACHE_DIR` has Numba put its files instead of beside the modules."""
    return [Path(numba.config.CACHE_DIR).absolute()] if numba.config.CACHE_DIR else []


def check_private(folder: Path) -> None:
    status = folder.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o022):
        raise ConfigError(f"others own {folder} or can write to it (chmod 700 makes it private)")
    if stat.S_IMODE(status.st_mode) & 0o011:  # others reach what lies within
        for inner in folder.iterdir():
            if inner.is_dir():
                check_private(inner)


def warn_once(message: str) -> None:
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, stacklevel=3)


__all__ = [
    "address",
    "cache_folder",
    "called",
    "driver",
    "entry",
    "float32",
    "inlined",
    "kernel",
    "load",
    "parallel_driver",
    "scalar",
]
