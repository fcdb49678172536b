"""Executor: a program made ready to run on one device; and what all executors share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nbdl.engine.run import Finding, RunReport, RunTables
from nbdl.program.operation import Program

if TYPE_CHECKING:
    from nbdl.engine.cpu.threads import Tuner


class Executor(Protocol):
    """A program made ready to run on one device."""

    @property
    def program(self) -> Program:
        """What it runs."""

    def prepare(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """The data of several runs, put where the device reads it: for `RunTables.sources` of any executor there."""

    def push(self) -> None:
        """Before runs: weights and slots that changed in host memory, since the last push or pull, go to the device."""

    def pull(self) -> None:
        """After runs: the weights and slots that they changed come to host memory; without a run since, none do."""

    def run(self, tables: RunTables, threads: int | None = None) -> RunReport:
        """Run all steps, or up to the one that reports something; its update has then not been made."""

    def tuner(self, threads: int | None) -> Tuner | None:
        """What chooses the number of threads from slice to slice, where there is a choice."""


class Checked(Executor, Protocol):
    """An executor that looks at what each operation wrote."""

    @property
    def finding(self) -> Finding | None:
        """The first result of the last run that was not finite."""


class HostMemory:
    """For executors that use weights, slots and data where Python has them: nothing has to go anywhere."""

    def prepare(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """The arrays themselves."""
        return arrays

    def push(self) -> None:
        """Nothing to do."""

    def pull(self) -> None:
        """Nothing to do."""


def host_backend() -> str:
    """What serves as the CPU: "reference" under `NUMBA_DISABLE_JIT=1`, else "cpu"."""
    return "reference" if plain() else "cpu"


def plain() -> bool:
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def checked() -> bool:
    """Whether `NBDL_CHECK=1` asks that every operation's results be looked at."""
    return os.environ.get("NBDL_CHECK") == "1"


def device_number(device: str) -> int:
    """Which GPU a resolved name means.

    >>> device_number("cuda"), device_number("cuda:1")
    (0, 1)
    """
    return int(device.partition(":")[2] or 0)
