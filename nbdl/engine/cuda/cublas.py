"""Matrix products by cuBLAS, found and not required: PyTorch, a CUDA toolkit or a wheel of NVIDIA's brings it."""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
from typing import Any

from nbdl.engine.cuda.base import Product
from nbdl.engine.cuda.kernel_text import Pointer
from nbdl.errors import DeviceError, DeviceLostError

SUCCESS = 0
NORMAL, TRANSPOSED = 0, 1
FLOAT32 = 0  # CUDA_R_32F
COMPUTE_FLOAT32 = 68  # CUBLAS_COMPUTE_32F: stays float32 with CUBLAS_DEFAULT_MATH, which never picks TF32
COMPUTE_TF32 = 77  # CUBLAS_COMPUTE_32F_FAST_TF32
DEFAULT_MATH = 0
DEFAULT_ALGORITHM = -1
MAJOR, MINOR, PATCH = range(3)
WORKSPACE = 32 << 20  # what NVIDIA advises for Hopper; without an own one, each captured graph would hold another


class Cublas:
    """cuBLAS on one device.

    Args:
        library: libcublas.
        workspace: device memory of its own, at least `WORKSPACE` bytes.
    """

    def __init__(self, library: Any, workspace: Pointer) -> None:
        self.version = version(library)
        self._library, self._workspace = library, workspace
        self._one, self._zero = ctypes.c_float(1.0), ctypes.c_float(0.0)
        self._handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(self._handle))
        self._call("cublasSetMathMode", self._handle, DEFAULT_MATH)

    def product(self, product: Product, stream: int) -> None:
        """Launch a product on a stream, also one that captures.

        cuBLAS counts matrices column by column. What lies row by row as m × n lies column by column as its transpose,
        so it is asked for outᵀ = op(b)ᵀ·op(a)ᵀ, and finds bᵀ and aᵀ without any copy.

        Raises:
            DeviceError: cuBLAS refuses it, or an earlier kernel has failed: the driver knows.
        """
        a, b, out = (ctypes.c_void_p(item.block.address + item.start) for item in (product.a, product.b, product.out))
        self._call("cublasSetStream_v2", self._handle, ctypes.c_void_p(stream))
        # Setting the stream puts cuBLAS's own workspace back.
        workspace = ctypes.c_void_p(self._workspace.block.address + self._workspace.start)
        self._call("cublasSetWorkspace_v2", self._handle, workspace, ctypes.c_size_t(self._workspace.size))
        self._call(
            "cublasGemmEx",
            self._handle,
            TRANSPOSED if product.transpose_b else NORMAL,
            TRANSPOSED if product.transpose_a else NORMAL,
            product.n,
            product.m,
            product.k,
            ctypes.byref(self._one),
            b,
            FLOAT32,
            product.ldb,
            a,
            FLOAT32,
            product.lda,
            ctypes.byref(self._zero),
            out,
            FLOAT32,
            product.n,
            COMPUTE_TF32 if product.tf32 else COMPUTE_FLOAT32,
            DEFAULT_ALGORITHM,
        )

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != SUCCESS:
            raise DeviceError(
                f"cuBLAS {self.version}: {name} failed with status {status}. With NBDL_CUBLAS=0 in the environment "
                "products are nbdl's own."
            )


def start(runtime: Any) -> Cublas | None:
    """cuBLAS on a runtime's device, or None where none is found or it does not work with the driver."""
    library = _library()
    if library is None:
        return None
    try:
        return Cublas(library, Pointer(runtime.allocate(WORKSPACE), 0, WORKSPACE, "uint8"))
    except DeviceLostError:
        raise
    except DeviceError:  # products are nbdl's own then
        return None


def found() -> str:
    """The version of the cuBLAS that would be used, or an empty string. NBDL_CUBLAS=0 has none be looked for."""
    library = _library()
    return version(library) if library is not None else ""


def version(library: Any) -> str:
    """A library's version, such as "13.1.0"."""
    value, parts = ctypes.c_int(), []
    for part in (MAJOR, MINOR, PATCH):
        if library.cublasGetProperty(part, ctypes.byref(value)) != SUCCESS:
            return "of an unknown version"
        parts.append(str(value.value))
    return ".".join(parts)


def _library() -> Any | None:
    return None if os.environ.get("NBDL_CUBLAS") == "0" else _loaded()


@functools.cache
def _loaded() -> Any | None:
    try:
        pathfinder = importlib.import_module("cuda.pathfinder")
        return ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
    except (ImportError, OSError, RuntimeError):  # not found is a RuntimeError of pathfinder's
        return None
