"""`nbdl doctor`: what nbdl runs on, and whether it works."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nbdl.cli.figures import seconds
from nbdl.cli.options import SLOW, debug_option, json_option
from nbdl.cli.output import echo
from nbdl.cli.parameters import Command

PACKAGES = ("nbdl", "numpy", "numba", "llvmlite", "pluggy", "click", "rich")
VARIABLES = ("NBDL_", "NUMBA_", "OMP_", "OPENBLAS_", "MKL_", "GOMP_", "CUDA_")


@click.command(cls=Command, short_help="Versions, threads, BLAS, GPU, cache folder, and a self-test.")
@json_option
@debug_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Print what nbdl runs on and test that it works: useful in a report of a bug.

    The self-test trains a small net, with one thread and with all, and expects a falling loss and the same
    bits. Exit codes: 1 if the self-test fails, 4 if a plugin is broken.
    """
    report: dict[str, dict[str, Any]] = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name, section in SECTIONS.items():
            try:
                report[name] = section()
            except Exception as error:
                report[name] = {"failed": " ".join(f"{type(error).__name__}: {error}".split())}
    if caught:
        report["warnings"] = {str(number): str(one.message) for number, one in enumerate(caught, 1)}
    echo(json.dumps(report, indent=2) if as_json else "\n".join(lines(report)))
    if any("failed" in section for section in report.values()):
        ctx.exit(1)
    if report["plugins"]["broken"]:
        ctx.exit(4)


def lines(report: dict[str, dict[str, Any]]) -> list[str]:
    """Return the report as text: a line of its name for each section, and what is in it below."""
    text = []
    for name, section in report.items():
        text.append(name)
        text += [f"  {key:<14} {value}" for key, value in section.items()]
    return text


def versions() -> dict[str, Any]:
    """Return the versions of Python and of all packages that nbdl needs."""
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return {"python": python, **{package: installed(package) for package in PACKAGES}}


def installed(package: str) -> str:
    """Return the version of a package, or that there is none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def threads() -> dict[str, Any]:
    """Return how many threads are there and used."""
    from nbdl.engine.cpu.threads import available, usable_threads

    return {"processors": os.cpu_count(), "allowed": available(), "used": usable_threads()}


def blas() -> dict[str, Any]:
    """Return what computes matrix products, and the BLAS that NumPy brings (which nbdl does not call)."""
    import numpy as np

    from nbdl.engine.cpu.matmul import LANES

    built = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return {
        "products": f"nbdl's own kernels, vectors of {LANES} floats",
        "NumPy's, not used": " ".join(str(built.get(key, "")) for key in ("name", "version")).strip() or "unknown",
    }


def cache() -> dict[str, Any]:
    """Return the folder of compiled kernels and how full it is."""
    from nbdl.engine.cache import cache_folder, default_cache_folder

    folder = cache_folder()
    if folder is None:
        return {"folder": f"{default_cache_folder()} cannot be used: kernels are compiled again at each start"}
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    kernels = sum(path.suffix == ".nbi" for path in files)
    size = sum(path.stat().st_size for path in files)
    return {"folder": str(folder), "kernels": kernels, "size": f"{size / 1e6:.1f} MB"}


def cuda() -> dict[str, Any]:
    """Return what there is to run on an NVIDIA GPU, and what is missing for that; nothing of it is needed."""
    from nbdl.engine.cuda.availability import problem
    from nbdl.engine.executor import host_backend
    from nbdl.network.device import stand_in

    def usable() -> str:
        if host_backend() != "reference" and (why := problem()):
            return f"no: {why}"
        substitute = stand_in("cuda")
        return f"as {substitute}: {SLOW}" if substitute else "yes"

    parts: dict[str, Callable[[], str]] = {
        "usable": usable,
        "numba-cuda": lambda: installed("numba-cuda"),
        "cuda-core": lambda: installed("cuda-core"),
        "driver": driver,
        "cuBLAS": cublas,
        "PTX cache": ptx_cache,
    }
    found = {}
    for name, part in parts.items():
        try:
            found[name] = part()
        except Exception as error:
            found[name] = " ".join(f"unknown: {type(error).__name__}: {error}".split())
    return found


def driver() -> str:
    """Return the version of CUDA that the driver is of, and the cards."""
    from nbdl.engine.cuda.availability import DRIVER

    try:
        library = ctypes.CDLL(DRIVER)
    except OSError:
        return f"{DRIVER} is not found"
    version, count, cards = ctypes.c_int(), ctypes.c_int(), []
    library.cuDriverGetVersion(ctypes.byref(version))
    if library.cuInit(0) == 0:
        library.cuDeviceGetCount(ctypes.byref(count))
    for number in range(count.value):
        name, size, device = ctypes.create_string_buffer(100), ctypes.c_size_t(), ctypes.c_int()
        library.cuDeviceGet(ctypes.byref(device), number)
        library.cuDeviceGetName(name, len(name), device)
        library.cuDeviceTotalMem_v2(ctypes.byref(size), device)
        cards.append(f"{name.value.decode()}, {size.value / 2**30:.0f} GiB")
    return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}; {'; '.join(cards) or 'no card'}"


def cublas() -> str:
    """Return the version of the cuBLAS that would be used."""
    from nbdl.engine.cuda.cublas import found

    return found() or "not found: products are nbdl's own, and tf32 cannot be had"


def ptx_cache() -> str:
    """Return the folder of compiled CUDA kernels and how many there are."""
    from nbdl.engine.cuda.compiler import ptx_folder

    folder = ptx_folder()
    return f"{folder}, {len(list(folder.glob('*.ptx')))} kernels"


def plugins() -> dict[str, Any]:
    """Return how many plugins there are."""
    from nbdl.units.registry import registry

    entries = registry.entries()
    packages = sorted({str(entry.owner) for entry in entries})
    return {"units": len(entries), "from": ", ".join(packages) or "nowhere", "broken": len(registry.broken)}


def environment() -> dict[str, Any]:
    """Return the environment variables that change how nbdl runs."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)}


def self_test() -> dict[str, Any]:
    """Train a small net twice; raise if it does not learn, or if the number of threads shows in the bits."""
    from nbdl.engine.compiler import statistics
    from nbdl.engine.executor import host_backend
    from nbdl.errors import NbdlError

    began = time.perf_counter()
    first, weights = trained(threads=None)
    _, alone = trained(threads=1)
    if not first["loss"][-1] < 0.5 * first["loss"][0]:
        raise NbdlError(f"the loss does not fall: from {first['loss'][0]:.4f} to {first['loss'][-1]:.4f}")
    if weights != alone:
        raise NbdlError("one thread and all of them give different weights")
    return {
        "device": host_backend(),
        "learning": f"the loss fell from {first['loss'][0]:.4f} to {first['loss'][-1]:.4f}",
        "same bits": "with one thread and with all",
        "kernels": f"{statistics.compiled} compiled, {statistics.loaded} from the cache",
        "time": seconds(time.perf_counter() - began),
    }


def trained(threads: int | None) -> tuple[dict[str, list[float]], list[bytes]]:
    """Train a recipe's net to tell the sides of a plane; return its history and its weights' bits."""
    import numpy as np

    from nbdl import Sequential
    from nbdl.plugins.recipe import Request, choose, settle

    random = np.random.default_rng(0)
    x = random.normal(size=(256, 8)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int32)
    plan = choose("classification", None).target(Request("classification", 8, 2, 256, (), False, settle({})))
    model = Sequential(plan.layers, seed=0)
    model.compile(optimizer=plan.optimizer, loss=plan.loss, metrics=plan.metrics)
    history = model.fit(x, y, epochs=10, batch_size=16, verbose=0, threads=threads)
    return history.history, [weight.tobytes() for weight in model.get_weights()]


SECTIONS = {
    "versions": versions,
    "environment": environment,  # before the engine is imported, which sets some itself
    "threads": threads,
    "BLAS": blas,
    "CUDA": cuda,
    "cache": cache,
    "plugins": plugins,
    "self-test": self_test,
}
