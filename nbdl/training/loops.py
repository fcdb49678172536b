"""The loop of a fit: for each epoch, for each chunk of steps, run, add up metrics, call callbacks.

Weights are in host memory whenever somebody may look at them or change them: before and after each epoch, and around
each step where a callback has batch hooks.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdl.data.checks import gathered
from nbdl.engine.executor import host_backend
from nbdl.engine.random import permutation
from nbdl.engine.run import ROW_COUNT, Words
from nbdl.engine.store import Floats
from nbdl.errors import warn
from nbdl.training.batches import BatchStream, in_batches
from nbdl.training.callbacks import CallbackList
from nbdl.training.evaluate import Evaluation
from nbdl.training.passes import step_tables
from nbdl.training.steps import StepRunner, ceil_div, kinds_of
from nbdl.units.callback import Logs

MANY_DRAWS = 1 << 17  # rows: a process that shuffles more gains by a kernel, which takes some ms to load
shuffled = [0]


@dataclass
class Chunk:
    """Some steps that are run at once.

    Attributes:
        start: how many steps of these epochs came before.
        steps, log, sources: what the steps read and write; see `nbdl.engine.run`.
    """

    start: int
    steps: Words
    log: Floats
    sources: Any


class EpochLoop:
    """The loop over the epochs of one fit.

    Attributes:
        steps_per_epoch: None until that is known.
        epoch_steps: steps after which an epoch is over, whatever the data.
        report_seconds: least time between two reports within an epoch.
        validation: what is evaluated after the epochs in `validates`, counted from 1; None: nothing.
        metrics: of the last epoch.
    """

    steps_per_epoch: int | None
    epoch_steps: int
    report_seconds = 0.0
    validates: Container[int]
    progress: EpochProgress

    def __init__(self, runner: StepRunner) -> None:
        self.runner = runner
        self.job = runner.job
        self.validation: Evaluation | None = None
        self.metrics: Logs = {}

    def run(self, first: int, last: int, hooks: CallbackList) -> None:
        """Train: a callback that sets `stop_training`, and data that runs out, end it before the last epoch."""
        self.begin()
        epoch = first
        while epoch < last and not self.job.stop_training:
            hooks.look()
            epochs = self.epochs_at_once(last - epoch, hooks)
            hooks.call("on_epoch_begin", epoch, {})
            self.runner.renew()
            self.progress = EpochProgress(self, epoch, hooks)
            with self.runner.on_device():
                for chunk in self.chunks(epoch, epochs, hooks):
                    self.run_chunk(chunk, epoch)
                    if self.job.stop_training:
                        break
            self.finish(epoch, hooks)
            self.progress.end_epoch()
            epoch += epochs

    def epochs_at_once(self, left: int, hooks: CallbackList) -> int:
        """Return how many epochs make a chunk where nobody looks in between; else 1."""
        if hooks.watching or self.validation is not None:
            return 1
        return min(left, max(1, self.runner.per_slice // self.epoch_steps))

    def run_chunk(self, chunk: Chunk, epoch: int) -> None:
        """Run a chunk; the steps that were done count, also where an error or a signal ends it."""

        def where(step: int) -> tuple[int, int]:
            epochs, step = divmod(chunk.start + step, self.epoch_steps)
            return epoch + epochs, step

        self.progress.begin_chunk(chunk)
        before = self.runner.state.iterations
        try:
            self.runner.run(chunk.steps, chunk.log, chunk.sources, where)
        finally:
            self.progress.add(chunk, self.runner.state.iterations - before)

    def begin(self) -> None:
        """Take up the data where the epochs that were trained before have come to."""
        raise NotImplementedError

    def chunks(self, epoch: int, epochs: int, hooks: CallbackList) -> Iterator[Chunk]:
        """Give the steps of some epochs, chunk by chunk."""
        raise NotImplementedError

    def finish(self, epoch: int, hooks: CallbackList) -> None:
        """Look at the weights after the last step: no later step notices that an update spoiled them."""
        epochs, step = divmod(max(0, self.progress.done - 1), self.epoch_steps)
        self.runner.refuse_spoiled_weights(epoch + epochs, min(self.progress.done, step + 1), "after it")

    def epoch_metrics(self, sums: Logs, epoch: int, hooks: CallbackList) -> Logs:
        """Return the metrics of an epoch, with those of the validation."""
        if self.validation is not None and epoch + 1 in self.validates:
            validation = self.validation.figures(self.runner.threads, hooks)
            sums.update({f"val_{name}": value for name, value in validation.items()})
        return sums


class ArrayLoop(EpochLoop):
    """The loop over arrays in memory: steps address the rows of a batch, so a chunk has as many as take 50 ms."""

    def __init__(self, runner: StepRunner, data: list[Any], batch: int, shuffle: bool | str, steps: int | None) -> None:
        super().__init__(runner)
        self.rows = len(data[0])
        self.batch = batch
        self.per_pass = ceil_div(self.rows, batch)
        self.steps_per_epoch = self.epoch_steps = self.per_pass if steps is None else steps
        # With a single batch there is nothing to shuffle, and the data can be used where it lies.
        self.shuffle = shuffle if self.per_pass > 1 else False
        runner.prepare(batch, [gathered(array, self.shuffle is True) for array in data])
        self.sources = runner.executor.prepare(data)
        runner.data = data
        self.orders = [np.arange(self.rows, dtype=np.int64)]
        self.in_order = self._steps(self.orders[0])
        self.left = self.in_order[:0]  # of the pass under way, where an epoch ends before it

    def begin(self) -> None:
        """Go on within a pass too, so that a saved model goes on as it would have."""
        self.passes, done = divmod(self.runner.state.epochs * self.epoch_steps, self.per_pass)
        self.left = self._pass()[done:].copy() if done else self.in_order[:0]

    def chunks(self, epoch: int, epochs: int, hooks: CallbackList) -> Iterator[Chunk]:
        """Give one step at a time where a callback has batch hooks, else as many as take about 50 ms."""
        steps = self._next(epochs * self.epoch_steps)
        log = self.runner.log(len(steps))
        start = 0
        while start < len(steps) and not self.job.stop_training:
            part = slice(start, start + (1 if hooks.batches else self.runner.per_slice))
            yield Chunk(start, steps[part], log[part], self.sources)
            start = min(part.stop, len(steps))

    def _next(self, wanted: int) -> Words:
        """So many steps, of as many passes over the rows as that takes; orders live as long as steps address them."""
        older, fresh = int(len(self.left) > 0), ceil_div(wanted - len(self.left), self.per_pass)
        steps = np.concatenate([self.left, *(self._pass() for _ in range(fresh))])
        self.orders = self.orders[-older - fresh :]
        self.left = steps[wanted:].copy()
        return steps[:wanted]

    def _pass(self) -> Words:
        """The steps of one pass over the rows, in a new order."""
        number, self.passes = self.passes, self.passes + 1
        if self.shuffle == "batch":
            return np.asarray(in_batches(self.in_order, self.rows // self.batch, self.job.network.seed, number))
        if not self.shuffle:
            return self.in_order
        shuffled[0] += self.rows
        compiled = shuffled[0] > MANY_DRAWS and host_backend() == "cpu"
        self.orders.append(permutation(self.rows, self.job.network.seed, number, compiled))
        return self._steps(self.orders[-1])

    def _steps(self, order: Words) -> Words:
        return np.asarray(step_tables(self.rows, self.batch, order, 1, 1)[0])


class StreamLoop(EpochLoop):
    """The loop over batches as they come: a chunk is one step."""

    epoch_steps = sys.maxsize
    report_seconds = 0.05

    def __init__(self, runner: StepRunner, stream: BatchStream, first: list[Any]) -> None:
        super().__init__(runner)
        self.stream = stream
        self.steps_per_epoch = stream.per_epoch
        runner.prepare(len(first[0]), kinds_of(first))

    def begin(self) -> None:
        """Number the passes by the epochs: orders of batches depend on them."""
        self.stream.passes = self.runner.state.epochs

    def chunks(self, epoch: int, epochs: int, hooks: CallbackList) -> Iterator[Chunk]:
        """Give a step for each batch."""
        for done, batch in enumerate(self.stream.epoch()):
            data = self.stream.checked(batch, f"batch {done + 1} of epoch {epoch + 1}")
            self.runner.grow(data)
            yield Chunk(done, *self.runner.one_step(data))

    def finish(self, epoch: int, hooks: CallbackList) -> None:
        """Stop where there were too few batches; learn how many there are."""
        super().finish(epoch, hooks)
        done = self.progress.done
        if self.job.stop_training:
            return
        if done < (self.stream.steps or 1):
            wanted = "" if self.stream.steps is None else f" of {self.stream.steps}"
            warn(
                f"x ran out of data in epoch {epoch + 1}, after {done}{wanted} batches, and training ends here: give "
                "what can be iterated over again, or a generator of steps_per_epoch * epochs batches"
            )
            self.job.stop_training = True
        elif self.steps_per_epoch is None:
            self.steps_per_epoch = hooks.params["steps"] = done


class EpochProgress:
    """Adds up the steps of some epochs, ends each epoch that is whole, and tells the callbacks."""

    def __init__(self, loop: EpochLoop, epoch: int, hooks: CallbackList) -> None:
        self.loop = loop
        self.epoch = epoch
        self.hooks = hooks
        self.done = 0
        self.reported = time.perf_counter()
        self.sums = loop.runner.metric_sums()

    def begin_chunk(self, chunk: Chunk) -> None:
        """Call the batch hooks before a chunk, which is one step if somebody wants to know."""
        if self.hooks.batches:
            self.hooks.call("on_batch_begin", chunk.start, {})
            self.hooks.call("on_train_batch_begin", chunk.start, {})
            self.loop.runner.executor.push()

    def add(self, chunk: Chunk, steps: int) -> None:
        """Add the steps of a chunk that were done, and report."""
        rows, log = chunk.steps[:steps, ROW_COUNT], chunk.log[:steps]
        now = time.perf_counter()
        report = now - self.reported >= self.loop.report_seconds
        if report:
            self.reported = now
        while len(rows):
            size = min(len(rows), self.loop.epoch_steps - self.done % self.loop.epoch_steps)
            self.sums.add(log[:size], rows[:size])
            self.done, rows, log = self.done + size, rows[size:], log[size:]
            self._tell(report)

    def _tell(self, report: bool) -> None:
        hooks, done = self.hooks, self.done
        if hooks.batches:
            self.loop.runner.fetch()
            hooks.call("on_batch_end", done - 1, self.sums.figures())
            hooks.call("on_train_batch_end", done - 1, self.sums.figures())
        if hooks.watching:
            if report:
                hooks.call("on_progress", done, self.loop.steps_per_epoch or 0, self.sums.figures())
        elif done % self.loop.epoch_steps == 0 and self.loop.validation is None:
            self.end_epoch()  # else after the weights have been fetched

    def end_epoch(self, loss: float | None = None) -> None:
        """End the epoch, whole or stopped; or broken off by a loss that is not finite, which is then its own."""
        if not self.sums.rows and loss is None:
            return
        loop = self.loop
        loop.runner.state.epochs += 1
        loop.metrics = loop.epoch_metrics(self.sums.figures(), self.epoch, self.hooks)
        if loss is not None:
            unknown = dict.fromkeys(loop.job.metrics_names, math.nan)
            loop.metrics = {**unknown, **loop.metrics, "loss": loss}
        self.hooks.call("on_epoch_end", self.epoch, loop.metrics)
        self.epoch += 1
        self.sums = loop.runner.metric_sums()
