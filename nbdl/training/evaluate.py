"""predict and evaluate: one pass over rows, in as large batches as suit the device, or over batches as they come."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.data.columns import check_names, check_order, names_of
from nbdl.engine import select as executors
from nbdl.engine.store import Floats
from nbdl.errors import DataError, NbdlError
from nbdl.network.executors import executor_of, program_of, quick_net, rows_at_once
from nbdl.program.recorder import Program
from nbdl.training import inputs as given
from nbdl.training.batches import Slices, Stream, is_stream, on_disk, parts, refuse_beside
from nbdl.training.inputs import checked_data, count
from nbdl.units.callback import CallbackList, made
from nbdl.units.metric import Metric, in_order

if TYPE_CHECKING:
    from nbdl.model.sequential import Sequential

SLICE_SECONDS = 0.05
FEW_PRODUCTS = 1 << 20  # multiplications, some 20 µs: not worth the tables of a run


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is none."""
    count(threads, "threads", 1, 1)


def tables(rows: int, at_once: int, order: Any, width: int, log_width: int) -> tuple[Any, Any, Any]:
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


def _part(batches: Any, part: slice) -> Any:
    """Some of the steps."""
    if len(batches.steps) == 1:
        return batches
    return replace(batches, steps=batches.steps[part], scalars=batches.scalars[part], log=batches.log[part])


def _run(runner: Any, batches: Any, threads: int | None) -> None:
    """All steps, in slices: between them Python gets its signals."""
    done, count = 0, 1
    while done < len(batches.steps):
        part, began = slice(done, done + count), time.perf_counter()
        report = runner.run(_part(batches, part), threads)
        if report.stopped_by is not None:  # in checked runs only
            raise NbdlError(
                f"NBDL_CHECK: {report.stopped_by.layer}: {report.stopped_by.title} gave {runner.finding.what}"
            )
        done += count
        count = min(4 * count, max(1, int(count * SLICE_SECONDS / max(time.perf_counter() - began, 1e-9))))


class Pass:
    """A program, its executor and data put where that reads it: all for one pass over the rows, as often as wanted."""

    def __init__(
        self, model: Sequential, what: str, data: list[Any], device: str, output: Floats | None = None
    ) -> None:
        rows, self.program = len(data[0]), program_of(model._job, what)
        at_once = rows_at_once(self.program, rows, device)
        kinds = [given.gathered(array, shuffled=False) for array in data]
        self.order = np.arange(rows, dtype=np.int64) if any(kinds) else None  # the steps hold its address
        self.executor = executor_of(model._job, what, at_once, kinds, device=device)
        steps, scalars, log = tables(rows, at_once, self.order, len(self.program.scalars), self.program.log_width)
        sources = self.executor.prepare(data)
        self.batches = executors.Batches(steps, scalars, log, sources, output, model.seed)

    def run(self, threads: int | None) -> None:
        """All rows once, with the weights that host memory has now."""
        self.executor.push()
        _run(self.executor, self.batches, threads)


def predict(
    model: Sequential, x: Any, batch_size: int | None = None, steps: int | None = None, callbacks: Any = None,
    threads: int | None = None,
) -> np.ndarray:  # fmt: skip
    """Predictions for all rows, or for those of an iterable's batches."""
    check_threads(threads)
    if type(x) is np.ndarray and steps is None and not callbacks:  # the usual case, in some µs less
        count(batch_size, "batch_size", 32, 1)
        return _predicted(model, _first(model, x, None, None), threads, model.device)
    hooks = CallbackList(made(callbacks, "predict's callbacks"), model, {"steps": steps})
    source = batches_of(model, [x], batch_size, steps, hooks.evaluation_batches)
    hooks.call("on_predict_begin", {})
    if source is None:
        output = _predicted(model, _first(model, x, batch_size, steps), threads, model.device)
    else:
        output = _predicted_batches(model, source, threads, hooks)
    hooks.call("on_predict_end", {})
    return output


def _first(model: Sequential, x: Any, batch_size: int | None, steps: int | None) -> Any:
    """The rows of so many steps, checked."""
    check_names(model.feature_names, x)
    rows = given.inputs(x, model.input_shape, model.layers)
    if not model.built:
        model.build(rows.shape[1:] if model.input_shape is None else None)
    return limited([rows], batch_size, steps)[0]


def _predicted_batches(model: Sequential, source: Stream, threads: int | None, hooks: CallbackList) -> np.ndarray:
    outputs: list[np.ndarray] = []
    model.stop_predicting = False
    for number, batch in enumerate(source.epoch()):
        hooks.call("on_predict_batch_begin", number, {})
        with source.naming(f"batch {number + 1}"):
            rows = _first(model, parts(batch, "x")[0], None, None)
        outputs.append(_predicted(model, rows, threads, model.device))
        hooks.call("on_predict_batch_end", number, {"outputs": outputs[-1]})
        if model.stop_predicting:
            break
    if not outputs:
        raise DataError("x gave no batches")
    return np.concatenate(outputs)


def batches_of(
    model: Sequential, data: list[Any], batch_size: int | None, steps: int | None, one_by_one: bool = False,
    name: str = "x",
) -> Stream | None:  # fmt: skip
    """x (and y and weights) as batches: given so, read from files a slice at a time, or looked at `one_by_one`.

    None where they are arrays that can be used whole.
    """
    batch = count(batch_size, "batch_size", 32, 1)
    count(steps, "steps", 1, 1)
    x, *others = data
    if is_stream(x):
        refuse_beside(batch_size=batch_size, **dict(zip(("y", "sample_weight"), others, strict=False)))
        return Stream(model, x, steps, name=name)
    if not one_by_one and not any(on_disk(array) for array in data):
        return None
    check_names(model.feature_names, x)
    check_order(model._job.network.target_names, names_of(others[0] if others else None), "y")
    arrays = [array if array is None or on_disk(array) else given.as_array(array, name) for array in data]
    return Stream(model, Slices(arrays, range(len(arrays[0])), batch), steps, name=name)


def limited(data: list[Any], batch_size: int | None, steps: int | None) -> list[Any]:
    """The rows of so many steps of that size; without a size, a step is so large that all rows are taken."""
    return data if steps is None or batch_size is None else [array[: steps * batch_size] for array in data]


def call(model: Sequential, x: Any) -> np.ndarray:
    """Predictions for rows or a single row, without a look at the numbers, on the CPU."""
    check_names(model.feature_names, x)
    array = given.as_array(x, "x")
    given.warn_of_large(array, "x")
    if not model.built:
        model.build(None if model.input_shape is not None else array.shape[1:] or (1,))
    shape = model.input_shape or ()
    single = array.shape == shape
    result = _predicted(model, given.rows_of(array[None] if single else array, shape, "x"), None, "cpu")
    return np.asarray(result[0]) if single else result


def _predicted(model: Sequential, rows: Any, threads: int | None, device: str) -> np.ndarray:
    shape, program = model.output_shape, program_of(model._job, "predict")
    few = device == "cpu" and len(rows) * (model.store.size + program.row_floats) <= FEW_PRODUCTS
    net = quick_net(model._job) if few else None
    output: np.ndarray | None = None
    if net is not None:
        with suppress(RuntimeError):  # a body reaches outside an array: the line is told below
            output = net(rows if rows.dtype == np.float32 else rows.astype(np.float32))
    if output is None:
        output = run_rows(model, "predict", [rows], math.prod(shape), threads, device)
    return output.reshape(len(rows), *shape)


def run_rows(
    model: Sequential, what: str, data: list[Any], width: int, threads: int | None = None, device: str = "cpu"
) -> Floats:
    """What a program gives for all rows: rows × width."""
    output = np.empty((len(data[0]), width), np.float32)
    if len(output):
        Pass(model, what, data, device, output).run(threads)
    return output


def evaluate(
    model: Sequential, x: Any, y: Any, sample_weight: Any = None, batch_size: int | None = None,
    steps: int | None = None, callbacks: Any = None, threads: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The loss and each metric over all rows, or those of an iterable's batches, by name."""
    check_threads(threads)
    hooks = CallbackList(made(callbacks, "evaluate's callbacks"), model, {"steps": steps})
    return evaluation(model, [x, y, sample_weight], batch_size, steps, hooks).figures(threads, hooks)


def test_on_batch(model: Sequential, x: Any, y: Any, sample_weight: Any, anew: bool) -> dict[str, Any]:
    """The loss and each metric over one batch, or over all batches so far."""
    one = Evaluation(model, checked_data(model, x, y, sample_weight)).all_rows
    one.run(None)
    programs = model._job.programs
    tally = None if anew else programs.metric_sums
    if not isinstance(tally, Tally):
        tally = programs.metric_sums = Tally(one.program, model._job.compiled().metrics)
    tally.add(one.batches.log, one.batches.steps[:, 1])
    return tally.figures()


def evaluation(
    model: Sequential, data: list[Any], batch_size: int | None, steps: int | None, hooks: CallbackList, name: str = "x"
) -> Evaluation:
    """The evaluation of x, y and weights, or of batches in the place of x."""
    model._job.compiled()
    source = batches_of(model, data, batch_size, steps, hooks.evaluation_batches, name)
    if source is not None:
        return Evaluation(model, source)
    return Evaluation(model, limited(checked_data(model, *data), batch_size, steps))


class Evaluation:
    """The loss and metrics over the same rows, or the next batches, as often as wanted, on the model's device."""

    def __init__(self, model: Sequential, source: list[Any] | Stream) -> None:
        self.model, self.metrics, self.device = model, model._job.compiled().metrics, model.device
        self.stream = source if isinstance(source, Stream) else None
        if not isinstance(source, Stream):
            if len(source[0]) == 0:
                raise DataError("there are no rows to evaluate on")
            self.all_rows = Pass(model, "evaluate", source, self.device)

    def figures(self, threads: int | None, hooks: CallbackList) -> dict[str, Any]:
        """The figures by name, with the weights as they are now."""
        hooks.call("on_test_begin", {})
        tally = self._of_rows(threads) if self.stream is None else self._of_batches(self.stream, threads, hooks)
        figures = tally.figures()
        hooks.call("on_test_end", figures)
        return figures

    def _of_rows(self, threads: int | None) -> Tally:
        self.all_rows.run(threads)
        return self._add(None, self.all_rows)

    def _of_batches(self, stream: Stream, threads: int | None, hooks: CallbackList) -> Tally:
        tally: Tally | None = None
        self.model.stop_evaluating = False
        for number, batch in enumerate(stream.epoch()):
            hooks.call("on_test_batch_begin", number, {})
            one = Pass(self.model, "evaluate", stream.checked(batch, f"batch {number + 1}", number == 0), self.device)
            one.run(threads)
            tally = self._add(tally, one)
            hooks.call("on_test_batch_end", number, tally.figures() if hooks.evaluation_batches else {})
            if self.model.stop_evaluating:
                break
        if tally is None:
            raise DataError(f"{stream.name} gave no batches" + ("" if stream.again else ": it has none left"))
        return tally

    def _add(self, tally: Tally | None, one: Pass) -> Tally:
        tally = tally or Tally(one.program, self.metrics)
        tally.add(one.batches.log, one.batches.steps[:, 1])
        return tally


def several(model: Sequential) -> dict[str, np.ndarray]:
    """The metrics whose figure is several numbers, by name, with that of one row of zeros as an example."""
    found = {}
    widths = dict(program_of(model._job, "evaluate").log) if model._job.compiled().metrics else {}
    for name, metric in model._job.compiled().metrics:
        one, nothing = np.ones(1), np.zeros((1, widths[f"metric {name}"]))
        with np.errstate(all="ignore"):
            figure = metric.result(metric.add(None, nothing, one, one), 1.0)
        if np.size(figure) > 1:
            found[name] = np.asarray(figure)
    return found


class Tally:
    """Adds up the log's rows, in float64, into the figures of an epoch."""

    def __init__(self, program: Program, metrics: Sequence[tuple[str, Metric]]) -> None:
        self.metrics, self.rows = list(metrics), 0
        self.places, start = {}, 0
        for name, width in program.log:
            self.places[name] = slice(start, start + width)
            start += width
        self.sums: dict[str, Any] = {}

    def add(self, log: Floats, rows: Any) -> None:
        """Add steps; a penalty is one number per step and counts with its rows."""
        if not len(rows):
            return
        steps, counts = log.astype(np.float64), rows.astype(np.float64)
        for name in self.places.keys() & {"loss", "counted", "penalty"}:
            part = steps[:, self.places[name]]
            self.sums[name] = in_order(self.sums.get(name), part * counts[:, None] if name == "penalty" else part)
        for name, metric in self.metrics:
            part = steps[:, self.places[f"metric {name}"]]
            self.sums[f"metric {name}"] = metric.add(self.sums.get(f"metric {name}"), part, counts, counts)
        self.rows += int(rows.sum())

    def figures(self) -> dict[str, Any]:
        """loss (penalties included, as in Keras) and metrics."""
        if self.rows == 0:
            return {}
        counted = self.sums["counted"][0] if "counted" in self.sums else self.rows
        loss = self.sums["loss"][0] / max(counted, 1.0)
        if "penalty" in self.sums:
            loss += self.sums["penalty"][0] / self.rows
        figures: dict[str, Any] = {"loss": float(loss)}
        for name, metric in self.metrics:
            figure = metric.result(self.sums[f"metric {name}"], self.rows)
            figures[name] = np.asarray(figure) if np.ndim(figure) else float(figure)
        return figures
