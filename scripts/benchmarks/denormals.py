"""What denormal numbers cost on this processor, and what nbdl costs where they count as zero and where they do not.

    python scripts/bench.py --denormals                              # the same nbdl, with and without the mode
    python scripts/bench.py --denormals --markdown FILE              # keeps the tables
    python scripts/bench.py --denormals --checkout FOLDER            # against another checkout, such as 0.1.0

Two processes, one thread each, take turns: what is given is processor time, the median of the turns and the least. In
the trainings each has its own state, which the mode changes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine

SMALLEST = 1.1754943508222875e-38
ROWS = 10_000
WIDE, SEPARABLE = (784, 256, 256, 10), (200, 256, 256, 2)
TRAININGS: dict[str, dict[str, Any]] = {
    "784-500-500-10 sigmoid, batch 100, Adam": {"widths": (784, 500, 500, 10), "activation": "sigmoid", "steps": 200},
    "64-32-32-10 relu, batch 32, Adam": {"widths": (64, 32, 32, 10), "batch": 32, "steps": 1000},
    "784-256-256-10 relu, Adam": {"widths": WIDE},
    "784-256-256-10 relu, momentum": {"widths": WIDE, "optimizer": "momentum"},
    "784-256-256-10 relu, dropout, Adam": {"widths": WIDE, "dropout": 0.5},
    "784-256-256-10 relu, dropout, RMSprop": {"widths": WIDE, "dropout": 0.5, "optimizer": "rmsprop"},
    "784-256-256-10 relu, dropout, momentum": {"widths": WIDE, "dropout": 0.5, "optimizer": "momentum"},
    "2000-64-10 relu, one-hot, Adam": {"widths": (2000, 64, 10), "data": "one-hot"},
    "200-256-256-2 relu, separable, Adam": {"widths": SEPARABLE, "data": "separable", "steps": 6000},
    "200-256-256-2 relu, separable, momentum": {
        "widths": SEPARABLE,
        "data": "separable",
        "optimizer": "momentum",
        "steps": 6000,
    },
}
"""Where not said otherwise: Adam, relu, batches of 100, 2,000 steps, data with many zeros."""
PREDICTIONS: dict[str, dict[str, Any]] = {
    "ordinary": {},
    "hidden softmax, logits near -95": {"activation": "softmax", "bias": -95.0},
    "hidden sigmoid, logits near -95": {"activation": "sigmoid", "bias": -95.0},
    "weights × 1e-20": {"weights": 1e-20},
    "inputs × 1e-40": {"inputs": 1e-40},
}


def report(rounds: int, checkout: Path | None = None) -> Iterator[str]:
    """Markdown tables."""
    yield f"{machine.processor()}; load average before: {machine.load():.2f}.\n"
    yield from arithmetic()
    with tempfile.TemporaryDirectory() as folder:
        kept = Child(True, folder, checkout)
        zero = Child(False, folder)
        other = "denormals kept" if checkout is None else f"nbdl {version(checkout)}"
        yield f"\nProcessor time, {rounds} turns, one thread; in brackets the least.\n"
        yield f"| training | {other}, µs a step | as zero | ratio | denormal slots | as zero |"
        yield "|---|---|---|---|---|---|"
        for name in TRAININGS:
            shares = [child.ask("train", name)[0] for child in (kept, zero)]
            yield row(name, kept, zero, rounds, [f"{100 * share:.1f} %" for share in shares])
        yield f"\n| 2,000 rows of 200-256-256-10 | {other}, ms | as zero | ratio |\n|---|---|---|---|"
        for name in PREDICTIONS:
            for how in ("predict", "row by row in @njit"):
                for child in (kept, zero):
                    child.ask("net", name, how)
                yield row(f"{name}: {how}", kept, zero, rounds, [])
        kept.close()
        zero.close()


def version(checkout: Path) -> str:
    """Of the nbdl in a folder."""
    return str(tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def row(name: str, kept: Child, zero: Child, rounds: int, more: list[str]) -> str:
    """One line: each process measures in turn."""
    turns = [(kept.ask("measure")[0], zero.ask("measure")[0]) for _ in range(rounds)]
    cells = [f"{figure(statistics.median(t))} ({figure(min(t))})" for t in zip(*turns, strict=True)]
    ratio = statistics.median(before / after for before, after in turns)
    return f"| {' | '.join([name, *cells, f'{ratio:.2f}', *more])} |"


def figure(value: float) -> str:
    """Three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def arithmetic() -> Iterator[str]:
    """NumPy's loops over denormals and over ordinary numbers, as they are and as zero."""
    import numpy as np

    from nbdl.engine.denormals import flushed

    yield "| NumPy, ns an element | ordinary | denormal | ratio | denormal, as zero |\n|---|---|---|---|---|"
    ordinary, tiny = np.full(4096, 1.5, np.float32), np.full(4096, 1e-39, np.float32)
    small, out = np.full(4096, 1e-30, np.float32), np.empty(4096, np.float32)
    cases: dict[str, Callable[[Any], Any]] = {
        "x · 0.9": lambda x: np.multiply(x, np.float32(0.9), out=out),
        "x + x": lambda x: np.add(x, x, out=out),
        "a · b = 1e-40": lambda x: np.multiply(small, 1e-10 if x is tiny else 1.0, out=out, dtype=np.float32),
        "√x": lambda x: np.sqrt(x, out=out),
    }
    for name, run in cases.items():
        plain, denormal = nanoseconds(run, ordinary), nanoseconds(run, tiny)
        with flushed():
            zero = nanoseconds(run, tiny)
        yield f"| {name} | {plain:.3f} | {denormal:.3f} | {denormal / plain:.1f} | {zero:.3f} |"


def nanoseconds(run: Callable[[Any], Any], x: Any) -> float:
    """The least of some tries, for an element."""
    tries = []
    for _ in range(30):
        began = time.process_time()
        for _ in range(50):
            run(x)
        tries.append((time.process_time() - began) / 50 / x.size * 1e9)
    return min(tries)


# -- processes --------------------------------------------------------------------------------------------


class Child:
    """A process with one mode."""

    def __init__(self, kept: bool, folder: str, checkout: Path | None = None) -> None:
        here = Path(__file__).resolve().parents[1]
        root = here.parent if checkout is None else checkout.resolve()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, root / "plugins", here)))}
        environment |= {"NBDL_CACHE": f"{folder}/{kept}", "OPENBLAS_NUM_THREADS": "1"}
        code = f"from benchmarks import denormals; denormals.serve({kept and checkout is None})"
        command = [sys.executable, "-c", code]
        pipe = subprocess.PIPE
        # Elsewhere: Python looks for modules in the current folder first.
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, text=True)

    def ask(self, *what: str) -> Any:
        """What it answers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(what), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def serve(kept: bool) -> None:
    """Answer requests, each a line of JSON; where denormals are kept, the mode's bits are none."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if kept:
        from nbdl.engine import denormals

        denormals.FLUSH_X86 = denormals.FLUSH_ARM = 0  # before the first kernel, in a cache folder of its own
    work: Work | None = None
    for line in sys.stdin:
        do, *given = json.loads(line)
        answer: Any = None
        if do == "train":
            work = trained(**TRAININGS[given[0]])
            answer = work.share()
        elif do == "net":
            work = net(given[1] == "predict", **PREDICTIONS[given[0]])
        elif work is not None:
            answer = work.seconds()
        print(json.dumps([answer]), file=answers, flush=True)


@dataclass
class Work:
    """What is measured.

    Attributes:
        run: once.
        scale: of the seconds that are answered.
        share: the share of denormal slots.
    """

    run: Callable[[], Any]
    scale: float
    share: Callable[[], float] = float

    def seconds(self) -> float:
        """Processor time of one run, in the unit of the table."""
        began = time.process_time()
        self.run()
        return (time.process_time() - began) * self.scale


# -- works ------------------------------------------------------------------------------------------------


def trained(widths: tuple[int, ...], activation: str = "relu", dropout: float = 0.0, optimizer: str = "adam",
            data: str = "zeros", steps: int = 2000, batch: int = 100) -> Work:  # fmt: skip
    """A model after so many steps; a run is 100 more, or some 30 ms."""
    import numpy as np

    import nbdl
    from nbdl.layers import Dense, Dropout

    model = nbdl.Sequential(seed=1)
    for number, units in enumerate(widths[1:]):
        last = number == len(widths) - 2
        model.add(Dense(units, "softmax" if last else activation, input_dim=None if number else widths[0]))
        if dropout and not last:
            model.add(Dropout(dropout))
    momentum = nbdl.optimizers.SGD(0.05, momentum=0.9)
    model.compile(momentum if optimizer == "momentum" else optimizer, "sparse_categorical_crossentropy")
    random = np.random.default_rng(0)
    y = random.integers(0, widths[-1], ROWS)
    if data == "one-hot":
        x = np.zeros((ROWS, widths[0]), np.float32)
        x[np.arange(ROWS), np.minimum(random.zipf(1.3, ROWS), widths[0]) - 1] = 1.0
    else:
        x = random.normal(size=(ROWS, widths[0])).astype(np.float32)
        if data == "separable":
            x += 3.0 * np.sign(y - 0.5)[:, None].astype(np.float32)
        else:  # like digits: each class has a place, many columns are always zero
            places = random.random((widths[-1], widths[0])) < 0.2
            x = np.where(places[y], np.clip(0.5 + 0.3 * x, 0.0, 1.0), 0.0).astype(np.float32)
    epoch = ROWS // batch
    model.fit(x, y, batch_size=batch, epochs=max(1, steps // epoch), verbose=0, threads=1)
    few = 300 if batch < 100 else 100

    def run() -> None:
        model.fit(x[: few * batch], y[: few * batch], batch_size=batch, verbose=0, threads=1)

    def share() -> float:
        slots = np.abs(model.training_state.slots)  # type: ignore[union-attr]
        return float(((slots > 0) & (slots < SMALLEST)).mean())

    run()
    return Work(run, 1e6 / min(few, epoch), share)


def net(predict: bool, activation: str = "relu", bias: float = 0.0, weights: float = 1.0, inputs: float = 1.0) -> Work:
    """Predictions of a net that was made for this by hand."""
    import numba
    import numpy as np

    import nbdl
    from nbdl.layers import Dense

    model = nbdl.Sequential([Dense(256, activation, input_dim=200), Dense(256, activation), Dense(10)], seed=1)
    values = model.get_weights()
    for value in values[:4]:
        value *= weights
        if value.ndim == 1:
            value[:] = bias
    if activation == "softmax":  # one logit at 0 beside the others
        values[1][0] = values[3][0] = 0.0
    model.set_weights(values)
    x = (np.random.default_rng(0).normal(size=(2000, 200)) * inputs).astype(np.float32)
    if predict:
        return Work(lambda: model.predict(x, threads=1), 1e3)
    compiled, out = model.as_njit(), np.empty((2000, 10), np.float32)

    @numba.njit
    def row_by_row(net: Any, x: Any, out: Any) -> None:
        for i in range(len(x)):
            net(x[i], out[i])

    row_by_row(compiled, x[:1], out[:1])
    return Work(lambda: row_by_row(compiled, x, out), 1e3)
