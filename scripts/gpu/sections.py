"""The sections, the most important first, and how one runs: in a process of its own, with a limit of time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpu.context import Options


@dataclass(frozen=True)
class Section:
    """One part of the check.

    Attributes:
        title: as the report shows it.
        function: "module.function" in this package; takes a Context.
        seconds: how long it may take, where those after it are left enough.
        share: seconds that those before it must leave to it.
        correctness: whether its failure is the check's failure.
        simulated: whether it runs in the simulator too.
        alone: whether it needs no working GPU.
    """

    title: str
    function: str
    seconds: float
    share: float
    correctness: bool = False
    simulated: bool = False
    alone: bool = False


SECTIONS: dict[str, Section] = {
    "versions": Section("Versions", "versions.versions", 40, 10, simulated=True, alone=True),
    "units": Section("Every unit, GPU against CPU", "units.units", 140, 70, correctness=True, simulated=True),
    "training": Section("Whole runs", "training.training", 100, 50, correctness=True, simulated=True),
    "repeatability": Section("Repeatability", "repeatability.repeatability", 60, 30, correctness=True, simulated=True),
    "launches": Section("Launches", "launches.launches", 20, 10, simulated=True),
    "steps": Section("Steps beside peers", "steps.steps", 240, 150),
    "products": Section("Products", "products.products", 60, 40, simulated=True),
    "sanitizer": Section("compute-sanitizer", "sanitizer.sanitizer", 200, 110, correctness=True),
}
LEAST_SECONDS = 5.0  # a section that would get less is not begun


@dataclass
class Outcome:
    """What became of a section.

    Attributes:
        state: "passed", "failed", "broken", "timed out", or "not run".
        why: of all states but the first; of that one what was left unchecked.
    """

    state: str
    seconds: float
    why: str = ""
    result: dict[str, Any] | None = None
    output: str = ""


def run(name: str, options: Options, environment: Mapping[str, str], seconds: float) -> Outcome:
    """Run a section and say what became of it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        told = replace(options, result=str(Path(folder) / "result.json"), seconds=seconds - 2.0)
        with open(Path(folder) / "output", "w+b") as output:
            child = start(name, told.to_json(), environment, output)
            code = wait(child, seconds)
            output.seek(0)
            tail = output.read().decode(errors="replace")[-6000:]
        result = read(Path(told.result))
    taken = time.monotonic() - began
    failures = (result or {}).get("failures", [])
    if code is None:
        return Outcome("timed out", taken, f"it took more than its {seconds:.0f} s", result, tail)
    if code != 0:
        last = next((line for line in reversed(tail.splitlines()) if line.strip()), "it said nothing")
        return Outcome("broken", taken, f"status {code}: {last}", result, tail)
    if result is not None and result.get("not_run"):
        return Outcome("not run", taken, result["not_run"], result, tail)
    if failures:
        return Outcome("failed", taken, f"{len(failures)} failed, the first: {failures[0]}", result, tail)
    unchecked = "; ".join((result or {}).get("unchecked", []))
    return Outcome("passed", taken, unchecked and f"not checked: {unchecked}", result, tail)


def start(
    name: str, options: str, environment: Mapping[str, str], output: Any, leader: bool = True
) -> subprocess.Popen[bytes]:
    """A section's process; the leader of a group of its own, so that all it started can be ended with it."""
    command = [sys.executable, "-m", "gpu.child", name, options]
    return subprocess.Popen(
        command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        start_new_session=leader,
    )  # fmt: skip


def wait(child: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Its status, or None if it had to be ended."""
    try:
        return child.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return None
    finally:
        end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    """End it and what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def read(path: Path) -> dict[str, Any] | None:
    """A result, or None if there is none."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return None
