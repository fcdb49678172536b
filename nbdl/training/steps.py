"""Steps of training: what each reads and counts, and the error for a value that is not finite.

The engine runs slices of about 50 ms of steps; between them Python gets its signals. One step is one row of three
tables: which rows, which scalars, which results. Weights live on the model's device while steps run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.data.checks import gathered
from nbdl.engine.cpu.threads import Tuner
from nbdl.engine.executor import Executor, HostMemory
from nbdl.engine.run import INDICES, ROW_COUNT, STEP_NUMBER, STEP_WORDS, RunTables, Words
from nbdl.engine.store import Floats
from nbdl.errors import ConfigError, DeviceError
from nbdl.network.executors import executor_of, training_state
from nbdl.network.learnable import warn_of_frozen, warn_of_outputs
from nbdl.program.operation import Program
from nbdl.training.divergence import diverged, refuse_spoiled
from nbdl.training.metric_sums import MetricSums
from nbdl.training.passes import SLICE_SECONDS
from nbdl.training.signals import signals_afterwards

if TYPE_CHECKING:
    from nbdl.network.job import Job

_fitting = threading.Lock()


def ceil_div(a: int, b: int) -> int:
    """Return a / b, rounded up."""
    return -(-a // b)


@contextmanager
def alone(job: Job) -> Iterator[None]:
    """Two fits on one model at once would mix their updates."""
    with _fitting:
        if job.in_fit:
            raise ConfigError(
                "this model is in a fit already, of another thread or the one whose callback this is; one at a time"
            )
        job.in_fit = True
    try:
        yield
    finally:
        job.in_fit = False


def kinds_of(data: Sequence[Any]) -> list[str | None]:
    """What each array of a batch is gathered from."""
    return [gathered(array, shuffled=False) for array in data]


class StepRunner:
    """A model's training steps, on batches of any source: fit's and train_on_batch's.

    Attributes:
        data: what the steps read, inputs, targets and weights; errors look at it.
        per_slice: how many steps take about 50 ms, as far as is known.
    """

    executor: Executor
    program: Program

    def __init__(self, job: Job, threads: int | None = None) -> None:
        self.job = job
        self.threads = threads
        self.setup, self.device = job.compiled(), (job.device, job.choice.precision)
        self.state = training_state(job)
        warn_of_outputs(job.network, self.setup)
        warn_of_frozen(job.network)
        self.rows, self.indices = 0, np.zeros(0, np.int64)
        self.kinds: Sequence[str | None] = ()
        self.data: Sequence[Any] = ()
        self.per_slice = 1
        self.running: MetricSums | None = None  # of batches that were given one by one

    @property
    def current(self) -> bool:
        """Whether this still is how the model is trained: not if it was compiled again, or keeps other slots."""
        state = self.job.state
        return self.state is state and state.slot_names == self.job.optimizer.all_slots()

    def prepare(self, rows: int, kinds: Sequence[str | None]) -> None:
        """Have the executor for batches of up to so many rows, gathered from these dtypes, of the model as it is.

        What was compiled again meanwhile is taken up by the next fit.
        """
        if not self.current:
            return
        self.rows, self.kinds = rows, kinds
        self.executor = executor_of(self.job, "train", rows, kinds, self.state.slots, self.device[0])
        self.program = self.executor.program
        self.tuner: Tuner | None = self.executor.tuner(self.threads)

    def renew(self) -> None:
        """Prepare again for the same batches: the setup or what is trainable may have changed since."""
        self.prepare(self.rows, self.kinds)

    def grow(self, data: Sequence[Any]) -> None:
        """`prepare` for a batch that is larger than those before, or of other dtypes; the weights go along."""
        rows, kinds = max(self.rows, len(data[0])), kinds_of(data)
        if rows != self.rows or kinds != self.kinds:
            self.fetch()
            self.prepare(rows, kinds)
            self.executor.push()

    def fetch(self) -> None:
        """Bring the weights to host memory, all of them: signals wait."""
        pull: Any = type(self.executor).pull
        if pull is HostMemory.pull:
            return
        with signals_afterwards():
            self.executor.pull()

    @contextmanager
    def on_device(self) -> Iterator[None]:
        """Within this block the device has the weights; after it, however it ends, host memory has them."""
        self.executor.push()
        try:
            yield
        except BaseException:
            with suppress(DeviceError):  # of a device that is lost; the first error says more
                self.fetch()
            raise
        self.fetch()

    def one_step(self, data: Sequence[Any]) -> tuple[Words, Floats, Any]:
        """Return the steps, log and sources of one step on a batch, for `run`; `grow` has taken the batch."""
        if len(self.indices) < self.rows:
            self.indices = np.arange(self.rows, dtype=np.int64)
        self.data = data
        steps = np.zeros((1, STEP_WORDS), np.int64)
        steps[0, ROW_COUNT] = len(data[0])
        steps[0, INDICES] = self.indices.ctypes.data
        return steps, self.log(1), self.executor.prepare(data)

    def metric_sums(self) -> MetricSums:
        """For the log of these steps."""
        return MetricSums(self.program, self.setup)

    def log(self, steps: int) -> Floats:
        """For the results of so many steps."""
        return np.zeros((steps, max(1, self.program.log_width)), np.float32)

    def run(self, steps: Words, log: Floats, sources: Any, where: Callable[[int], tuple[int, int]]) -> int:
        """Run a slice; tune how many steps make one.

        Args:
            steps: first row, number of rows and address of the indices; the counter is filled in.
            where: epoch and step, from 0, of a step of the slice.

        Returns:
            How many steps were done: all.

        Raises:
            DivergenceError: a value was not finite; the steps before it are done, and counted in the state.
        """
        steps[:, STEP_NUMBER] = self.state.iterations + 1 + np.arange(len(steps))
        tables = RunTables(steps, self._scalars(steps), log, sources, None, self.job.network.seed)
        began = time.perf_counter()
        with signals_afterwards():
            report = self.executor.run(tables, self.threads if self.tuner is None else self.tuner.next())
            self.state.iterations += report.steps
        seconds = time.perf_counter() - began
        if self.tuner is not None:
            self.tuner.took(seconds, len(steps))
        if report.stopped_by is not None:
            diverged(self, *where(report.steps), tables, report.steps)
        wanted = int(len(steps) * SLICE_SECONDS / max(seconds, 1e-9))
        self.per_slice = max(1, min(wanted, 4 * self.per_slice))
        return report.steps

    def _scalars(self, steps: Any) -> Floats:
        table = np.zeros((len(steps), len(self.program.scalars)), np.float32)
        table[:, 0] = steps[:, ROW_COUNT]
        with np.errstate(over="ignore"):  # infinity is refused below
            values = self.setup.optimizer.scalars(steps[:, STEP_NUMBER])
            for column, name in enumerate(self.program.scalars[1:], 1):
                table[:, column] = values[name]
        if not np.isfinite(table).all():
            row, column = np.argwhere(~np.isfinite(table))[0]
            raise ConfigError(
                f"{self.setup.optimizer!r}: its {self.program.scalars[column]} is not a finite number of float32 in "
                f"step {int(steps[row, STEP_NUMBER])}. It follows from the learning rate and the optimizer's other "
                "numbers: give smaller ones"
            )
        return table

    def refuse_spoiled_weights(self, epoch: int, step: int, when: str) -> None:
        """Raise DivergenceError where the weights are not finite; see `divergence`."""
        refuse_spoiled(self.job, self.data, epoch, step, when)
