"""predict and evaluate: one pass over the rows, in as large batches as suit the device."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl import inputs as given
from nbdl.compiled import Compiled
from nbdl.engine import executors
from nbdl.engine.program import Program
from nbdl.engine.store import Floats
from nbdl.errors import ConfigError, DataError, NbdlError
from nbdl.programs import executor, quick_net, recorded, rows_at_once
from nbdl.specs import Metric

if TYPE_CHECKING:
    from nbdl.model import Sequential

SLICE_SECONDS = 0.05
FEW_PRODUCTS = 1 << 20  # multiplications, some 20 µs: not worth the tables of a run


def count(value: Any, name: str, default: int, least: int) -> int:
    """An integer argument of at least `least`; None stands for the default."""
    if value is None:
        return default
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < least:
        raise ConfigError(f"{name} is an integer of at least {least}, got {value!r}")
    return int(value)


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is none."""
    count(threads, "threads", 1, 1)


def checked_data(model: Sequential, x: Any, y: Any, sample_weight: Any) -> list[Any]:
    """x, y and row weights, each rows × features, as the model wants them."""
    compiled = model._compiled()
    array = given.as_array(x, "x")
    if not model.built:
        model.build(None if model.input_shape is not None else (array.shape[1:] or (1,)))
    rows = given.inputs(array, model.input_shape)
    targets = given.targets(y, compiled.loss, model.output_shape, len(rows))
    return [rows, targets, given.row_weights(sample_weight, len(rows))]


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
        rows, self.program = len(data[0]), recorded(model, what)
        at_once = rows_at_once(self.program, rows, device)
        kinds = [given.gathered(array, shuffled=False) for array in data]
        self.order = np.arange(rows, dtype=np.int64) if any(kinds) else None  # the steps hold its address
        self.executor = executor(model, what, at_once, kinds, device=device)
        steps, scalars, log = tables(rows, at_once, self.order, len(self.program.scalars), self.program.log_width)
        sources = self.executor.prepare(data)
        self.batches = executors.Batches(steps, scalars, log, sources, output, model.seed)

    def run(self, threads: int | None) -> None:
        """All rows once, with the weights that host memory has now."""
        self.executor.push()
        _run(self.executor, self.batches, threads)


def predict(model: Sequential, x: Any, threads: int | None = None) -> np.ndarray:
    """Predictions for all rows."""
    check_threads(threads)
    array = given.inputs(x, model.input_shape)
    if not model.built:
        model.build(array.shape[1:] if model.input_shape is None else None)
    return _predicted(model, array, threads, model.device)


def call(model: Sequential, x: Any) -> np.ndarray:
    """Predictions for rows or a single row, without a look at the numbers, on the CPU."""
    array = given.as_array(x, "x")
    if not model.built:
        model.build(None if model.input_shape is not None else array.shape[1:] or (1,))
    shape = model.input_shape or ()
    single = array.shape == shape
    result = _predicted(model, given.rows_of(array[None] if single else array, shape, "x"), None, "cpu")
    return np.asarray(result[0]) if single else result


def _predicted(model: Sequential, rows: Any, threads: int | None, device: str) -> np.ndarray:
    shape, program = model.output_shape, recorded(model, "predict")
    few = device == "cpu" and len(rows) * (model.store.size + program.row_floats) <= FEW_PRODUCTS
    net = quick_net(model) if few else None
    if net is not None:
        output: np.ndarray = net(rows)
    else:
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
    model: Sequential, x: Any, y: Any, sample_weight: Any = None, threads: int | None = None
) -> dict[str, float]:
    """The loss and each metric over all rows, by name."""
    check_threads(threads)
    compiled = model._compiled()
    return Evaluation(model, compiled, checked_data(model, x, y, sample_weight)).figures(threads)


class Evaluation:
    """The loss and metrics over the same rows, as often as wanted, on the model's device."""

    def __init__(self, model: Sequential, compiled: Compiled, data: list[Any]) -> None:
        if len(data[0]) == 0:
            raise DataError("there are no rows to evaluate on")
        self.metrics, self.all_rows = compiled.metrics, Pass(model, "evaluate", data, model.device)

    def figures(self, threads: int | None) -> dict[str, float]:
        """The figures by name, with the weights as they are now."""
        self.all_rows.run(threads)
        tally = Tally(self.all_rows.program, self.metrics)
        tally.add(self.all_rows.batches.log, self.all_rows.batches.steps[:, 1])
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
