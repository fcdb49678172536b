"""fit, evaluate and predict: batches, slices, validation, callbacks, history.

The engine runs slices of about 50 ms; between them Python adds up the log in float64, reports progress, and gets
its signals. One step is one row of three tables: which rows, which scalars, which results.
"""

from __future__ import annotations

import numbers
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl import inputs as given
from nbdl.callback import Callback, CallbackList, History, Logs
from nbdl.engine import executors
from nbdl.engine.program import Program, Tensor
from nbdl.engine.random import permutation
from nbdl.engine.store import Floats, aligned_zeros
from nbdl.errors import ConfigError, DataError, DivergenceError
from nbdl.progress import ProgressLine
from nbdl.recording import Objective, evaluation_program, prediction_program, training_program
from nbdl.registry import registry
from nbdl.specs import Loss, Metric, Optimizer

if TYPE_CHECKING:
    from nbdl.model import Compiled, Sequential

SLICE_SECONDS = 0.05
WORK_FLOATS = 1 << 21  # evaluation and prediction take as many rows at once as keep the work area near this


class LossMetric(Metric):
    """A loss reported as a metric: its mean over the rows."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def update(self, r: Any, y: Any, p: Any) -> Any:
        return self.loss.values(r, y, p)


def named_metrics(metrics: Sequence[Any]) -> list[tuple[str, Metric]]:
    """Metrics with the names that they are reported under: as written, or the unit's own."""
    named: list[tuple[str, Metric]] = []
    for metric in metrics:
        if isinstance(metric, str) and registry.find("metrics", metric) is None and registry.find("losses", metric):
            made: Metric = LossMetric(registry.make("losses", metric))
        else:
            made = registry.make("metrics", metric, "compile's metrics")
        name = metric if isinstance(metric, str) else made.unit_name
        if any(name == other for other, _ in named):
            raise ConfigError(f"the metric {name!r} is given twice")
        named.append((name, made))
    return named


# -- programs and executors -------------------------------------------------------------------------------


def record(model: Sequential, what: str) -> Program:
    """The program of a model: "predict", "evaluate" or "train"."""
    model.build()
    _refuse_shared(model)
    shape = model._known_input_shape()
    if what == "predict":
        return prediction_program(model.layers, shape)
    compiled = model._compiled()
    objective = Objective(compiled.loss, compiled.metrics)
    target_shape = compiled.loss.target_shape(model.output_shape)
    if what == "evaluate":
        return evaluation_program(model.layers, shape, target_shape, objective, model.store)
    if what == "train":
        return training_program(model.layers, shape, target_shape, objective, compiled.optimizer, model.store)
    raise ConfigError(f"program: 'predict', 'evaluate' or 'train', got {what!r}")


def _refuse_shared(model: Sequential) -> None:
    """A layer knows the weights of one model: the one that was built last."""
    own = {id(weight.tensor) for weight in model.weights}
    for layer in model.layers:
        for value in vars(layer).values():
            if isinstance(value, Tensor) and id(value) not in own:
                raise ConfigError(
                    f"layer {layer.name!r} was put into another model after {model.name!r}, and its weights went with "
                    "it: give each model layers of its own; set_weights copies values"
                )


def executor(
    model: Sequential, what: str, rows: int, gathered: Sequence[str | None], slots: Floats | None = None
) -> Any:
    """The executor of a model's program, made once for each kind of batch."""
    key = (what, rows, tuple(gathered), executors.device(), 0 if slots is None else slots.ctypes.data)
    found = model._executors.get(key)
    if found is None:
        found = executors.make(record(model, what), model.store, rows, gathered, slots)
        model._executors[key] = found
    return found


def rows_at_once(program: Program, rows: int) -> int:
    """Rows per step of evaluation and prediction: a power of two that suits the cache, not above what is needed."""
    width = sum(tensor.features for o in program.operations for tensor in o.outputs if tensor.rows)
    most = max(32, min(4096, WORK_FLOATS // max(1, width)))
    most = 1 << (most.bit_length() - 1)
    return min(most, max(1, 1 << max(0, rows - 1).bit_length()))


def training_state(model: Sequential) -> Any:
    """The optimizer's slots and counters, made at the first fit."""
    from nbdl.model import TrainingState

    if model.training_state is None:
        slots = model.optimizer.used_slots()
        model.training_state = TrainingState(aligned_zeros(len(slots) * model.store.trainable_size))
    return model.training_state


# -- predict and evaluate ---------------------------------------------------------------------------------


def _tables(rows: int, at_once: int, order: Any, width: int, log_width: int) -> tuple[Any, Any, Any]:
    """steps, scalars and log for one pass over the rows."""
    firsts = np.arange(0, rows, at_once, dtype=np.int64)
    steps = np.zeros((len(firsts), 4), np.int64)
    steps[:, 0] = firsts
    steps[:, 1] = np.minimum(at_once, rows - firsts)
    if order is not None:
        steps[:, 3] = order.ctypes.data + 8 * firsts
    scalars = np.zeros((len(firsts), max(1, width)), np.float32)
    scalars[:, 0] = steps[:, 1]
    return steps, scalars, np.zeros((len(firsts), max(1, log_width)), np.float32)


def _run(runner: Any, batches: Any, threads: int | None) -> None:
    """All steps, in slices: between them Python gets its signals."""
    done, count = 0, 1
    while done < len(batches.steps):
        part, began = slice(done, done + count), time.perf_counter()
        rows = {name: getattr(batches, name)[part] for name in ("steps", "scalars", "log")}
        runner.run(replace(batches, **rows), threads)
        done += count
        count = min(4 * count, max(1, int(count * SLICE_SECONDS / max(time.perf_counter() - began, 1e-9))))


def predict(model: Sequential, x: Any, threads: int | None = None) -> np.ndarray:
    """Predictions for all rows."""
    _check_threads(threads)
    array = given.inputs(x, model.input_shape)
    if not model.built:
        model.build(array.shape[1:] if model.input_shape is None else None)
    rows, shape = len(array), model.output_shape
    output = np.empty((rows, *shape), np.float32)
    if rows == 0:
        return output
    program = model._executors.get("predict")
    if program is None:
        program = model._executors["predict"] = record(model, "predict")
    at_once = rows_at_once(program, rows)
    kind = given.gathered(array, shuffled=False)
    order = None if kind is None else np.arange(rows, dtype=np.int64)
    steps, scalars, log = _tables(rows, at_once, order, len(program.scalars), program.log_width)
    batches = executors.Batches(steps, scalars, log, [array], output, model.seed)
    _run(executor(model, "predict", at_once, [kind]), batches, threads)
    return output


def evaluate(
    model: Sequential, x: Any, y: Any, sample_weight: Any = None, threads: int | None = None
) -> dict[str, float]:
    """The loss and each metric over all rows, by name."""
    _check_threads(threads)
    compiled = model._compiled()
    data = _checked_data(model, x, y, sample_weight)
    return _evaluate(model, compiled, data, threads)


def _evaluate(
    model: Sequential, compiled: Compiled, data: list[Any], threads: int | None
) -> dict[str, float]:
    rows = len(data[0])
    if rows == 0:
        raise DataError("there are no rows to evaluate on")
    program = model._executors.get("evaluate")
    if program is None:
        program = model._executors["evaluate"] = record(model, "evaluate")
    at_once = rows_at_once(program, rows)
    kinds = [given.gathered(array, shuffled=False) for array in data]
    order = np.arange(rows, dtype=np.int64) if any(kinds) else None
    steps, scalars, log = _tables(rows, at_once, order, len(program.scalars), program.log_width)
    batches = executors.Batches(steps, scalars, log, data, None, model.seed)
    _run(executor(model, "evaluate", at_once, kinds), batches, threads)
    tally = Tally(program, compiled.metrics)
    tally.add(log, steps[:, 1])
    return tally.figures()


class Tally:
    """Adds up the log's rows, in float64, into the figures of an epoch."""

    def __init__(self, program: Program, metrics: Sequence[tuple[str, Metric]]) -> None:
        self.metrics, self.rows = list(metrics), 0
        self.places, start = {}, 0
        for name, width in program.log:
            self.places[name] = slice(start, start + width)
            start += width
        self.sums = np.zeros(max(1, start), np.float64)

    def add(self, log: Floats, rows: Any) -> None:
        """Add steps; a penalty is one number per step and counts with its rows."""
        parts = log.astype(np.float64)
        if "penalty" in self.places:
            parts[:, self.places["penalty"]] *= rows[:, None]
        self.sums[: parts.shape[1]] += parts.sum(axis=0)
        self.rows += int(rows.sum())

    def figures(self) -> dict[str, float]:
        """loss (penalties included, as in Keras) and metrics."""
        if self.rows == 0:
            return {}
        loss = self.sums[self.places["loss"]][0]
        if "penalty" in self.places:
            loss += self.sums[self.places["penalty"]][0]
        figures = {"loss": float(loss / self.rows)}
        for name, metric in self.metrics:
            figures[name] = metric.result(self.sums[self.places[f"metric {name}"]], self.rows)
        return figures


# -- fit --------------------------------------------------------------------------------------------------


def _checked_data(model: Sequential, x: Any, y: Any, sample_weight: Any) -> list[Any]:
    compiled = model._compiled()
    array = given.as_array(x, "x")
    if not model.built:
        model.build(None if model.input_shape is not None else (array.shape[1:] or (1,)))
    rows = given.inputs(array, model.input_shape)
    targets = given.targets(y, compiled.loss, model.output_shape, len(rows))
    return [rows, targets, given.row_weights(sample_weight, len(rows))]


def _split(data: list[Any], share: float, validation_data: Any, model: Sequential) -> tuple[list[Any], list[Any] | None]:
    """Training and validation data; the split takes the last rows."""
    if validation_data is not None:
        if not isinstance(validation_data, tuple | list) or len(validation_data) not in (2, 3):
            raise DataError("validation_data is (x, y) or (x, y, weights)")
        x, y, *weights = validation_data
        return data, _checked_data(model, x, y, weights[0] if weights else None)
    if not isinstance(share, numbers.Real) or not 0.0 <= share < 1.0:
        raise ConfigError(f"validation_split is a share of the rows, 0 <= share < 1, got {share!r}")
    if share == 0.0:
        return data, None
    rows = len(data[0])
    kept = int(rows * (1.0 - share))
    if kept == 0 or kept == rows:
        raise DataError(f"validation_split={share:g} of {rows} rows leaves no rows to train or to validate on")
    return [array[:kept] for array in data], [array[kept:] for array in data]


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


def _count(value: Any, name: str, default: int, least: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise ConfigError(f"{name} is an integer of at least {least}, got {value!r}")
    return int(value)


def _check_threads(threads: int | None) -> None:
    _count(threads, "threads", 1, 1)


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
    batch = _count(batch_size, "batch_size", 32, 1)
    last = _count(epochs, "epochs", 1, 0)
    first = _count(initial_epoch, "initial_epoch", 0, 0)
    _check_threads(threads)
    with _alone(model):
        data = _checked_data(model, x, y, sample_weight)
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
        logs: Logs = {}
        hooks.call("on_train_begin", {})
        try:
            for epoch in range(first, last):
                hooks.call("on_epoch_begin", epoch, {})
                logs = run.epoch(epoch, hooks)
                hooks.call("on_epoch_end", epoch, logs)
                if model.stop_training:
                    break
        finally:
            # Whoever ended the run, even Ctrl-C: callbacks restore the best weights here.
            hooks.call("on_train_end", logs)
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
        self.model, self.data, self.validation, self.batch = model, data, validation, batch
        self.threads = threads
        self.compiled = model._compiled()
        self.state = training_state(model)
        self.rows = len(data[0])
        self.steps_per_epoch = -(-self.rows // batch)
        # With a single batch there is nothing to shuffle, and the data can be used where it lies.
        self.shuffle = shuffle and self.steps_per_epoch > 1
        self.kinds = [given.gathered(array, self.shuffle) for array in data]
        self.in_order = np.arange(self.rows, dtype=np.int64)
        self.executor = executor(model, "train", batch, self.kinds, self.state.slots)
        self.program: Program = self.executor.program
        self.per_slice = 1
        self.check = executors.checked()

    def epoch(self, epoch: int, hooks: CallbackList) -> Logs:
        """Run one epoch and validate; return its figures."""
        order = permutation(self.rows, self.model.seed, self.state.epochs) if self.shuffle else self.in_order
        steps, _, log = _tables(self.rows, self.batch, order, 1, self.program.log_width)
        tally = Tally(self.program, self.compiled.metrics)
        done = 0
        while done < len(steps):
            count = 1 if hooks.batches else min(self.per_slice, len(steps) - done)
            if hooks.batches:
                hooks.call("on_batch_begin", done, {})
                hooks.call("on_train_batch_begin", done, {})
            part = slice(done, done + count)
            self._slice(epoch, done, steps[part], log[part], order)
            tally.add(log[part], steps[part, 1])
            done += count
            if hooks.batches:
                hooks.call("on_batch_end", done - 1, tally.figures())
                hooks.call("on_train_batch_end", done - 1, tally.figures())
            hooks.call("on_progress", done, len(steps), tally.figures())
            if self.model.stop_training:
                break
        if not np.isfinite(self.model.store.data).all():  # no later step is there to notice it
            raise DivergenceError(
                f"training diverged in epoch {epoch + 1}, step {done}: its update left weights that are not finite. "
                "Usual remedies: a smaller learning rate, scaled inputs",
                epoch + 1, done,
            )  # fmt: skip
        self.state.epochs += 1
        logs = tally.figures()
        if self.validation is not None:
            hooks.call("on_test_begin", {})
            figures = _evaluate(self.model, self.compiled, self.validation, self.threads)
            logs.update({f"val_{name}": value for name, value in figures.items()})
            hooks.call("on_test_end", logs)
        return logs

    def _slice(self, epoch: int, done: int, steps: Any, log: Floats, order: Any) -> None:
        """Run some steps; tune how many make a slice; stop at a value that is not finite."""
        steps[:, 2] = self.state.iterations + 1 + np.arange(len(steps))
        scalars = self._scalars(steps)
        batches = executors.Batches(steps, scalars, log, self.data, None, self.model.seed)
        began = time.perf_counter()
        report = (self._checked_run if self.check else self.executor.run)(batches, self.threads)
        seconds = time.perf_counter() - began
        self.state.iterations += report.steps
        if report.stopped_by is not None or not np.isfinite(log).all():
            at = report.steps if report.stopped_by is not None else int(np.argmin(np.isfinite(log).all(axis=1)))
            self._diverged(epoch, done + at, batches, at)
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

    def _checked_run(self, batches: Any, threads: int | None) -> Any:
        return executors.make_checked(
            self.program, self.model.store, self.batch, self.kinds, self.state.slots
        ).run(batches, threads)

    def _diverged(self, epoch: int, step: int, batches: Any, at: int) -> None:
        """Replay the step one operation at a time, which finds the same bits, and say where NaN came from."""
        one = slice(at, at + 1)
        again = executors.Batches(
            batches.steps[one], batches.scalars[one], batches.log[one].copy(), batches.sources, None, batches.seed
        )
        checking = executors.make_checked(self.program, self.model.store, self.batch, self.kinds, self.state.slots)
        checking.run(again)
        finding = checking.finding
        layer = finding.operation.layer if finding else ""
        where = (
            f"first in layer {layer!r}: {finding.operation.phase} `{finding.operation.title}` gave {finding.what}"
            if finding else "in the gradients; the replay of the step did not give it again"
        )  # fmt: skip
        raise DivergenceError(
            f"training diverged in epoch {epoch + 1}, step {step + 1}: {where}. The weights are those from before "
            "that step. Usual remedies: a smaller learning rate, scaled inputs",
            epoch + 1, step + 1, layer,
        )  # fmt: skip
