"""BLAS: the address of a single-precision matrix product, and holding its own threads at one.

SciPy exports its BLAS to compiled code (`scipy.linalg.cython_blas`), and Numba has a public function that finds
the address. Kernels read it from the frame, so they stay in the cache, and another BLAS is another address.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nbdl.errors import NbdlError


@functools.cache
def sgemm_address() -> int:
    """The address of sgemm with 32-bit sizes.

    Raises:
        NbdlError: SciPy's BLAS takes other arguments than this version of nbdl knows.
    """
    import scipy.linalg.cython_blas as cython_blas
    from numba.extending import get_cython_function_address

    signature = repr(cython_blas.__pyx_capi__["sgemm"])
    if "int *" not in signature:
        raise NbdlError(f"this SciPy's BLAS has an unknown interface: {signature}; install another SciPy (>= 1.11)")
    return int(get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))


@functools.cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    sgemm_address()  # the library must be there to be found
    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS at one thread, and restore it: tiles are the engine's, and two pools that spin cost 80 times."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


def libraries() -> list[dict[str, Any]]:
    """What BLAS libraries are loaded: name, version, threads, architecture."""
    return [info for info in _controller().info() if info.get("user_api") == "blas"]
