"""What starting costs: time from process start to the end of a task, and peak memory, a fresh process each.

    python scripts/startup.py                       # medians of 5 runs
    python scripts/startup.py --runs 9 --json startup.json

- "floor" is what nbdl stands on and cannot be faster than: importing numpy, numba and scipy.linalg, nothing else.
- "first epoch" is: import, build the net 64-32-32-10, one epoch over 6 400 random rows in batches of 32, with Adam.
- Warm: the cache holds what nets of other widths left; each run has a width of its own (24, 28, ...), since a new
  architecture is what nbdl promises to start fast. Cold: an empty NBDL_CACHE each time, as on a machine where nbdl has
  never run.
- Runs go round the cases one by one, so that a disturbance hits all. Memory is the kernel's ru_maxrss of that child.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATA = """
import numpy as np
random = np.random.default_rng(0)
x = random.random((6400, 64), dtype=np.float32)
labels = random.integers(0, 10, 6400)
y = np.eye(10, dtype=np.float32)[labels]
"""

NBDL = """
from nbdl import Sequential
from nbdl.layers import Dense
model = Sequential([Dense(WIDTH, activation="relu", input_dim=64), Dense(WIDTH, activation="relu"),
                    Dense(10, activation="softmax")])
model.compile(loss="categorical_crossentropy", optimizer="adam")
model.fit(x, y, batch_size=32, verbose=0)
"""

SKLEARN = """
from sklearn.neural_network import MLPClassifier
MLPClassifier((32, 32), batch_size=32).partial_fit(x, labels, classes=np.arange(10))
"""

TORCH = """
import torch
from torch import nn
net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.Adam(net.parameters(), fused=True)
for x, y in zip(torch.from_numpy(x).split(32), torch.from_numpy(labels).split(32)):
    loss = nn.functional.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

JAX = """
import jax, jax.numpy as jnp
sizes = (64, 32, 32, 10)
w = [(jnp.asarray(random.normal(0, 0.1, s).astype(np.float32)), jnp.zeros(s[1])) for s in zip(sizes, sizes[1:])]
def loss(w, x, y):
    for k, b in w[:-1]:
        x = jax.nn.relu(x @ k + b)
    return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(x @ w[-1][0] + w[-1][1]), -1))
def step(state, batch):
    w, m, v, t = state
    value, g = jax.value_and_grad(loss)(w, *batch)
    t = t + 1.0
    m = jax.tree.map(lambda m, g: m + 0.1 * (g - m), m, g)
    v = jax.tree.map(lambda v, g: v + 0.001 * (g * g - v), v, g)
    a = 1e-3 * jnp.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t)
    w = jax.tree.map(lambda w, m, v: w - a * m / (jnp.sqrt(v) + 1e-7), w, m, v)
    return (w, m, v, t), value
zeros = jax.tree.map(jnp.zeros_like, w)
batches = x.reshape(-1, 32, 64), y.reshape(-1, 32, 10)
jax.block_until_ready(jax.jit(lambda s, b: jax.lax.scan(step, s, b))((w, zeros, zeros, 0.0), batches))
"""

KERAS = """
import os
os.environ["KERAS_BACKEND"] = "jax"
import keras
net = keras.Sequential([keras.layers.Input((64,)), keras.layers.Dense(32, activation="relu"),
                        keras.layers.Dense(32, activation="relu"), keras.layers.Dense(10, activation="softmax")])
net.compile(loss="categorical_crossentropy", optimizer="adam")
net.fit(x, y, batch_size=32, verbose=0)
"""

FLOOR = "import numpy, numba, scipy.linalg"
COMPILED = f"{FLOOR}\nnumba.njit('float64(float64)')(lambda x: x + 1.0)"


@dataclass
class Case:
    """A command, and what it took: seconds and peak bytes of every run."""

    label: str
    arguments: list[str]
    package: str = "nbdl"
    cache: str = "warm"  # "warm", "cold", or "" where there is none
    above: str = ""  # the case that this one stands on
    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


def cases() -> dict[str, Case]:
    """All cases, by name."""

    def code(text: str) -> list[str]:
        return ["-c", text]

    cold = NBDL.replace("WIDTH", "32")
    peers = {"scikit-learn": ("sklearn", SKLEARN), "PyTorch": ("torch", TORCH), "JAX": ("jax", JAX),
             "Keras on JAX": ("keras", KERAS)}  # fmt: skip
    return {
        "python": Case("Python alone", code("pass"), "sys", ""),
        "import": Case("`import nbdl`", code("import nbdl"), above="python"),
        "help": Case("`nbdl --help`", ["-m", "nbdl", "--help"], above="python"),
        "floor": Case("floor: import numpy, numba, scipy.linalg", code(FLOOR), "numba", ""),
        "compiled": Case("floor and one function compiled by Numba", code(COMPILED), "numba", "", "floor"),
        "warm": Case("**nbdl**, first epoch, warm cache", code(DATA + NBDL), above="floor"),
        "cold": Case("**nbdl**, first epoch, empty cache", code(DATA + cold), "nbdl", "cold", "floor"),
        **{name: Case(f"{name}, first epoch", code(DATA + text), package, "", "floor")
           for name, (package, text) in peers.items()},
    }  # fmt: skip


def measure(case: Case, cache: str, number: int = 0) -> None:
    """Run it once in a new process."""
    arguments = [part.replace("WIDTH", str(24 + 4 * number)) for part in case.arguments]
    environment = {**os.environ, "NBDL_CACHE": cache}
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert child.stderr is not None
    complaint = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    child.stderr.close()
    if child.returncode:
        raise RuntimeError(complaint.decode(errors="replace").strip().splitlines()[-1] if complaint else "it failed")
    case.seconds.append(seconds)
    case.memory.append(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def run(chosen: dict[str, Case], runs: int, say: Callable[[str], None]) -> None:
    """All runs, round the cases."""
    broken: set[str] = set()
    with tempfile.TemporaryDirectory() as warm:
        for name, case in chosen.items():  # fills the cache and the system's memory of files; not counted
            try:
                measure(Case("", case.arguments), warm, number=30)
            except RuntimeError as error:
                say(f"{name} is left out: {error}")
                broken.add(name)
        for number in range(runs):
            for name, case in chosen.items():
                if name in broken:
                    continue
                if case.cache == "cold":
                    with tempfile.TemporaryDirectory() as empty:
                        measure(case, empty)
                else:
                    measure(case, warm, number)
            say(f"round {number + 1} of {runs}")
    for name in broken:
        del chosen[name]


def table(chosen: dict[str, Case]) -> Iterator[str]:
    """Markdown: medians and spread; memory beside the floor's."""
    yield "| | s | min–max | above its floor | peak MB | above its floor |"
    yield "|---|---:|---:|---:|---:|---:|"
    for case in chosen.values():
        seconds, memory = statistics.median(case.seconds), statistics.median(case.memory) / 1e6
        base = chosen.get(case.above)
        more_seconds = more_memory = ""
        if base is not None:
            more_seconds = f"{seconds - statistics.median(base.seconds):+.3f}"
            more_memory = f"{memory - statistics.median(base.memory) / 1e6:+.0f}"
        span = f"{min(case.seconds):.3f}–{max(case.seconds):.3f}"
        yield f"| {case.label} | {seconds:.3f} | {span} | {more_seconds} | {memory:.0f} | {more_memory} |"


def facts(runs: int) -> dict[str, Any]:
    """Machine and versions."""
    names = ("nbdl", "numba", "llvmlite", "numpy", "scipy", "scikit-learn", "torch", "jax", "keras")
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "cores": os.cpu_count(),
        "versions": versions,
        "runs": runs,
        "load": os.getloadavg()[0],
        "openblas": {name: value for name, value in sorted(os.environ.items()) if name.startswith("OPENBLAS_")},
    }


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    known = cases()
    parser.add_argument("--only", nargs="+", choices=known, metavar="CASE", help=f"of {', '.join(known)}")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to a file")
    options = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    chosen = {}
    for name, case in known.items():
        if options.only and name not in {*options.only, case.above and "floor", "python"}:
            continue
        if importlib.util.find_spec(case.package) is None:
            say(f"{name} is left out: {case.package} is not installed")
            continue
        chosen[name] = case
    about = facts(options.runs)
    run(chosen, options.runs, say)
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    print(f"- {about['system']}, {about['cores']} cores, load average before {about['load']:.2f}\n- {versions}")
    print(f"- medians of {options.runs} runs, interleaved; {about['openblas'] or 'no OPENBLAS_ variables'}\n")
    print("\n".join(table(chosen)))
    if options.json:
        results = {name: {"seconds": case.seconds, "memory": case.memory} for name, case in chosen.items()}
        options.json.write_text(json.dumps({"facts": about, "results": results}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
