"""fit: batches, slices, validation, callbacks, history.

The engine runs slices of about 50 ms; between them Python adds up the log in float64, reports progress, and gets
its signals. One step is one row of three tables: which rows, which scalars, which results.

Weights live on the model's device while steps run, and are in host memory whenever somebody may look at them or change
them: before and after each epoch, and around each step where a callback has batch hooks.
"""

from __future__ import annotations

import math
import numbers
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl import inputs as given
from nbdl.callback import Callback, CallbackList, History, Logs
from nbdl.engine import executors
from nbdl.engine.batches import Finding
from nbdl.engine.program import Program
from nbdl.engine.random import permutation
from nbdl.engine.store import Floats
from nbdl.engine.threads import Tuner
from nbdl.errors import ConfigError, DataError, DeviceError, DivergenceError
from nbdl.inference import SLICE_SECONDS, Evaluation, Tally, check_threads, checked_data, count, tables
from nbdl.programs import executor, training_state
from nbdl.progress import ProgressLine
from nbdl.registry import registry
from nbdl.specs import Optimizer

if TYPE_CHECKING:
    from nbdl.model import Sequential


def _split(
    data: list[Any], share: float, validation_data: Any, model: Sequential
) -> tuple[list[Any], list[Any] | None]:
    """Training and validation data; the split takes the last rows."""
    if validation_data is not None:
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            raise DataError("validation_data is (x, y) or (x, y, weights)")
        x, y, *weights = validation_data
        return data, checked_data(model, x, y, weights[0] if weights else None)
    if not isinstance(share, numbers.Real) or not 0.0 <= share < 1.0:
        raise ConfigError(f"validation_split is a share of the rows, 0 <= share < 1, got {share!r}")
    if share == 0.0:
        return data, None
    rows = len(data[0])
    kept = int(rows * (1.0 - share))
    if kept == 0 or kept == rows:
        raise DataError(f"validation_split={share:g} of {rows} rows leaves no rows to train or to validate on")
    return [array[:kept] for array in data], [array[kept:] for array in data]


MANY_DRAWS = 1 << 17  # rows: a process that shuffles more gains by a kernel, which takes some ms to load
shuffled = [0]
_fitting = threading.Lock()


@contextmanager
def _alone(model: Sequential) -> Iterator[None]:
    """Two fits on one model at once would mix their updates."""
    with _fitting:
        if model.__dict__.get("_in_fit"):
            raise ConfigError("this model is being fitted by another thread; one fit at a time")
        model.__dict__["_in_fit"] = True
    try:
        yield
    finally:
        model.__dict__["_in_fit"] = False


@contextmanager
def _interrupt_afterwards() -> Iterator[None]:
    """Let Ctrl-C wait for the end of this block, so that it never falls between the steps and their count."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody else handles it
        return
    asked: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked:
        raise KeyboardInterrupt


def _fetch(executor: executors.Executor) -> None:
    """Bring the weights to host memory, all of them: Ctrl-C waits."""
    with _interrupt_afterwards():
        executor.pull()


@contextmanager
def _weights_on_device(executor: executors.Executor) -> Iterator[None]:
    """Within this block the device has the weights; after it, however it ends, host memory has them."""
    executor.push()
    try:
        yield
    except BaseException:
        with suppress(DeviceError):  # of a device that is lost; the first error says more
            _fetch(executor)
        raise
    _fetch(executor)


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
    shuffle: bool,
    sample_weight: Any,
    initial_epoch: int,
    threads: int | None,
) -> History:
    """Train a model; see `Sequential.fit`."""
    batch = count(batch_size, "batch_size", 32, 1)
    last = count(epochs, "epochs", 1, 0)
    first = count(initial_epoch, "initial_epoch", 0, 0)
    check_threads(threads)
    with _alone(model):
        data = checked_data(model, x, y, sample_weight)
        if len(data[0]) == 0:
            raise DataError("there are no rows to train on")
        train, validation = _split(data, validation_split, validation_data, model)
        run = Fit(model, train, validation, min(batch, len(train[0])), shuffle, threads)
        history = History()
        shown = [ProgressLine(verbose)] if verbose else []
        given_callbacks = callbacks if isinstance(callbacks, list | tuple) else [callbacks] if callbacks else []
        made = [registry.make("callbacks", one, "fit's callbacks") for one in given_callbacks]
        hooks = CallbackList(
            [history, *made, *shown], model,
            {"epochs": last, "steps": run.steps_per_epoch, "verbose": verbose, "batch_size": batch},
        )  # fmt: skip
        model.history, model.stop_training = history, False
        hooks.call("on_train_begin", {})
        try:
            run.epochs(first, last, hooks)
        finally:
            # Whoever ended the run, even Ctrl-C: callbacks restore the best weights here.
            hooks.call("on_train_end", run.logs)
    return history


def _per_step(optimizer: Optimizer, steps: Any, names: list[str]) -> Any:
    """The optimizer's scalars for all steps, a row for each name: at once where its arithmetic takes an array."""
    try:
        values = optimizer.per_step(steps.astype(np.float64))
        return [np.broadcast_to(values[name], len(steps)) for name in names]
    except (TypeError, ValueError):
        each = [optimizer.per_step(int(step)) for step in steps]
        return [[values[name] for values in each] for name in names]


class Fit:
    """One fit: tables, batches, and the loop over the slices of an epoch."""

    def __init__(
        self, model: Sequential, data: list[Any], validation: list[Any] | None, batch: int, shuffle: bool,
        threads: int | None,
    ) -> None:  # fmt: skip
        self.model, self.data, self.batch, self.threads = model, data, batch, threads
        self.compiled, self.device = model._compiled(), (model.device, model.precision)
        self.state = training_state(model)
        self.rows = len(data[0])
        self.steps_per_epoch = -(-self.rows // batch)
        # With a single batch there is nothing to shuffle, and the data can be used where it lies.
        self.shuffle = shuffle and self.steps_per_epoch > 1
        self.kinds = [given.gathered(array, self.shuffle) for array in data]
        self.in_order = np.arange(self.rows, dtype=np.int64)
        self.executor = executor(model, "train", batch, self.kinds, self.state.slots)
        self.sources = self.executor.prepare(data)
        self.validation = None if validation is None else Evaluation(model, self.compiled, validation)
        self.program: Program = self.executor.program
        self.tuner: Tuner | None = self.executor.tuner(threads)
        self.per_slice = 1
        self.logs: Logs = {}

    def epochs(self, first: int, last: int, hooks: CallbackList) -> None:
        """Run the epochs; where nobody looks in between, as many at once as a slice takes."""
        alone = not hooks.watching and self.validation is None
        while first < last and not self.model.stop_training:
            many = min(last - first, max(1, self.per_slice // self.steps_per_epoch)) if alone else 1
            self._epochs(first, many, hooks)
            first += many

    def _epochs(self, first: int, many: int, hooks: CallbackList) -> None:
        steps, log = self._tables(many)
        progress = Progress(self, first, hooks)
        done = 0
        with _weights_on_device(self.executor):
            while done < len(steps) and not self.model.stop_training:
                size = 1 if hooks.batches else min(self.per_slice, len(steps) - done)
                part = slice(done, done + size)
                progress.begin(done)
                before = self.state.iterations
                try:
                    self._slice(first, done, steps[part], log[part])
                finally:  # of a slice that was stopped, what it had done counts
                    size = self.state.iterations - before
                    progress.add(done, steps[done : done + size, 1], log[done : done + size])
                done += size
        self._refuse_spoiled_weights(first + many - 1, self.steps_per_epoch, "after it")  # no later step notices it
        progress.end()

    def _tables(self, many: int) -> tuple[Any, Floats]:
        """Steps and log of some epochs, each in an order of its own; the orders live as long as this fit."""
        orders = [self.in_order]
        if self.shuffle:
            orders = [self._order(self.state.epochs + epoch) for epoch in range(many)]
        self.orders = orders
        each = [tables(self.rows, self.batch, order, 1, 1)[0] for order in orders]
        steps = np.concatenate(each) if len(each) > 1 else np.tile(each[0], (many // len(each), 1))
        return steps, np.zeros((len(steps), max(1, self.program.log_width)), np.float32)

    def _order(self, epoch: int) -> Any:
        shuffled[0] += self.rows
        compiled = shuffled[0] > MANY_DRAWS and executors.device() == "cpu"
        return permutation(self.rows, self.model.seed, epoch, compiled)

    def figures(self, tally: Tally, hooks: CallbackList) -> Logs:
        """An epoch's figures, with those of the validation."""
        logs: Logs = tally.figures()
        if self.validation is not None:
            hooks.call("on_test_begin", {})
            figures = self.validation.figures(self.threads)
            logs.update({f"val_{name}": value for name, value in figures.items()})
            hooks.call("on_test_end", logs)
        return logs

    def _slice(self, epoch: int, done: int, steps: Any, log: Floats) -> None:
        """Run some steps; tune how many make a slice; stop at a value that is not finite."""
        steps[:, 2] = self.state.iterations + 1 + np.arange(len(steps))
        scalars = self._scalars(steps)
        batches = executors.Batches(steps, scalars, log, self.sources, None, self.model.seed)
        began = time.perf_counter()
        with _interrupt_afterwards():
            report = self.executor.run(batches, self.threads if self.tuner is None else self.tuner.next())
            self.state.iterations += report.steps
        seconds = time.perf_counter() - began
        if self.tuner is not None:
            self.tuner.took(seconds, len(steps))
        if report.stopped_by is not None:
            epochs, step = divmod(done + report.steps, self.steps_per_epoch)
            self._diverged(epoch + epochs, step, batches, report.steps)
        wanted = int(len(steps) * SLICE_SECONDS / max(seconds, 1e-9))
        self.per_slice = max(1, min(wanted, 4 * self.per_slice))

    def _scalars(self, steps: Any) -> Floats:
        optimizer: Optimizer = self.compiled.optimizer
        table = np.zeros((len(steps), len(self.program.scalars)), np.float32)
        table[:, 0] = steps[:, 1]
        with np.errstate(over="ignore"):  # infinity is refused below
            for column, values in enumerate(_per_step(optimizer, steps[:, 2], self.program.scalars[1:]), 1):
                table[:, column] = values
        if not np.isfinite(table).all():
            bad = self.program.scalars[int(np.argmin(np.isfinite(table).all(axis=0)))]
            raise ConfigError(f"{optimizer!r}: its {bad} is not a finite number")
        return table

    def _refuse_spoiled_weights(self, epoch: int, step: int, when: str) -> None:
        """An update can overflow though its gradients are finite; what it wrote cannot be taken back."""
        with np.errstate(all="ignore"):
            if math.isfinite(float(self.model.store.data.sum())):
                return
        for weight in self.model.weights:
            if not np.isfinite(weight.value).all():
                raise DivergenceError(
                    f"training diverged in epoch {epoch + 1}, step {step}: {when} {weight.name!r} holds weights that "
                    "are not finite. Usual remedies: a smaller learning rate, scaled inputs",
                    epoch + 1, step, weight.layer.name,
                )  # fmt: skip

    def _diverged(self, epoch: int, step: int, batches: Any, at: int) -> None:
        """Replay the step one operation at a time, which finds the same bits, and say where NaN came from."""
        _fetch(self.executor)
        self._refuse_spoiled_weights(epoch, step + 1, "before it")
        where, layer = "in the gradients; the replay of the step did not give it again", ""
        try:
            finding = self._replayed(batches, slice(at, at + 1))
        except DeviceError as error:  # it needs more memory than the run did
            finding, where = None, f"in the gradients; the step could not be replayed: {error}"
        if finding is not None:
            layer = finding.operation.layer
            where = (
                f"first in layer {layer!r}: {finding.operation.phase} `{finding.operation.title}` gave {finding.what}"
            )
        raise DivergenceError(
            f"training diverged in epoch {epoch + 1}, step {step + 1}: {where}. The weights are those from before "
            "that step. Usual remedies: a smaller learning rate, scaled inputs",
            epoch + 1, step + 1, layer,
        )  # fmt: skip

    def _replayed(self, batches: Any, one: slice) -> Finding | None:
        checking = executors.make_checked(
            self.program, self.model.store, self.batch, self.kinds, self.state.slots, *self.device
        )
        again = executors.Batches(
            batches.steps[one], batches.scalars[one], batches.log[one].copy(), self.sources, None, batches.seed
        )
        weights, slots = self.model.store.data.copy(), self.state.slots.copy()
        checking.push()
        checking.run(again)
        checking.pull()  # where rounding differs the step may go through: take back what it changed
        self.model.store.data[:], self.state.slots[:] = weights, slots
        self.executor.push()
        return checking.finding


class Progress:
    """Adds up the steps of some epochs, ends those that are whole, and tells the callbacks."""

    def __init__(self, fit: Fit, epoch: int, hooks: CallbackList) -> None:
        self.fit, self.epoch, self.hooks = fit, epoch, hooks
        self.tally = Tally(fit.program, fit.compiled.metrics)
        hooks.call("on_epoch_begin", epoch, {})

    def begin(self, step: int) -> None:
        """Before a slice, which is one step if somebody wants to know."""
        if self.hooks.batches:
            self.hooks.call("on_batch_begin", step, {})
            self.hooks.call("on_train_batch_begin", step, {})
            self.fit.executor.push()

    def add(self, done: int, rows: Any, log: Floats) -> None:
        """After a slice: the rows of each of its steps, and what they logged."""
        each = self.fit.steps_per_epoch
        while len(rows):
            size = min(len(rows), each - done % each)
            self.tally.add(log[:size], rows[:size])
            done, rows, log = done + size, rows[size:], log[size:]
            if self.hooks.batches:
                _fetch(self.fit.executor)
                self.hooks.call("on_batch_end", done - 1, self.tally.figures())
                self.hooks.call("on_train_batch_end", done - 1, self.tally.figures())
            if self.hooks.watching:
                self.hooks.call("on_progress", done, each, self.tally.figures())
            elif done % each == 0 and self.fit.validation is None:  # else after the weights have been fetched
                self.end()

    def end(self) -> None:
        """The epoch is over, whole or stopped."""
        if not self.tally.rows:
            return
        self.fit.state.epochs += 1
        self.fit.logs = self.fit.figures(self.tally, self.hooks)
        self.hooks.call("on_epoch_end", self.epoch, self.fit.logs)
        self.epoch += 1
        self.tally = Tally(self.fit.program, self.fit.compiled.metrics)
