"""What is there: packages, driver, card, libraries; whether a kernel compiles with and without the NumPy shim."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import shutil
import subprocess
import sys
from typing import Any

from gpu.context import Context

PACKAGES = ("numpy", "numba", "numba-cuda", "cuda-core", "cuda-bindings", "cuda-pathfinder", "torch", "jax", "pluggy")
CARD = (
    "name", "driver_version", "memory.total", "memory.used", "clocks.sm", "clocks.max.sm", "clocks.mem",
    "temperature.gpu", "persistence_mode", "mig.mode.current",
)  # fmt: skip

# NumPy 2.5 has no row_stack, which numba-cuda wants at the import of a module; nbdl's compiler lends it one.
COMPILE = """
import sys, types
import numpy as np
if sys.argv[1] == "shim" and not hasattr(np, "row_stack"):
    np.row_stack = np.vstack
from numba import cuda, float32, int32, types as t
def add(x, n):
    i = cuda.threadIdx.x
    if i < n:
        x[i] += float32(1.0)
ptx, _ = cuda.compile(add, t.void(t.CPointer(float32), int32), device=False, abi="numba", cc=(9, 0), output="ptx")
print("compiles, PTX " + ptx.partition(".version ")[2].split()[0])
"""


def versions(context: Context) -> None:
    """All of it; nothing here can fail the check."""
    context.keep(packages=packages(), system=f"{platform.system()} {platform.release()}, {platform.machine()}")
    context.keep(card=card(), libraries=libraries())
    if not context.options.simulate:
        context.keep(compiles={how: compiles(how) for how in ("plain", "shim")})


def packages() -> dict[str, str]:
    """Versions by name; "" of what is missing."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    return found


def card(fields: tuple[str, ...] = CARD) -> dict[str, str]:
    """What nvidia-smi tells of the first card; empty where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    command = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(fields, (value.strip() for value in done.stdout.split(",")), strict=False))


def libraries() -> dict[str, str]:
    """Where libnvvm is, the version of cuBLAS, the CUDA that the driver can do; why not, where not."""
    return {"libnvvm": said(_libnvvm), "cuBLAS": said(_cublas), "driver's CUDA": said(_driver)}


def said(function: Any) -> str:
    """What it gives, or the error."""
    try:
        return str(function())
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]


def _libnvvm() -> str:
    return str(importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("nvvm").abs_path)


def _cublas() -> str:
    from nbdl.engine.cuda import cublas

    return cublas.found() or "not found"


def _driver() -> str:
    _, number = importlib.import_module("cuda.bindings.driver").cuDriverGetVersion()
    return f"{number // 1000}.{number % 1000 // 10}"


def compiles(how: str) -> str:
    """Whether numba-cuda's own `compile` works in a new process, "plain" or with the "shim"."""
    try:
        done = subprocess.run([sys.executable, "-c", COMPILE, how], capture_output=True, text=True, timeout=25)
    except subprocess.TimeoutExpired:
        return "took more than 25 s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return lines[-1] if lines else f"status {done.returncode}"
