"""The data of a fit: checked, split into rows to train and to validate on, and made into a loop."""

from __future__ import annotations

import numbers
import sys
from collections.abc import Container
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nbdl.data.checks import count
from nbdl.data.columns import names_of
from nbdl.errors import ConfigError, DataError
from nbdl.network.columns import renew_names
from nbdl.network.learnable import warn_of_values
from nbdl.training.batches import BatchStream, Slices, any_on_disk, each, is_stream, limited, refuse_beside, sliceable
from nbdl.training.callbacks import CallbackList
from nbdl.training.class_weights import ClassWeights, only_output, warn_of_sorted
from nbdl.training.evaluate import Evaluation, evaluation
from nbdl.training.inputs import checked_data, parted
from nbdl.training.loops import ArrayLoop, EpochLoop, StreamLoop
from nbdl.training.options import FitOptions
from nbdl.training.own_steps import OwnBatches, OwnLoop, OwnRunner, OwnStep
from nbdl.training.steps import StepRunner, ceil_div

if TYPE_CHECKING:
    from nbdl.network.job import Job


class FitData:
    """What fit was given: arrays, arrays on disk, or batches; and what validation_split takes of them.

    Attributes:
        batch: rows of a step; None where batches come as they are.
        rest: the rows that are split off.
        names: of the columns of x and of y, where they have some.
    """

    def __init__(self, job: Job, x: Any, y: Any, options: FitOptions) -> None:
        weights, shuffle = options.sample_weight, options.shuffle
        share = options.validation_split if options.validation_data is None else 0.0
        data = [x, y, weights]
        if shuffle not in (True, False, "batch"):
            raise ConfigError(f"shuffle is True, False or 'batch', got {shuffle!r}")
        self.job = job
        self.shuffle = shuffle
        steps, size = options.steps_per_epoch, options.batch_size
        self.steps = None if steps is None else count(steps, "steps_per_epoch", 1, 1)
        self.batch: int | None = None if size is None else count(size, "batch_size", 32, 1)
        self.arrays, self.rest = data, range(0)
        self.checked: list[Any] = []
        self.names = names_of(x), names_of(y)
        if is_stream(x):
            refuse_beside(y=y, sample_weight=weights, batch_size=size, validation_split=share or None)
            self.source: Any = x
            return
        self.source = None
        renew_names(job.network, x, y)
        if any_on_disk(data):
            self.arrays = sliceable(job, data, "y")
        else:
            self.checked = checked_data(job.network, job.compiled(), x, y, weights)
        rows = int(next(iter(each((self.checked or self.arrays)[0]))).shape[0])
        if rows == 0:
            raise DataError("there are no rows to train on")
        kept = kept_rows(rows, share)
        self.rest = range(kept, rows)
        if self.batch is None:
            self.batch = 32 if self.steps is None else ceil_div(kept, self.steps)
        if not self.checked:
            self.source = Slices(self.arrays, range(kept), self.batch, shuffle)

    def loop(self, class_weight: Any, threads: int | None) -> EpochLoop:
        """Return the loop over the epochs of these data."""
        job = self.job
        kept = self.rest.start
        if self.source is not None:
            stream = BatchStream(job, self.source, self.steps, self.shuffle, trains=True)
            first = stream.first()
            self.names = stream.names
            warn_of_values(job.network, job.compiled(), parted(job, first)[1])
            weights = None if class_weight is None else ClassWeights(class_weight, only_output(job))
            if weights is not None and weights.balanced:
                raise ConfigError(
                    "class_weight='balanced' counts the classes of y in memory; for batches give the weights, "
                    "{class: rows / (classes · rows of the class)}"
                )
            stream.class_weights = weights
            return StreamLoop(StepRunner(job, threads), stream, first)
        targets = parted(job, self.checked)[1]
        warn_of_values(job.network, job.compiled(), targets)
        train = [array[:kept] for array in self.checked] if self.rest else self.checked
        if self.rest:
            for goal, y in zip(job.compiled().goals, targets, strict=True):
                warn_of_sorted(y[:kept], y[kept:], job.network.output_shapes[goal.output])
        if class_weight is not None:
            weights = ClassWeights(class_weight, only_output(job))
            *_, y, row_weights = train
            weights.balance(y)
            train[-1] = row_weights * weights.factors(y)
        assert self.batch is not None
        return ArrayLoop(StepRunner(job, threads), train, min(self.batch, len(train[0])), self.shuffle, self.steps)

    def own_loop(self, step: OwnStep, options: FitOptions) -> EpochLoop:
        """Return the loop that calls a model's own `train_step` with each batch.

        Raises:
            ConfigError: there are class weights, which it would not see.
        """
        if options.class_weight is not None:
            raise ConfigError("class_weight is not passed to a train_step of one's own: weigh rows by sample_weight")
        runner = OwnRunner(self.job, step)
        if self.source is not None:
            return OwnLoop(runner, BatchStream(self.job, self.source, self.steps, self.shuffle, trains=True))
        kept = self.rest.start
        train = [array[:kept] for array in self.checked] if self.rest else self.checked
        weighted = options.sample_weight is not None
        assert self.batch is not None
        batches = OwnBatches(self.job, train, min(self.batch, kept), bool(self.shuffle), weighted)
        return OwnLoop(runner, BatchStream(self.job, batches, self.steps))

    def validation(self, batch_size: int | None, steps: int | None, hooks: CallbackList) -> Evaluation:
        """Of the rows that were split off."""
        batch, steps = count(batch_size, "validation_batch_size", 32, 1), _steps(steps)
        if self.source is None and not hooks.evaluation_batches:
            rest = [array[self.rest.start :] for array in self.checked]
            return Evaluation(self.job, limited(rest, batch_size, steps))
        arrays = sliceable(self.job, self.arrays, "y")
        return Evaluation(self.job, BatchStream(self.job, Slices(arrays, self.rest, batch), steps))


def kept_rows(rows: int, share: Any) -> int:
    """How many rows are trained on; the split takes the last ones."""
    if not isinstance(share, numbers.Real) or not 0.0 <= float(share) < 1.0:
        raise ConfigError(f"validation_split is a share of the rows, 0 <= share < 1, got {share!r}")
    if share == 0.0:
        return rows
    # As written in decimal, but for a last digit: of 10 rows 0.9 leaves 1, though 10 * (1 - 0.9) is below 1.
    kept = int(rows * (1 - Fraction(str(share))) + Fraction(rows, 1 << 50))
    if kept == 0 or kept == rows:
        raise DataError(f"validation_split={share:g} of {rows} rows leaves no rows to train or to validate on")
    return kept


def _steps(steps: Any) -> int | None:
    return None if steps is None else count(steps, "validation_steps", 1, 1)


def validation_of(job: Job, data: Any, batch_size: int | None, steps: int | None, hooks: CallbackList) -> Evaluation:
    """Of (x, y), (x, y, weights), or an iterable of batches."""
    name, steps = "validation_data", _steps(steps)
    if is_stream(data):
        data = (data, None)
    elif not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise DataError("validation_data is (x, y), (x, y, weights) or an iterable of batches")
    x, y, *weights = data
    made = evaluation(job, [x, y, weights[0] if weights else None], batch_size, steps, hooks, name)
    if made.stream is not None and not made.stream.again and steps is None and hooks.params["epochs"] > 1:
        raise ConfigError(
            "validation_data is a generator, which one validation would use up: give validation_steps, or what can be "
            "iterated over again"
        )
    if made.stream is not None and made.stream.again:
        made.stream.first()  # what does not fit is told now, not after an epoch
    return made


def validated_epochs(frequency: Any) -> Container[int]:
    """The epochs, from 1, after which there is a validation."""
    if isinstance(frequency, Container) and not isinstance(frequency, str):
        return frequency
    every = count(frequency, "validation_freq", 1, 1)
    return range(every, sys.maxsize, every)
