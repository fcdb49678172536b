"""Whether "cuda" can be used here, and if not, what is missing and how to get it.

Nothing is compiled and no CUDA package is imported: packages are looked up by name, libraries by path, and the driver
is asked through its C interface. Importing this module does none of that.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import re
import sys
from contextlib import suppress
from pathlib import Path

INSTALL = "pip install 'nbdl[cuda]'"
DRIVER = "libcuda.so.1"
TOOLKITS = ("CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH")
LEAST_DRIVER = (12, 4)
LEAST_CAPABILITY = (7, 5)  # of the compilers of CUDA 13
MAJOR, MINOR = 75, 76  # attributes of cuDeviceGetAttribute
NO_DEVICE = 100
FAILURES = {
    34: f"{DRIVER} is the stub of the CUDA toolkit, not a driver; take its folder out of LD_LIBRARY_PATH",
    802: "the GPU is still being set up (CUDA error 802); wait, or start NVIDIA's fabric manager",
    803: "the driver's library and its kernel module have different versions (CUDA error 803); restart the machine",
    804: "the driver's compatibility library is not for this GPU (CUDA error 804); take it out of LD_LIBRARY_PATH",
}


def simulated() -> bool:
    """Whether kernels run in Numba's simulator, as Numba has it: NUMBA_ENABLE_CUDASIM is a number other than 0.

    Numba reads it when it is imported; what is set later does not count.
    """
    config = getattr(sys.modules.get("numba"), "config", None)
    if config is not None:
        return bool(config.ENABLE_CUDASIM)
    with suppress(ValueError):
        return int(os.environ.get("NUMBA_ENABLE_CUDASIM", "0")) != 0
    return False


def problem(number: int = 0) -> str:
    """Why "cuda" cannot be used and how to mend it, or an empty string.

    Args:
        number: of the device; "cuda:1" is 1.
    """
    if simulated():
        return "" if number == 0 else f"there is no device {number}: the simulator is one"
    return compiler_problem() or _runtime_problem() or _driver_problem(number)


def compiler_problem() -> str:
    """Why no kernel can be compiled here, or an empty string; needs no GPU."""
    if not _installed("numba_cuda"):
        return f"numba-cuda is not installed, which compiles the kernels; {INSTALL}"
    for name, purpose in (
        ("nvvm", "the back half of the CUDA compiler"),
        ("nvrtc", "which the compiler asks for GPUs"),
    ):
        if library(name) is None:
            return f"lib{name} is not found, {purpose}; {INSTALL} brings it, or set CUDA_HOME to a CUDA toolkit"
    return ""


def library(name: str) -> Path | None:
    """A library of the CUDA toolkit where the compiler looks for it: in wheels, in toolkits, where the system does."""
    folders = ["cu1?/lib", "cu1?/nvvm/lib64", "cuda_nvcc/nvvm/lib64", f"*{name.lower()}/lib"]  # of wheels
    folders += ["nvvm/lib64", "lib64", "lib"]
    candidates = [Path(folder) / "nvidia" for folder in sys.path if folder]
    candidates += [Path(os.environ[toolkit]) for toolkit in TOOLKITS if os.environ.get(toolkit)]
    candidates += [Path("/usr/local/cuda"), *sorted(Path("/usr/local").glob("cuda-*"), reverse=True)]
    for candidate in candidates:
        for folder in folders:
            for found in sorted(candidate.glob(f"{folder}/lib{name}.so*")):
                return found.resolve()
    for version in (4, 13, 12):
        with suppress(OSError):
            ctypes.CDLL(f"lib{name}.so.{version}")
            return Path(f"lib{name}.so.{version}")
    return None


def compiler_version() -> tuple[int, int] | None:
    """The CUDA version of libnvvm, the least that a driver must have for its PTX; None if it cannot be told."""
    return _version_of(library("nvvm"), "nvidia-nvvm", "nvidia-cuda-nvcc-cu12")


def _version_of(found: Path | None, *wheels: str) -> tuple[int, int] | None:
    if found is not None and ("site-packages" in found.parts or "dist-packages" in found.parts):
        for name in wheels:
            with suppress(importlib.metadata.PackageNotFoundError):
                return _version(importlib.metadata.version(name))
    return _version(str(found), r"cuda-(\d+)\.(\d+)")


def _version(text: str, expression: str = r"(\d+)\.(\d+)") -> tuple[int, int] | None:
    found = re.search(expression, text)
    return (int(found[1]), int(found[2])) if found else None


def _installed(module: str) -> bool:
    with suppress(ImportError, ValueError):  # a parent package that is missing or broken
        return importlib.util.find_spec(module) is not None
    return False


def _runtime_problem() -> str:
    for module, name in (("cuda.core", "cuda-core"), ("cuda.bindings", "cuda-bindings")):
        if not _installed(module):
            return f"{name} is not installed, which runs the kernels; {INSTALL}"
    return ""


def _driver_problem(number: int) -> str:
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return (
            f"no NVIDIA driver found ({DRIVER} is missing); install the driver of your GPU, or start the container "
            "with its GPUs (docker run --gpus all)"
        )
    if why := _too_old(driver):
        return why
    status = driver.cuInit(0)
    count = ctypes.c_int()
    if status == 0:
        status = driver.cuDeviceGetCount(ctypes.byref(count))
    if status == NO_DEVICE or (status == 0 and count.value == 0):
        return f"the NVIDIA driver is there, but no GPU{_hidden()}"
    if status != 0:
        return FAILURES.get(status, f"the NVIDIA driver does not start (CUDA error {status}); see what nvidia-smi says")
    if number >= count.value:
        return f"there is no device {number}: this machine shows {count.value}{_hidden(few=True)}"
    return _capability_problem(driver, number)


def _hidden(few: bool = False) -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return f"; CUDA_VISIBLE_DEVICES={visible!r} hides others"
    return "" if few else "; start a container with its GPUs (docker run --gpus all), and see what nvidia-smi says"


def _too_old(driver: ctypes.CDLL) -> str:
    number = ctypes.c_int()
    if driver.cuDriverGetVersion(ctypes.byref(number)) != 0:
        return ""
    has = (number.value // 1000, number.value % 1000 // 10)
    needs = max(compiler_version() or LEAST_DRIVER, LEAST_DRIVER)
    if has >= needs or (has >= LEAST_DRIVER and _linked(has, needs)):
        return ""
    old, new = ".".join(map(str, has)), ".".join(map(str, needs))
    return (
        f"the NVIDIA driver is of CUDA {old} and does not take the code of the compiler ({library('nvvm')}), of "
        f"CUDA {new}; update the driver, or pip install 'cuda-toolkit[nvvm,nvrtc]=={old}.*'"
    )


def _linked(has: tuple[int, int], needs: tuple[int, int]) -> bool:
    """Whether nvJitLink makes machine code of PTX too new for the driver, which takes that of its major version."""
    found = library("nvJitLink")
    linker = _version_of(found, "nvidia-nvjitlink", "nvidia-nvjitlink-cu12") or needs
    return found is not None and linker[0] == has[0] and linker >= needs


def _capability_problem(driver: ctypes.CDLL, number: int) -> str:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if driver.cuDeviceGet(ctypes.byref(device), number) != 0:
        return f"the NVIDIA driver does not give device {number}; see what nvidia-smi says"
    driver.cuDeviceGetAttribute(ctypes.byref(major), MAJOR, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), MINOR, device)
    if (major.value, minor.value) < LEAST_CAPABILITY:
        least = ".".join(map(str, LEAST_CAPABILITY))
        return f"device {number} has compute capability {major.value}.{minor.value}; at least {least} is needed"
    return ""
