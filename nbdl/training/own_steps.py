"""Training by a model's own `train_step`: fit calls it with each batch, one at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.engine.executor import HostMemory
from nbdl.engine.random import permutation
from nbdl.engine.run import ROW_COUNT, STEP_WORDS
from nbdl.errors import ConfigError
from nbdl.training.batches import BatchStream
from nbdl.training.callbacks import CallbackList
from nbdl.training.inputs import parted
from nbdl.training.loops import Chunk, EpochLoop
from nbdl.training.steps import StepRunner, ceil_div

if TYPE_CHECKING:
    from nbdl.network.job import Job

OwnStep = Callable[[Any], Any]


class OwnBatches:
    """Batches of checked arrays as a `train_step` gets them: (x, y), or (x, y, weights) where there are some."""

    def __init__(self, job: Job, data: list[Any], batch: int, shuffle: bool, weighted: bool) -> None:
        self.job, self.data, self.batch, self.shuffle, self.weighted = job, data, batch, shuffle, weighted
        self.passes = 0

    def __len__(self) -> int:
        return ceil_div(len(self.data[0]), self.batch)

    def __iter__(self) -> Iterator[Any]:
        rows = len(self.data[0])
        order = permutation(rows, self.job.network.seed, self.passes) if self.shuffle else np.arange(rows)
        self.passes += 1
        for first in range(0, rows, self.batch):
            chosen = order[first : first + self.batch]
            parts = parted(self.job, [array[chosen] for array in self.data])
            x, y, weights = (one[0] if len(one) == 1 else list(one) for one in parts)
            yield (x, y, weights) if self.weighted else (x, y)


class OwnSums:
    """The means over the rows of what a `train_step` returns."""

    def __init__(self, runner: OwnRunner) -> None:
        self.runner, self.rows, self.sums = runner, 0, dict[str, float]()

    def add(self, log: Any, rows: Any) -> None:
        """Add the step that was just made."""
        for count in rows:
            for name, value in self.runner.logs.items():
                self.sums[name] = self.sums.get(name, 0.0) + float(value) * int(count)
            self.rows += int(count)

    def figures(self) -> dict[str, Any]:
        """The means so far."""
        return {name: value / self.rows for name, value in self.sums.items()} if self.rows else {}


class OwnRunner(StepRunner):
    """Makes a step by calling a model's `train_step`."""

    def __init__(self, job: Job, step: OwnStep) -> None:
        super().__init__(job)
        self.step, self.logs, self.done = step, dict[str, float](), 0
        self.executor: Any = HostMemory()

    def prepare(self, rows: int, kinds: Any) -> None:
        """Nothing: the step prepares itself."""

    def fetch(self) -> None:
        """Nothing: the weights are in host memory between steps."""

    def on_device(self) -> Any:
        import contextlib

        return contextlib.nullcontext()

    def metric_sums(self) -> Any:
        return OwnSums(self)

    def run(self, steps: Any, log: Any, sources: Any, where: Callable[[int], tuple[int, int]]) -> int:
        """Make a step with a batch.

        Raises:
            ConfigError: it does not return its figures by name.
        """
        self.job.in_fit, self.job.in_own_step = False, True  # the step may train on a batch, but not fit
        try:
            found = self.step(sources)
        finally:
            self.job.in_fit, self.job.in_own_step = True, False
        if not isinstance(found, Mapping) or not all(np.ndim(value) == 0 for value in found.values()):
            raise ConfigError(f"train_step returns its figures by name, such as {{'loss': loss}}, got {found!r}")
        self.logs = {str(name): float(value) for name, value in found.items()}
        self.done += 1
        return 1


class OwnLoop(EpochLoop):
    """The loop over batches that a model's `train_step` gets."""

    epoch_steps = sys.maxsize
    report_seconds = 0.05

    def __init__(self, runner: OwnRunner, stream: BatchStream) -> None:
        super().__init__(runner)
        self.stream = stream
        self.steps_per_epoch = stream.per_epoch

    def begin(self) -> None:
        """Begin with the first batch."""
        self.stream.passes = self.runner.state.epochs

    def chunks(self, epoch: int, epochs: int, hooks: CallbackList) -> Iterator[Chunk]:
        """Give a step for each batch, as it comes."""
        for done, batch in enumerate(self.stream.epoch()):
            steps = np.zeros((1, STEP_WORDS), np.int64)
            first = batch[0] if isinstance(batch, tuple | list) else batch
            while isinstance(first, Mapping | list | tuple):
                first = next(iter(first.values())) if isinstance(first, Mapping) else first[0]
            steps[0, ROW_COUNT] = len(first)
            yield Chunk(done, steps, np.zeros((1, 1), np.float32), batch)

    def run_chunk(self, chunk: Chunk, epoch: int) -> None:
        """Make a step, and count it."""
        self.progress.begin_chunk(chunk)
        done = self.runner.run(chunk.steps, chunk.log, chunk.sources, lambda step: (epoch, chunk.start))
        self.progress.add(chunk, done)

    def finish(self, epoch: int, hooks: CallbackList) -> None:
        """Nothing: the step has looked at what it did."""
        if self.steps_per_epoch is None:
            self.steps_per_epoch = hooks.params["steps"] = self.progress.done
