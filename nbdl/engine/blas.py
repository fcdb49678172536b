"""BLAS: a single-precision matrix product by its address, on one thread at a time.

Kernels read the address from the frame, so they stay in the cache, and another BLAS is another address. NumPy's own
OpenBLAS comes first: it is there already, and newer than SciPy's (products of 32 × 64 × 32: 99 against 71 GFLOP/s with
AVX2 kernels). Else SciPy's, which it exports to compiled code whatever it was built with.

OpenBLAS chooses its kernels when it is loaded; `OPENBLAS_CORETYPE`, where a machine sets it, overrides that.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbdl.errors import NbdlError

SGEMM = ("scipy_sgemm_64_", "scipy_sgemm_", "sgemm_64_")
CORE_NAME = ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename", "openblas_get_corename64_")


@dataclass(frozen=True)
class Blas:
    """Where products come from.

    Attributes:
        address: of sgemm in Fortran's convention. Sizes are passed as pointers to 64 bits, whose low half a 32-bit
            interface reads.
        source: the library's file, or the module that exports it.
        kernels: which kernels OpenBLAS chose, if it can say.
    """

    address: int
    source: str
    kernels: str


@functools.cache
def blas() -> Blas:
    """The BLAS of this process, found once.

    Raises:
        NbdlError: neither NumPy nor SciPy offers a matrix product that can be called.
    """
    return _from_numpy() or _from_scipy()


def _from_numpy() -> Blas | None:
    """The OpenBLAS of NumPy's wheel; None where NumPy was built otherwise."""
    import numpy

    folder = Path(numpy.__file__).parent.parent / "numpy.libs"
    for path in sorted(folder.glob("libscipy_openblas*")):
        try:
            library = ctypes.CDLL(str(path))  # loaded already: this only finds it
        except OSError:
            continue
        address = next((found for name in SGEMM if (found := _symbol(library, name))), None)
        if address is not None:
            return Blas(address, path.name, _kernels(library))
    return None


def _symbol(library: ctypes.CDLL, name: str) -> int | None:
    function = getattr(library, name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


def _kernels(library: ctypes.CDLL) -> str:
    for name in CORE_NAME:
        function = getattr(library, name, None)
        if function is not None:
            function.restype = ctypes.c_char_p
            return str(function().decode())
    return ""


def _from_scipy() -> Blas:
    from numba.extending import get_cython_function_address

    try:
        address = int(get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))
    except (ImportError, ValueError) as error:
        raise NbdlError(f"no BLAS can be called from compiled code ({error}); reinstall NumPy or SciPy") from error
    return Blas(address, "scipy.linalg.cython_blas", "")


@functools.cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    blas()  # the library must be there to be found
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS at one thread, and restore it: tiles are the engine's, and two pools that spin cost 80 times."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


def libraries() -> list[dict[str, Any]]:
    """What BLAS libraries are loaded: name, version, threads, architecture."""
    return [info for info in _controller().info() if info.get("user_api") == "blas"]
