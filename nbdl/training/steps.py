"""Steps of training: what each reads and counts, and the error for a value that is not finite.

The engine runs slices of about 50 ms of steps; between them Python gets its signals. One step is one row of three
tables: which rows, which scalars, which results. Weights live on the model's device while steps run.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.data.columns import names_of
from nbdl.engine import select as executors
from nbdl.engine.cpu.threads import Tuner
from nbdl.engine.run import Batches, Finding, Words
from nbdl.engine.store import Floats
from nbdl.errors import ConfigError, DataError, DeviceError, DivergenceError
from nbdl.network.columns import learn_names
from nbdl.network.executors import executor_of, training_state
from nbdl.network.learnable import warn_of_frozen, warn_of_outputs
from nbdl.program.recorder import Program
from nbdl.training import inputs as given
from nbdl.training.class_weights import ClassWeights
from nbdl.training.evaluate import SLICE_SECONDS, Tally
from nbdl.training.remedies import remedies

if TYPE_CHECKING:
    from nbdl.model.sequential import Sequential
    from nbdl.network.job import Job

_fitting = threading.Lock()
# Signals that end a program, where the system has them; only those with a handler in Python wait.
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


@contextmanager
def alone(model: Sequential) -> Iterator[None]:
    """Two fits on one model at once would mix their updates."""
    with _fitting:
        if model._job.in_fit:
            raise ConfigError(
                "this model is in a fit already, of another thread or the one whose callback this is; one at a time"
            )
        model._job.in_fit = True
    try:
        yield
    finally:
        model._job.in_fit = False


@contextmanager
def _signals_afterwards() -> Iterator[None]:
    """Let signals that may end the run wait for the end of this block: never between the steps and their count."""
    former: dict[int, Any] = {}
    asked: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            handler = signal.getsignal(number)
            if callable(handler):
                signal.signal(number, lambda number, frame: asked.append(number))
                former[number] = handler
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        for number in asked:  # also where the block raised: what was asked for is not lost
            former[number](number, None)


def fetch(executor: executors.Executor) -> None:
    """Bring the weights to host memory, all of them: signals wait."""
    pull: Any = type(executor).pull
    if pull is executors.HostMemory.pull:
        return
    with _signals_afterwards():
        executor.pull()


def kinds_of(data: Sequence[Any]) -> list[str | None]:
    """What each array of a batch is gathered from."""
    return [given.gathered(array, shuffled=False) for array in data]


class Training:
    """A model's training steps, on batches of any source: fit's and train_on_batch's.

    Attributes:
        data: what the steps read, inputs, targets and weights; errors look at it.
        per_slice: how many steps take about 50 ms, as far as is known.
    """

    executor: executors.Executor
    program: Program

    def __init__(self, model: Sequential, threads: int | None = None) -> None:
        self.model, self.threads = model, threads
        self.compiled, self.device = model._job.compiled(), (model.device, model.precision)
        self.state = training_state(model._job)
        warn_of_outputs(model._job.network, self.compiled)
        warn_of_frozen(model._job.network)
        self.rows, self.indices = 0, np.zeros(0, np.int64)
        self.kinds: Sequence[str | None] = ()
        self.data: Sequence[Any] = ()
        self.per_slice = 1
        self.running: Tally | None = None  # of batches that were given one by one

    @property
    def current(self) -> bool:
        """Whether this still is how the model is trained: not if it was compiled again, or keeps other slots."""
        state = self.model.training_state
        return self.state is state and state.slot_names == self.model.optimizer.all_slots()

    def look_up(self, rows: int, kinds: Sequence[str | None]) -> None:
        """Have the executor for batches of up to so many rows, gathered from these dtypes, of the model as it is.

        What was compiled again meanwhile is taken up by the next fit.
        """
        if not self.current:
            return
        self.rows, self.kinds = rows, kinds
        self.executor = executor_of(self.model._job, "train", rows, kinds, self.state.slots, self.device[0])
        self.program = self.executor.program
        self.tuner: Tuner | None = self.executor.tuner(self.threads)

    def take(self, data: Sequence[Any]) -> None:
        """`look_up` for a batch that is larger than those before, or of other dtypes; the weights go along."""
        rows, kinds = max(self.rows, len(data[0])), kinds_of(data)
        if rows != self.rows or kinds != self.kinds:
            fetch(self.executor)
            self.look_up(rows, kinds)
            self.executor.push()

    @contextmanager
    def on_device(self) -> Iterator[None]:
        """Within this block the device has the weights; after it, however it ends, host memory has them."""
        self.executor.push()
        try:
            yield
        except BaseException:
            with suppress(DeviceError):  # of a device that is lost; the first error says more
                fetch(self.executor)
            raise
        fetch(self.executor)

    def step(self, data: Sequence[Any], at: tuple[int, int]) -> Floats:
        """One step on one batch that was taken, which `at` says for errors; what it logged."""
        if len(self.indices) < self.rows:
            self.indices = np.arange(self.rows, dtype=np.int64)
        self.data = data
        steps, log = np.array([[0, len(data[0]), 0, self.indices.ctypes.data]], np.int64), self.log(1)
        self.run(steps, log, self.executor.prepare(data), lambda step: at)
        return log

    def tally(self) -> Tally:
        """For the log of these steps."""
        return Tally(self.program, self.compiled.metrics)

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
        steps[:, 2] = self.state.iterations + 1 + np.arange(len(steps))
        batches = Batches(steps, self._scalars(steps), log, sources, None, self.model.seed)
        began = time.perf_counter()
        with _signals_afterwards():
            report = self.executor.run(batches, self.threads if self.tuner is None else self.tuner.next())
            self.state.iterations += report.steps
        seconds = time.perf_counter() - began
        if self.tuner is not None:
            self.tuner.took(seconds, len(steps))
        if report.stopped_by is not None:
            self._diverged(*where(report.steps), batches, report.steps)
        wanted = int(len(steps) * SLICE_SECONDS / max(seconds, 1e-9))
        self.per_slice = max(1, min(wanted, 4 * self.per_slice))
        return report.steps

    def _scalars(self, steps: Any) -> Floats:
        table = np.zeros((len(steps), len(self.program.scalars)), np.float32)
        table[:, 0] = steps[:, 1]
        with np.errstate(over="ignore"):  # infinity is refused below
            values = self.compiled.optimizer.scalars(steps[:, 2])
            for column, name in enumerate(self.program.scalars[1:], 1):
                table[:, column] = values[name]
        if not np.isfinite(table).all():
            row, column = np.argwhere(~np.isfinite(table))[0]
            raise ConfigError(
                f"{self.compiled.optimizer!r}: its {self.program.scalars[column]} is not a finite number of float32 in "
                f"step {int(steps[row, 2])}. It follows from the learning rate and the optimizer's other numbers: give "
                "smaller ones"
            )
        return table

    def refuse_spoiled_weights(self, epoch: int, step: int, when: str) -> None:
        """An update can overflow though its gradients are finite; what it wrote cannot be taken back."""
        with np.errstate(all="ignore"):
            if math.isfinite(float(self.model.store.data.sum())):
                return
        for weight in self.model.weights:
            if not np.isfinite(weight.value).all():
                raise DivergenceError(
                    f"training diverged in epoch {epoch + 1}, step {step}: {when} {weight.name!r} holds weights that "
                    f"are not finite. {remedies(self.model, None, self.data, False)}",
                    epoch + 1, step, weight.layer.name,
                )  # fmt: skip

    def _diverged(self, epoch: int, step: int, batches: Any, at: int) -> None:
        """Replay the step one operation at a time, which finds the same bits, and say where NaN came from."""
        fetch(self.executor)
        self.refuse_spoiled_weights(epoch, step + 1, "before it")
        where, layer = "in the gradients; the replay of the step did not give it again", ""
        try:
            finding = self._replayed(batches, slice(at, at + 1))
        except DeviceError as error:  # it needs more memory than the run did
            finding, where = None, f"in the gradients; the step could not be replayed: {error}"
        if finding is not None:
            layer = finding.operation.layer
            place = f"layer {layer!r}" if layer else "the data"
            where = f"first in {place}: {finding.operation.phase} `{finding.operation.title}` gave {finding.what}"
        raise DivergenceError(
            f"training diverged in epoch {epoch + 1}, step {step + 1}: {where}. The weights are those from before "
            f"that step. {remedies(self.model, finding, self.data, self.state.iterations == 0)}",
            epoch + 1, step + 1, layer, self._loss(batches, at),
        )  # fmt: skip

    def _loss(self, batches: Any, at: int) -> float:
        """A step's loss where it is not finite, else NaN."""
        tally = self.tally()
        tally.add(batches.log[at : at + 1], batches.steps[at : at + 1, 1])
        loss = tally.figures()["loss"]
        return math.nan if math.isfinite(loss) else loss

    def _replayed(self, batches: Any, one: slice) -> Finding | None:
        checking = executors.make_checked(
            self.program, self.model.store, self.rows, self.kinds, self.state.slots, *self.device
        )
        again = executors.Batches(
            batches.steps[one], batches.scalars[one], batches.log[one].copy(), batches.sources, None, batches.seed
        )
        weights, slots = self.model.store.data.copy(), self.state.slots.copy()
        checking.push()
        checking.run(again)
        checking.pull()  # where rounding differs the step may go through: take back what it changed
        self.model.store.data[:], self.state.slots[:] = weights, slots
        self.executor.push()
        return checking.finding


def train_on_batch(
    model: Sequential, x: Any, y: Any, sample_weight: Any, class_weight: Any, anew: bool = True
) -> dict[str, Any]:
    """One step on one batch; its figures, or those of all batches so far. What runs it is kept from call to call."""
    with alone(model):
        data = given.checked_data(model, x, y, sample_weight)
        if len(data[0]) == 0:
            raise DataError("there are no rows to train on")
        if class_weight is not None:
            weights = ClassWeights(class_weight, model.output_shape)
            weights.balance(data[1])
            data[2] = data[2] * weights.factors(data[1])
        programs = model._job.programs
        training = programs.step_runner
        device = model.device, model.precision
        if not isinstance(training, Training) or not training.current or training.device != device:
            training = programs.step_runner = Training(model)
        training.look_up(max(training.rows, len(data[0])), kinds_of(data))
        with training.on_device():
            log = training.step(data, (0, training.state.iterations))
        if anew or training.running is None:
            training.running = training.tally()
        learn_names(model._job.network, names_of(x), names_of(y))
        training.running.add(log, np.array([len(data[0])]))
        return training.running.figures()


def reset_metrics(job: Job) -> None:
    """Let the figures of batches that are given one by one start from zero."""
    if isinstance(job.programs.step_runner, Training):
        job.programs.step_runner.running = None
    job.programs.metric_sums = None
