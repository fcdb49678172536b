"""A kernel's text to PTX: the only module that calls a CUDA compiler, and the cache that is never stale.

The compiler is Numba's CUDA target, used for nothing else and through its public `compile`; `cuda.core` loads and
launches what it gives. PTX is kept on disk under a digest of all that it depends on, so a second process compiles
nothing, and then does not import the compiler either. PTX is text: loading a cached file runs nothing of it in this
process. One that is damaged, foreign or another kernel's does not fit the proof in its first line, and is compiled
again.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.metadata
import json
import linecache
import os
import re
import tempfile
import threading
import types
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbdl.engine.cache import default_cache_folder, warn_once
from nbdl.engine.compiler import Statistics
from nbdl.engine.cuda.availability import TOOLKITS, compiler_problem
from nbdl.engine.cuda.kernel_text import KernelText
from nbdl.errors import ConfigError
from nbdl.storage.atomic import sweep, write_own
from nbdl.storage.private import check_private, is_proved, make_private, proof, read_private

ENTRY = "run"
TOOLCHAIN = ("numba-cuda", "numba-cuda-mlir", "numba", "nvidia-nvvm", "nvidia-cuda-nvcc-cu12")
"""Distributions whose versions decide what PTX comes out."""

statistics = Statistics()
_lock = threading.RLock()


@dataclass(frozen=True)
class Ptx:
    """A compiled kernel.

    Attributes:
        entry: the name of its entry point.
        text: the PTX, a module for `cuda.core.ObjectCode.from_ptx`.
    """

    entry: str
    text: str

    @property
    def version(self) -> tuple[int, int]:
        """The version of PTX: a driver of CUDA 13.0 takes up to (9, 0), of 12.x up to (8, x)."""
        found = re.search(r"^\.version (\d+)\.(\d+)", self.text, re.MULTILINE)
        return (int(found[1]), int(found[2])) if found else (0, 0)


def compile_ptx(kernel: KernelText, cc: tuple[int, int], backend: str | None = None) -> Ptx:
    """The PTX of a kernel, from the cache folder or compiled now.

    Args:
        cc: the compute capability to compile for, (9, 0) for sm_90.
        backend: "numba-cuda" (the default) or "mlir", its successor.

    Raises:
        ConfigError: the text does not compile, or there is no compiler.
    """
    backend = backend or "numba-cuda"
    with _lock:
        path = _path(kernel, cc, backend)
        if path is not None and (ptx := _stored(path)) is not None:
            statistics.loaded += 1
            return ptx
        ptx = _compiled(kernel, cc, backend)
        statistics.compiled += 1
        if path is not None:
            with suppress(
                OSError, ConfigError
            ):  # a full disk costs the next process a second, not this one its training
                write_own(path, f"// nbdl {_proof(path, ptx.text)}\n{ptx.text}".encode())
        return ptx


# -- the cache folder -------------------------------------------------------------------------------------


def ptx_folder() -> Path:
    """Where PTX is kept; it need not be there yet."""
    return (default_cache_folder() / "ptx").absolute()


def _path(kernel: KernelText, cc: tuple[int, int], backend: str) -> Path | None:
    folder = _prepared(ptx_folder())
    if folder is None:
        return None
    depends = [kernel.text, kernel.parameters, kernel.threads, cc, backend, _toolchain()]
    return folder / f"{hashlib.sha256(json.dumps(depends).encode()).hexdigest()}.ptx"


def _prepared(folder: Path) -> Path | None:
    """The folder if nobody else can change it: what lies in it is run on the GPU."""
    try:
        check_private(_made(folder))
    except (OSError, ConfigError) as error:
        warn_once(f"CUDA kernels are compiled again in each process: the cache folder {folder} is not used: {error}")
        return None
    return folder


@functools.cache
def _made(folder: Path) -> Path:
    make_private(folder)
    with tempfile.NamedTemporaryFile(dir=folder):
        pass
    sweep(folder)
    return folder


@functools.cache
def _toolchain() -> list[str]:
    """All that PTX depends on beside the kernel, found without importing any of it."""
    versions = []
    for name in TOOLCHAIN:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{name} {importlib.metadata.version(name)}")
    toolkits = [os.environ.get(name, "") for name in TOOLKITS]
    toolkits.append(os.path.realpath("/usr/local/cuda"))
    own = [Path(__file__), Path(__file__).with_name("dialect.py")]
    return [*versions, *toolkits, *(hashlib.sha256(path.read_bytes()).hexdigest() for path in own)]


def _stored(path: Path) -> Ptx | None:
    """What a file holds, or None where there is none or it is not what was written under this name."""
    head, _, content = (read_private(path) or b"").partition(b"\n")
    seal = head.removeprefix(b"// nbdl ").decode(errors="replace")
    if not content or not is_proved(path.parent, path.name, content, seal):
        return None
    return Ptx(ENTRY, content.decode())


def _proof(path: Path, text: str) -> str:
    return proof(path.parent, path.name, text.encode())


# -- the compiler -----------------------------------------------------------------------------------------


def _compiled(kernel: KernelText, cc: tuple[int, int], backend: str) -> Ptx:
    try:
        # All warnings: they speak to who writes kernels by hand, and the filter is everybody's (`error` in tests).
        with warnings.catch_warnings(), _row_stack(), _capability(cc, backend), _flushing(backend):
            warnings.simplefilter("ignore")
            return _renamed(_compile(kernel, cc, backend))
    except Exception as error:  # a compiler's errors have no common class
        why = compiler_problem() if backend == "numba-cuda" else ""
        target = f"sm_{cc[0]}{cc[1]}"
        raise ConfigError(
            why or f"the CUDA kernel {kernel.title!r} does not compile for {target}: {type(error).__name__}: {error}"
        ) from error


def _compile(kernel: KernelText, cc: tuple[int, int], backend: str) -> str:
    from nbdl.engine.cuda import dialect

    scope = dialect.scope(backend)
    number_types = importlib.import_module("numba_cuda_mlir.types" if backend == "mlir" else "numba.types")
    filename = f"<{kernel.title} {hashlib.sha256(kernel.text.encode()).hexdigest()[:8]}>"
    linecache.cache[filename] = (len(kernel.text), None, kernel.text.splitlines(True), filename)  # for error messages
    exec(compile(kernel.text, filename, "exec"), scope)
    parameters = [_type(number_types, name) for name in kernel.parameters]
    text, _ = scope["cuda"].compile(
        scope["run"],
        number_types.void(*parameters),
        debug=False,
        lineinfo=False,
        device=False,
        fastmath=False,
        cc=cc,
        opt=True,
        abi="numba",
        output="ptx",
        launch_bounds=kernel.threads,
    )
    assert isinstance(text, str)
    return text


def _type(number_types: Any, name: str) -> Any:
    number = getattr(number_types, name.removesuffix("*"))
    return number_types.CPointer(number) if name.endswith("*") else number


def _renamed(text: str) -> Ptx:
    """The entry point by a short name, and without Numba's environments, which only its own launches use.

    Both have names with a count of what the process compiled before; the same kernel now has the same PTX.
    """
    (entry,) = re.findall(r"\.entry\s+(\w+)", text)
    text = re.sub(r"^\.common \.global .*NumbaEnv.*;\n", "", text, flags=re.MULTILINE)
    return Ptx(ENTRY, re.sub(rf"\b{entry}(?=_param_|\b)", ENTRY, text))


@contextmanager
def _row_stack() -> Iterator[None]:
    """numba-cuda's replacements of NumPy functions begin by naming `np.row_stack`, which NumPy 2.5 has no more."""
    import numpy as np

    missing = "row_stack" not in vars(np)
    if missing:
        np.row_stack = np.vstack  # type: ignore[attr-defined, unused-ignore]
    try:
        yield
    finally:
        if missing:
            del np.row_stack  # type: ignore[attr-defined, unused-ignore]


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Put a value in the place of a private name of a compiler; where the name is gone, leave it so."""
    if not hasattr(module, name):
        yield
        return
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)


def _capability(cc: tuple[int, int], backend: str) -> AbstractContextManager[None]:
    """Have device functions compiled for `cc`: for those the compiler asks the current device, and there may be none.

    Without the private name, kernels with device functions compile only where there is a GPU, and only for that one.
    """
    if backend == "mlir":
        return _replaced(importlib.import_module("numba_cuda_mlir.tools"), "_cached_cc", cc)
    module = importlib.import_module("numba.cuda.dispatcher")
    return _replaced(module, "get_current_device", lambda: types.SimpleNamespace(compute_capability=cc))


def _flushing(backend: str) -> AbstractContextManager[None]:
    """Have denormals count as zero: the compiler offers that in public only with all of fast-math.

    numba-cuda-mlir translates in C, without this option, for GPUs before compute capability 10: with it they stay.
    """
    if backend == "mlir":
        return nullcontext()
    nvvm: Any = importlib.import_module("numba.cuda.cudadrv.nvvm")
    return _replaced(nvvm, "compile_ir", functools.partial(nvvm.compile_ir, ftz=True))
