"""The referee: worker processes, and rounds in which each is measured in turn."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.machine import Burners
from benchmarks.peers import PEERS
from benchmarks.works import Work, to_json

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        rounds: measurements of each.
        seconds: the least length of a measurement.
        threads: numbers of threads to measure with, each in processes of its own.
        busy: number of processes that burn cores in half of the measurements; 0 for none.
        keep_blas: leave OPENBLAS_CORETYPE as it is.
    """

    rounds: int = 7
    seconds: float = 0.3
    threads: tuple[int, ...] = (1,)
    busy: int = 0
    keep_blas: bool = False


@dataclass
class Result:
    """What one peer needed for one work: seconds per unit, a sample per round.

    Attributes:
        threads: those that it may use; `best_threads` what it runs with.
        loss: after the first repetition.
        cpu: as samples, of all processors together.
    """

    work: str
    peer: str
    threads: int
    busy: bool
    loss: float
    best_threads: int
    samples: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> float:
        """(max - min)/median."""
        return (max(self.samples) - min(self.samples)) / self.median


@dataclass
class Outcome:
    """All of a run. `left_out`: (work or "", peer, why)."""

    works: dict[str, Work]
    results: list[Result] = field(default_factory=list)
    left_out: list[tuple[str, str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "facts": self.facts,
            "works": {name: to_json(work) for name, work in self.works.items()},
            "results": [{**asdict(result), "median": result.median} for result in self.results],
            "left_out": self.left_out,
        }


class Process:
    """A worker and the pipe to it."""

    def __init__(self, peer: str, threads: int, environment: Mapping[str, str]) -> None:
        self.peer, self.threads = peer, threads
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", peer, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**environment, **PEERS[peer].environment},
        )  # fmt: skip

    @property
    def name(self) -> str:
        """Peer and threads."""
        return f"{self.peer}@{self.threads}"

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        return dict(json.loads(line)) if line else {"error": f"the process ended with status {self.process.wait()}"}

    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        return machine.of_process(self.process.pid)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


def missing(name: str) -> str:
    """Which package a peer lacks, or ""."""
    peer = PEERS[name]
    return next((p for p in (peer.package, *peer.needs) if importlib.util.find_spec(p) is None), "")


def participants(asked: Sequence[str], outcome: Outcome, say: Say) -> list[str]:
    """Those asked that have a part in the works and are installed; who is not installed is put on the record."""
    names = []
    for name in asked:
        if not any(PEERS[name].takes_part(work) for work in outcome.works.values()):
            continue
        if package := missing(name):
            outcome.left_out.append(("", name, f"{package} is not installed"))
            say(f"{name} is left out: {package} is not installed")
        else:
            names.append(name)
    return names


def run(works: Mapping[str, Work], asked: Sequence[str], settings: Settings, say: Say) -> Outcome:
    """All rounds of all works.

    Args:
        works: what to do, by name.
        asked: names of peers.
        say: is told of progress, and of who is left out.
    """
    outcome = Outcome(dict(works))
    names = participants(asked, outcome, say)
    watch = _Watch()
    with ExitStack() as stack:
        burners = Burners(settings.busy)
        stack.callback(burners.close)
        processes = []
        for threads in settings.threads:
            for name in names:
                processes.append(Process(name, threads, worker_environment(settings, threads)))
                stack.callback(processes[-1].close)
        arena = _Arena(processes, burners, settings, outcome, say)
        for name, work in works.items():
            arena.measure(name, work)
        outcome.facts = facts(settings, names) | watch.seen(processes, burners) | arena.seen()
    return outcome


class _Arena:
    """The processes, and one work after the other."""

    def __init__(
        self, processes: list[Process], burners: Burners, settings: Settings, outcome: Outcome, say: Say
    ) -> None:
        self.processes, self.burners, self.settings, self.outcome, self.say = (
            processes, burners, settings, outcome, say,
        )  # fmt: skip
        self.blas: dict[str, list[str]] = {}
        self.waiting = {process.name: 0.0 for process in processes}

    def seen(self) -> dict[str, Any]:
        """The BLAS of each process, and the processor time that it used while it should have waited."""
        return {"blas": self.blas, "waiting": self.waiting}

    def measure(self, name: str, work: Work) -> None:
        """Prepare everyone, then A B C ..., C B A ..., until the rounds are over."""
        taking = [entry for process in self.processes if (entry := self._prepared(process, name, work))]
        rounds = self.settings.rounds
        for number in range(rounds):
            for process, results in taking[:: -1 if number % 2 else 1]:
                for result in results[:: -1 if number % 2 else 1]:
                    self._sample(process, result, work)
        self.say(f"{name}: {rounds} rounds of {len(taking)}")
        self.outcome.results += [result for _, results in taking for result in results if result.samples]

    def _prepared(self, process: Process, name: str, work: Work) -> tuple[Process, list[Result]] | None:
        if not PEERS[process.peer].takes_part(work):
            return None
        answer = process.ask(do="prepare", work=to_json(work))
        if "error" in answer:
            self._left_out(name, process, answer["error"])
            return None
        self.blas[process.name] = answer["blas"]
        states = [False, True] if self.settings.busy else [False]
        given = answer["loss"], answer["best_threads"]
        return process, [Result(name, process.peer, process.threads, busy, *given) for busy in states]

    def _sample(self, process: Process, result: Result, work: Work) -> None:
        settle = bool(self.settings.busy)
        with self._watched(process), self.burners.burning() if result.busy else ExitStack():
            answer = process.ask(do="measure", seconds=self.settings.seconds, settle=settle)
        if "error" in answer:
            self._left_out(result.work, process, answer["error"])
            return
        result.samples.append(answer["seconds"] / work.units)
        result.cpu.append(answer["cpu"] / work.units)

    def _left_out(self, work: str, process: Process, why: str) -> None:
        entry = (work, process.peer, why)
        if entry not in self.outcome.left_out:
            self.outcome.left_out.append(entry)
            self.say(f"{work}: {process.peer} is left out: {why}")

    @contextmanager
    def _watched(self, measured: Process) -> Iterator[None]:
        """Let the one before come to rest, since pools spin for a while; then see who does not."""
        time.sleep(0.05)
        others = [process for process in self.processes if process is not measured]
        before = [process.cpu_seconds() for process in others]
        yield
        for process, used in zip(others, before, strict=True):
            self.waiting[process.name] += process.cpu_seconds() - used


class _Watch:
    """What the whole machine did during a run."""

    def __init__(self) -> None:
        self.began, self.load = time.perf_counter(), machine.load()
        self.busy, self.stolen = machine.all_processors()
        self.own = time.process_time()

    def seen(self, processes: list[Process], burners: Burners) -> dict[str, Any]:
        """Length, load, and processor seconds that neither we nor our processes used."""
        busy, stolen = (now - then for now, then in zip(
            machine.all_processors(), (self.busy, self.stolen), strict=True))  # fmt: skip
        own = time.process_time() - self.own + sum(process.cpu_seconds() for process in processes)
        own += sum(machine.of_process(process.pid) for process in burners.processes)
        return {
            "wall": time.perf_counter() - self.began, "load": [self.load, machine.load()],
            "others": max(0.0, busy - own), "stolen": stolen,
        }  # fmt: skip


def worker_environment(settings: Settings, threads: int) -> dict[str, str]:
    """This environment: pools of so many threads, this package importable, BLAS pinned only if that is kept."""
    environment = dict(os.environ)
    for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
        environment[f"{pool}_NUM_THREADS"] = str(threads)
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])
    )
    if not settings.keep_blas:
        environment.pop("OPENBLAS_CORETYPE", None)
    return environment


def facts(settings: Settings, peers: list[str]) -> dict[str, Any]:
    """Machine, versions and settings."""
    environment = worker_environment(settings, max(settings.threads))
    packages = {package for name in peers for package in (PEERS[name].package, *PEERS[name].needs)}
    packages |= {"numba"} if "nbdl" in packages else set()
    distributions = importlib.metadata.packages_distributions()
    names = sorted({distributions.get(package, [package])[0] for package in packages})
    return {
        **asdict(settings),
        "processor": machine.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: importlib.metadata.version(name) for name in names},
        "openblas": {name: value for name, value in sorted(environment.items()) if name.startswith("OPENBLAS_")},
        "coretype_outside": os.environ.get("OPENBLAS_CORETYPE"),
    }
