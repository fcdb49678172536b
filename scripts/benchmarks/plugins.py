"""What a unit costs that comes from a third party: the same four units as nbdl's own, under other names.

A layer, an activation, a loss and an optimizer are copied from nbdl into a package of their own, in a folder that is
gone afterwards. The same net is then trained with the one and the other, in turns, in one process; both must end with
the same bits. And the time to load the registry, with no such package, one and ten, in fresh processes.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import machine

UNITS = {"layers": "Dense", "activations": "elu", "losses": "huber", "optimizers": "Adam"}
NETS = {
    "64-64-64-10, batch 32": ((64, 64, 64, 10), 32, 3200),
    "784-512-512-10, batch 128": ((784, 512, 512, 10), 128, 2560),
}
COUNTS = (0, 1, 10)
MOST_LOADS = 21  # rounds of fresh processes, however many there are of steps


def report(seconds: float, rounds: int) -> Iterator[str]:
    """Markdown tables: step times, then loading."""
    with tempfile.TemporaryDirectory() as folder:
        sites = {count: packages(Path(folder) / str(count), count) for count in COUNTS}
        names = ", ".join(UNITS.values())
        yield f"{names} of nbdl, and copies of them in a third party's package; one thread; {machine.processor()}."
        yield f"In turns, {rounds} rounds of {seconds:g} s; load average before: {machine.load():.2f}."
        yield "Ratios are of the two turns of a round.\n"
        yield "| net | nbdl's own, µs a step | min–max | third party's, µs a step | min–max | ratio | min–max | bits |"
        yield "|---|---:|---:|---:|---:|---:|---:|---|"
        call = f"from benchmarks import plugins; plugins.measure({seconds}, {rounds})"
        for line in child(sites[1], call).splitlines():
            found = json.loads(line)
            pairs = list(zip(found["theirs"], found["own"], strict=True))
            cells = [figures(found["own"], "{:,.1f}"), figures(found["theirs"], "{:,.1f}")]
            ratio = figures([theirs / own for theirs, own in pairs], "{:.3f}")
            yield f"| {found['net']} | {cells[0]} | {cells[1]} | {ratio} | {'the same' if found['same'] else 'OTHER'} |"
        yield "\n| third parties' packages, four units each | loading the registry, ms | min–max |\n|---:|---:|---:|"
        for count, times in loading(sites, min(rounds, MOST_LOADS)).items():
            yield f"| {count} | {figures(times, '{:.1f}')} |"


def figures(samples: list[float], form: str) -> str:
    """Median and spread, as two cells."""
    low, high = form.format(min(samples)), form.format(max(samples))
    return f"{form.format(statistics.median(samples))} | {low}–{high}"


# -- the packages -----------------------------------------------------------------------------------------


def packages(site: Path, count: int) -> Path:
    """A folder with so many packages, each with a copy of each unit, as pip would install them."""
    for number in range(count):
        module, folder = f"nbdl_theirs_{number}", site / f"nbdl_theirs_{number}"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        for kind, name in UNITS.items():
            (folder / f"{kind}.py").write_text(copied(kind, name, number))
        metadata = site / f"{module}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[nbdl]\ntheirs{number} = {module}\n")
    return site


def copied(kind: str, name: str, number: int) -> str:
    """The module of a unit of nbdl, which registers it under another name."""
    from nbdl.units.registry import registry

    text = inspect.getsource(sys.modules[registry.get(kind, name).module])
    renamed, times = re.subn(rf'register\(\s*"{name}"', f'register("{theirs(name, number)}"', text)
    if times != 1:
        raise RuntimeError(f"{name} is not registered by name in its module")
    return re.sub(r"aliases=\([^)]*\),?\s*", "", renamed)


def theirs(name: str, number: int = 0) -> str:
    """A copy's name."""
    return f"their_{name}_{number}"


def child(site: Path, code: str) -> str:
    """What a fresh process prints that finds these packages."""
    paths = [str(site), str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


# -- steps ------------------------------------------------------------------------------------------------


def measure(seconds: float, rounds: int) -> None:
    """Print, for each net, the µs of a step in each round and whether the bits are the same."""
    for net, (sizes, batch, rows) in NETS.items():
        trainings = {whose: Training(whose, sizes, batch, rows) for whose in ("own", "theirs")}
        for training in trainings.values():
            training.epochs(2)  # what is compiled, is compiled here
        epoch = max(training.epochs(2) for training in trainings.values()) / 2
        epochs = max(1, round(seconds / epoch))
        samples: dict[str, list[float]] = {whose: [] for whose in trainings}
        for number in range(rounds):
            for whose in sorted(trainings, reverse=number % 2 == 1):
                samples[whose].append(trainings[whose].epochs(epochs) / epochs / (rows // batch) * 1e6)
        own, other = (training.model.get_weights() for training in trainings.values())
        same = all((a == b).all() for a, b in zip(own, other, strict=True))
        print(json.dumps({"net": net, "same": same, **samples}), flush=True)


class Training:
    """A net of nbdl's own units or of the copies."""

    def __init__(self, whose: str, sizes: tuple[int, ...], batch: int, rows: int) -> None:
        import numpy as np

        from nbdl import Sequential
        from nbdl.units.registry import registry

        def unit(kind: str) -> Any:
            name = UNITS[kind]
            return registry.get(kind, theirs(name) if whose == "theirs" else name).target

        dense, activation = unit("layers"), unit("activations")
        self.model = Sequential(seed=1)
        for number, units in enumerate(sizes[1:]):
            self.model.add(dense(units, activation=activation(), **({} if number else {"input_dim": sizes[0]})))
        self.model.compile(unit("optimizers")(), unit("losses")())
        rng, self.batch = np.random.default_rng(0), batch
        self.x = rng.random((rows, sizes[0]), dtype=np.float32)
        self.y = rng.random((rows, sizes[-1]), dtype=np.float32)

    def epochs(self, count: int) -> float:
        """Train for so many; the seconds."""
        began = time.perf_counter()
        self.model.fit(self.x, self.y, batch_size=self.batch, epochs=count, verbose=0, threads=1)
        return time.perf_counter() - began


# -- loading ----------------------------------------------------------------------------------------------

LOAD = """
import time
from nbdl.units.registry import registry
began = time.perf_counter()
registry.load()
print(time.perf_counter() - began)
assert not registry.broken, registry.broken
"""


def loading(sites: dict[int, Path], rounds: int) -> dict[int, list[float]]:
    """By the number of packages, the ms that each load takes; a first round, which writes byte code, is left out."""
    samples: dict[int, list[float]] = {count: [] for count in sites}
    for number in range(rounds + 1):
        for count, site in sites.items():
            taken = float(child(site, LOAD)) * 1e3
            if number:
                samples[count].append(taken)
    return samples
