"""fit: data and its parts, epochs, validation, callbacks, history.

Weights are in host memory whenever somebody may look at them or change them: before and after each epoch, and around
each step where a callback has batch hooks.
"""

from __future__ import annotations

import math
import numbers
import sys
import time
from collections.abc import Container, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.data.columns import check_names, check_order, names_of
from nbdl.engine import select as executors
from nbdl.engine.random import permutation
from nbdl.engine.run import Words
from nbdl.engine.store import Floats
from nbdl.errors import ConfigError, DataError, DivergenceError, warn
from nbdl.network.columns import kept_if_trained, learn_names, renew_names
from nbdl.network.learnable import warn_of_values
from nbdl.network.update import finalize
from nbdl.training import inputs as given
from nbdl.training.batches import Slices, Stream, in_batches, is_stream, on_disk, refuse_beside
from nbdl.training.class_weights import ClassWeights, warn_of_sorted
from nbdl.training.evaluate import Evaluation, Tally, check_threads, evaluation, limited, tables
from nbdl.training.inputs import checked_data, count
from nbdl.training.progress import ProgressLine
from nbdl.training.steps import Training, alone, fetch, kinds_of
from nbdl.units.callback import Callback, CallbackList, History, Logs, made

if TYPE_CHECKING:
    from nbdl.model.sequential import Sequential

MANY_DRAWS = 1 << 17  # rows: a process that shuffles more gains by a kernel, which takes some ms to load
REPORT_SECONDS = 0.05  # between the reports of an epoch whose batches come one by one
shuffled = [0]


def fit(
    model: Sequential,
    x: Any,
    y: Any,
    *,
    batch_size: int | None,
    epochs: int | None,
    verbose: int | str,
    callbacks: Sequence[Callback | type[Callback] | str] | None,
    validation_split: float,
    validation_data: Any,
    shuffle: bool | str,
    class_weight: Any,
    sample_weight: Any,
    initial_epoch: int,
    steps_per_epoch: int | None,
    validation_steps: int | None,
    validation_batch_size: int | None,
    validation_freq: Any,
    threads: int | None,
) -> History:
    """Train a model; see `Model.fit`."""
    last = count(epochs, "epochs", 1, 0)
    first = count(initial_epoch, "initial_epoch", 0, 0)
    check_threads(threads)
    with alone(model), kept_if_trained(model._job):
        share = validation_split if validation_data is None else 0.0
        data = Data(model, [x, y, sample_weight], batch_size, steps_per_epoch, shuffle, share)
        run = data.fit(class_weight, threads)
        learn_names(model._job.network, *data.names)
        history = History()
        shown = [ProgressLine(verbose)] if verbose else []
        params: dict[str, Any] = {
            "epochs": last, "steps": run.steps_per_epoch, "verbose": verbose, "batch_size": data.batch,
            "initial_epoch": first,
        }  # fmt: skip
        hooks = CallbackList([*made(callbacks, "fit's callbacks"), history, *shown], model, params)
        own = validation_batch_size is not None or is_stream(validation_data)
        size = validation_batch_size if own else batch_size
        run.validates = _validated(validation_freq)
        if validation_data is not None:
            run.validation = _validation(model, validation_data, size, validation_steps, hooks)
        elif data.rest:
            run.validation = data.validation(size, validation_steps, hooks)
        params["do_validation"] = run.validation is not None
        params["figures"] = hooks.figures(run.validation is not None)
        model.history, model.stop_training = history, False
        before = run.state.iterations
        try:
            hooks.begin("on_train_begin", {})
            try:
                run.epochs(params["initial_epoch"], last, hooks)
            except DivergenceError as error:
                if not any(hooks.call("on_divergence", error)):
                    raise
                model.stop_training = True
                run.progress.end(error.loss)
            if run.state.iterations > before:
                finalize(model.optimizer, run.state, model.store)
        except BaseException as error:
            hooks.end("on_train_end", run.logs, error)
            raise
        hooks.end("on_train_end", run.logs)
    return history


# -- data ---------------------------------------------------------------------------------------------------


class Data:
    """What fit was given: arrays, arrays on disk, or batches; and what validation_split takes of them.

    Attributes:
        batch: rows of a step; None where batches come as they are.
        rest: the rows that are split off.
        names: of the columns of x and of y, where they have some.
    """

    def __init__(
        self, model: Sequential, data: list[Any], batch_size: int | None, steps: int | None, shuffle: bool | str,
        share: float,
    ) -> None:  # fmt: skip
        if shuffle not in (True, False, "batch"):
            raise ConfigError(f"shuffle is True, False or 'batch', got {shuffle!r}")
        self.model, self.shuffle = model, shuffle
        self.steps = None if steps is None else count(steps, "steps_per_epoch", 1, 1)
        self.batch: int | None = None if batch_size is None else count(batch_size, "batch_size", 32, 1)
        self.arrays, self.rest = data, range(0)
        self.checked: list[Any] = []
        x, y, weights = data
        self.names = names_of(x), names_of(y)
        if is_stream(x):
            refuse_beside(y=y, sample_weight=weights, batch_size=batch_size, validation_split=share or None)
            self.source: Any = x
            return
        self.source = None
        renew_names(model._job.network, x, y)
        if any(on_disk(array) for array in data):
            check_names(model.feature_names, x)
            check_order(model._job.network.target_names, names_of(y), "y")
            self.arrays = [one if one is None or on_disk(one) else given.as_array(one, "y") for one in data]
        else:
            self.checked = checked_data(model, x, y, weights)
        rows = int((self.checked or self.arrays)[0].shape[0])
        if rows == 0:
            raise DataError("there are no rows to train on")
        kept = kept_rows(rows, share)
        self.rest = range(kept, rows)
        if self.batch is None:
            self.batch = 32 if self.steps is None else -(-kept // self.steps)
        if not self.checked:
            self.source = Slices(self.arrays, range(kept), self.batch, shuffle)

    def fit(self, class_weight: Any, threads: int | None) -> Fit:
        """The run over these data."""
        model, kept = self.model, self.rest.start
        if self.source is not None:
            stream = Stream(model, self.source, self.steps, self.shuffle, trains=True)
            first = stream.first()
            self.names = stream.names
            warn_of_values(model._job.network, model._job.compiled(), first[1])
            weights = None if class_weight is None else ClassWeights(class_weight, model.output_shape)
            if weights is not None and weights.balanced:
                raise ConfigError(
                    "class_weight='balanced' counts the classes of y in memory; for batches give the weights, "
                    "{class: rows / (classes · rows of the class)}"
                )
            stream.class_weights = weights
            return BatchesFit(Training(model, threads), stream, first)
        warn_of_values(model._job.network, model._job.compiled(), self.checked[1])
        train = [array[:kept] for array in self.checked] if self.rest else self.checked
        if self.rest:
            warn_of_sorted(train[1], self.checked[1][kept:], model.output_shape)
        if class_weight is not None:
            weights = ClassWeights(class_weight, model.output_shape)
            weights.balance(train[1])
            train[2] = train[2] * weights.factors(train[1])
        assert self.batch is not None
        return RowsFit(Training(model, threads), train, min(self.batch, len(train[0])), self.shuffle, self.steps)

    def validation(self, batch_size: int | None, steps: int | None, hooks: CallbackList) -> Evaluation:
        """Of the rows that were split off."""
        batch, steps = count(batch_size, "validation_batch_size", 32, 1), _steps(steps)
        if self.source is None and not hooks.evaluation_batches:
            rest = [array[self.rest.start :] for array in self.checked]
            return Evaluation(self.model, limited(rest, batch_size, steps))
        arrays = [one if one is None or on_disk(one) else given.as_array(one, "y") for one in self.arrays]
        return Evaluation(self.model, Stream(self.model, Slices(arrays, self.rest, batch), steps))


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


def _validation(
    model: Sequential, data: Any, batch_size: int | None, steps: int | None, hooks: CallbackList
) -> Evaluation:
    """Of (x, y), (x, y, weights), or an iterable of batches."""
    name, steps = "validation_data", _steps(steps)
    if is_stream(data):
        data = (data, None)
    elif not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise DataError("validation_data is (x, y), (x, y, weights) or an iterable of batches")
    x, y, *weights = data
    made = evaluation(model, [x, y, weights[0] if weights else None], batch_size, steps, hooks, name)
    if made.stream is not None and not made.stream.again and steps is None and hooks.params["epochs"] > 1:
        raise ConfigError(
            "validation_data is a generator, which one validation would use up: give validation_steps, or what can be "
            "iterated over again"
        )
    if made.stream is not None and made.stream.again:
        made.stream.first()  # what does not fit is told now, not after an epoch
    return made


def _validated(frequency: Any) -> Container[int]:
    """The epochs, from 1, after which there is a validation."""
    if isinstance(frequency, Container) and not isinstance(frequency, str):
        return frequency
    every = count(frequency, "validation_freq", 1, 1)
    return range(every, sys.maxsize, every)


# -- epochs -------------------------------------------------------------------------------------------------


class Fit:
    """One fit: the loop over epochs.

    Attributes:
        steps_per_epoch: None until that is known.
        each: steps after which an epoch is over, whoever looks.
        validates: the epochs, from 1, after which `validation` is made.
    """

    steps_per_epoch: int | None
    each: int
    validates: Container[int]
    progress: Progress

    def __init__(self, training: Training) -> None:
        self.training, self.model, self.state = training, training.model, training.state
        self.validation: Evaluation | None = None
        self.logs: Logs = {}

    def epochs(self, first: int, last: int, hooks: CallbackList) -> None:
        """Run the epochs; where nobody looks in between, as many at once as a slice takes."""
        self.begin()
        alone = not hooks.watching and self.validation is None
        while first < last and not self.model.stop_training:
            hooks.look()
            many = min(last - first, max(1, self.training.per_slice // self.each)) if alone else 1
            hooks.call("on_epoch_begin", first, {})
            self.run(first, many, hooks)
            first += many

    def begin(self) -> None:
        """Before the first epoch: orders of rows depend on the epochs that were trained before."""
        raise NotImplementedError

    def run(self, first: int, many: int, hooks: CallbackList) -> None:
        """Run some epochs."""
        raise NotImplementedError

    def figures(self, tally: Tally, epoch: int, hooks: CallbackList) -> Logs:
        """An epoch's figures, with those of the validation."""
        logs: Logs = tally.figures()
        if self.validation is not None and epoch + 1 in self.validates:
            figures = self.validation.figures(self.training.threads, hooks)
            logs.update({f"val_{name}": value for name, value in figures.items()})
        return logs


class RowsFit(Fit):
    """On arrays: slices of steps, which address the rows of a batch."""

    def __init__(self, training: Training, data: list[Any], batch: int, shuffle: bool | str, steps: int | None) -> None:
        super().__init__(training)
        self.rows, self.batch = len(data[0]), batch
        self.per_pass = -(-self.rows // batch)
        self.steps_per_epoch = self.each = self.per_pass if steps is None else steps
        # With a single batch there is nothing to shuffle, and the data can be used where it lies.
        self.shuffle = shuffle if self.per_pass > 1 else False
        self.kinds = [given.gathered(array, self.shuffle is True) for array in data]
        training.look_up(batch, self.kinds)
        self.sources = training.executor.prepare(data)
        training.data = data
        self.orders = [np.arange(self.rows, dtype=np.int64)]
        self.in_order = self._steps(self.orders[0])
        self.left = self.in_order[:0]  # of the pass under way, where an epoch ends before it

    def begin(self) -> None:
        """Where the epochs so far have come to, within a pass too, so that a saved model goes on as it would have."""
        self.passes, done = divmod(self.state.epochs * self.each, self.per_pass)
        self.left = self._pass()[done:].copy() if done else self.in_order[:0]

    def run(self, first: int, many: int, hooks: CallbackList) -> None:
        training, each = self.training, self.each
        training.look_up(self.batch, self.kinds)
        steps, log = self._next(many * each), training.log(many * each)
        progress = self.progress = Progress(self, first, hooks)
        done = 0

        def where(step: int) -> tuple[int, int]:
            epochs, step = divmod(done + step, each)
            return first + epochs, step

        with training.on_device():
            while done < len(steps) and not self.model.stop_training:
                size = 1 if hooks.batches else min(training.per_slice, len(steps) - done)
                part = slice(done, done + size)
                progress.begin(done)
                before = self.state.iterations
                try:
                    training.run(steps[part], log[part], self.sources, where)
                finally:  # of a slice that was stopped, what it had done counts
                    size = self.state.iterations - before
                    progress.add(done, steps[done : done + size, 1], log[done : done + size])
                done += size
        training.refuse_spoiled_weights(first + many - 1, each, "after it")  # no later step notices it
        progress.end()

    def _next(self, wanted: int) -> Words:
        """So many steps, of as many passes over the rows as that takes; orders live as long as steps address them."""
        older, fresh = int(len(self.left) > 0), -(-(wanted - len(self.left)) // self.per_pass)
        steps = np.concatenate([self.left, *(self._pass() for _ in range(fresh))])
        self.orders = self.orders[-older - fresh :]
        self.left = steps[wanted:].copy()
        return steps[:wanted]

    def _pass(self) -> Words:
        """The steps of one pass over the rows, in a new order."""
        number, self.passes = self.passes, self.passes + 1
        if self.shuffle == "batch":
            return np.asarray(in_batches(self.in_order, self.rows // self.batch, self.model.seed, number))
        if not self.shuffle:
            return self.in_order
        shuffled[0] += self.rows
        compiled = shuffled[0] > MANY_DRAWS and executors.device() == "cpu"
        self.orders.append(permutation(self.rows, self.model.seed, number, compiled))
        return self._steps(self.orders[-1])

    def _steps(self, order: Words) -> Words:
        return np.asarray(tables(self.rows, self.batch, order, 1, 1)[0])


class BatchesFit(Fit):
    """On batches as they come: a slice is one step."""

    each = sys.maxsize

    def __init__(self, training: Training, stream: Stream, first: list[Any]) -> None:
        super().__init__(training)
        self.stream, self.steps_per_epoch = stream, stream.per_epoch
        training.look_up(len(first[0]), kinds_of(first))

    def begin(self) -> None:
        self.stream.passes = self.state.epochs

    def run(self, first: int, many: int, hooks: CallbackList) -> None:
        training, stream = self.training, self.stream
        training.look_up(training.rows, training.kinds)
        progress = self.progress = Progress(self, first, hooks)
        done, seen = 0, time.perf_counter()
        with training.on_device():
            for batch in stream.epoch():
                data = stream.checked(batch, f"batch {done + 1} of epoch {first + 1}")
                training.take(data)
                progress.begin(done)
                log = training.step(data, (first, done))
                look = time.perf_counter() - seen > REPORT_SECONDS
                progress.add(done, np.array([len(data[0])]), log, look)
                seen = time.perf_counter() if look else seen
                done += 1
                if self.model.stop_training:
                    break
        training.refuse_spoiled_weights(first, done, "after it")
        self._look_for_the_end(first, done, hooks)
        progress.end()

    def _look_for_the_end(self, epoch: int, done: int, hooks: CallbackList) -> None:
        """Stop where there were too few batches; learn how many there are."""
        if self.model.stop_training:
            return
        if done < (self.stream.steps or 1):
            wanted = "" if self.stream.steps is None else f" of {self.stream.steps}"
            warn(
                f"x ran out of data in epoch {epoch + 1}, after {done}{wanted} batches, and training ends here: give "
                "what can be iterated over again, or a generator of steps_per_epoch * epochs batches"
            )
            self.model.stop_training = True
        elif self.steps_per_epoch is None:
            self.steps_per_epoch = hooks.params["steps"] = done


class Progress:
    """Adds up the steps of some epochs, ends those that are whole, and tells the callbacks."""

    def __init__(self, fit: Fit, epoch: int, hooks: CallbackList) -> None:
        self.fit, self.epoch, self.hooks = fit, epoch, hooks
        self.tally = fit.training.tally()

    def begin(self, step: int) -> None:
        """Before a slice, which is one step if somebody wants to know."""
        if self.hooks.batches:
            self.hooks.call("on_batch_begin", step, {})
            self.hooks.call("on_train_batch_begin", step, {})
            self.fit.training.executor.push()

    def add(self, done: int, rows: Any, log: Floats, look: bool = True) -> None:
        """After a slice: the rows of each of its steps, and what they logged; whether it is time for a report."""
        each = self.fit.each
        while len(rows):
            size = min(len(rows), each - done % each)
            self.tally.add(log[:size], rows[:size])
            done, rows, log = done + size, rows[size:], log[size:]
            if self.hooks.batches:
                fetch(self.fit.training.executor)
                self.hooks.call("on_batch_end", done - 1, self.tally.figures())
                self.hooks.call("on_train_batch_end", done - 1, self.tally.figures())
            if self.hooks.watching:
                if look:
                    self.hooks.call("on_progress", done, self.fit.steps_per_epoch or 0, self.tally.figures())
            elif done % each == 0 and self.fit.validation is None:  # else after the weights have been fetched
                self.end()

    def end(self, loss: float | None = None) -> None:
        """The epoch is over, whole or stopped; or broken off by a loss that is not finite, which is then its own."""
        if not self.tally.rows and loss is None:
            return
        self.fit.state.epochs += 1
        self.fit.logs = self.fit.figures(self.tally, self.epoch, self.hooks)
        if loss is not None:
            unknown = dict.fromkeys(self.fit.model.metrics_names, math.nan)
            self.fit.logs = {**unknown, **self.fit.logs, "loss": loss}
        self.hooks.call("on_epoch_end", self.epoch, self.fit.logs)
        self.epoch += 1
        self.tally = self.fit.training.tally()
