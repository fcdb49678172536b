"""Which executor runs a program: compiled kernels, a GPU's, or plain Python where Numba's JIT is off."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nbdl.engine.run import Batches, Finding, Report
from nbdl.engine.store import Floats, Store
from nbdl.program.recorder import Program

if TYPE_CHECKING:
    from nbdl.engine.cpu.threads import Tuner

__all__ = [
    "Batches", "Checked", "Executor", "HostMemory", "checked", "device", "device_number", "make", "make_checked",
]  # fmt: skip


class Executor(Protocol):
    """A program made ready to run on one device."""

    @property
    def program(self) -> Program:
        """What it runs."""

    def prepare(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """The data of several runs, put where the device reads it: for `Batches.sources` of any executor there."""

    def push(self) -> None:
        """Before runs: weights and slots that changed in host memory, since the last push or pull, go to the device."""

    def pull(self) -> None:
        """After runs: the weights and slots that they changed come to host memory; without a run since, none do."""

    def run(self, batches: Batches, threads: int | None = None) -> Report:
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


def device() -> str:
    """What serves as the CPU: "reference" under `NUMBA_DISABLE_JIT=1`, else "cpu"."""
    return "reference" if _plain() else "cpu"


def _plain() -> bool:
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


# -- executors --------------------------------------------------------------------------------------------


def make(program: Program, store: Store, rows: int, gathered: Sequence[str | None], slots: Floats | None = None,
         device: str = "cpu", precision: str = "float32") -> Executor:  # fmt: skip
    """An executor for up to `rows` rows a step.

    Args:
        device: as `nbdl.network.device.resolve` gives it.
        precision: "float32", or "tf32" for a GPU's large matrix products.
    """
    if _plain():
        from nbdl.engine.reference import ReferenceExecutor

        return ReferenceExecutor(program, store, rows, gathered, slots)
    if device != "cpu":
        from nbdl.engine.cuda import open_runtime
        from nbdl.engine.cuda.executor import Executor as CudaExecutor
        from nbdl.engine.trial import rehearse

        rehearse(program, store, cuda=True)
        runtime = open_runtime(device_number(device))
        return CudaExecutor(program, store, rows, gathered, slots, runtime, precision)
    from nbdl.engine.cpu.executor import Executor as CpuExecutor

    return CpuExecutor(program, store, rows, gathered, slots)


def make_checked(program: Program, store: Store, rows: int, gathered: Sequence[str | None],
                 slots: Floats | None = None, device: str = "cpu", precision: str = "float32") -> Checked:  # fmt: skip
    """An executor that runs one operation at a time and looks at what each wrote; arguments as for `make`."""
    if _plain():
        from nbdl.engine.reference import ReferenceExecutor

        return ReferenceExecutor(program, store, rows, gathered, slots, check=True)
    if device != "cpu":
        from nbdl.engine.cuda import open_runtime
        from nbdl.engine.cuda.checked import CheckedExecutor as CheckedCudaExecutor
        from nbdl.engine.trial import rehearse

        rehearse(program, store, cuda=True)
        runtime = open_runtime(device_number(device))
        return CheckedCudaExecutor(program, store, rows, gathered, slots, runtime, precision, fuse=False)
    from nbdl.engine.cpu.checked import CheckedExecutor

    return CheckedExecutor(program, store, rows, gathered, slots)
