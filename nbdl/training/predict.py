"""predict: all rows in one pass, few rows by a compiled net, or batches as they come."""

from __future__ import annotations

import itertools
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.data.checks import as_array, count, rows_of, warn_of_large
from nbdl.data.columns import check_names
from nbdl.errors import DataError
from nbdl.network.executors import program_of, quick_net
from nbdl.training.batches import BatchStream, batches_of, limited, parts
from nbdl.training.callbacks import CallbackList, made
from nbdl.training.inputs import by_name, check_threads, checked_inputs
from nbdl.training.passes import run_rows

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.units.callback import CallbackModel

FEW_PRODUCTS = 1 << 20  # multiplications, some 20 µs: not worth the tables of a run


def predict(
    job: Job, model: CallbackModel, x: Any, batch_size: int | None = None, steps: int | None = None,
    callbacks: Any = None, threads: int | None = None,
) -> Any:  # fmt: skip
    """Predictions for all rows, or for those of an iterable's batches."""
    check_threads(threads)
    if type(x) is np.ndarray and steps is None and not callbacks:  # the usual case, in some µs less
        count(batch_size, "batch_size", 32, 1)
        return _predicted(job, _first(job, x, None, None), threads, job.device)
    hooks = CallbackList(made(callbacks, "predict's callbacks"), model, {"steps": steps})
    source = batches_of(job, [x], batch_size, steps, hooks.evaluation_batches)
    hooks.call("on_predict_begin", {})
    if source is None:
        output = _predicted(job, _first(job, x, batch_size, steps), threads, job.device)
    else:
        output = _predicted_batches(job, source, threads, hooks)
    hooks.call("on_predict_end", {})
    return output


def _first(job: Job, x: Any, batch_size: int | None, steps: int | None) -> list[Any]:
    """The rows of so many steps, checked."""
    return limited(checked_inputs(job.network, x), batch_size, steps)


def _predicted_batches(job: Job, source: BatchStream, threads: int | None, hooks: CallbackList) -> Any:
    outputs: list[Any] = []
    job.stop_predicting = False
    for number, batch in enumerate(source.epoch()):
        hooks.call("on_predict_batch_begin", number, {})
        with source.naming(f"batch {number + 1}"):
            rows = _first(job, parts(batch, "x")[0], None, None)
        outputs.append(_predicted(job, rows, threads, job.device))
        hooks.call("on_predict_batch_end", number, {"outputs": outputs[-1]})
        if job.stop_predicting:
            break
    if not outputs:
        raise DataError("x gave no batches")
    if isinstance(outputs[0], list):
        return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
    return np.concatenate(outputs)


def call(job: Job, x: Any) -> Any:
    """Predictions for rows or a single row, without a look at the numbers, on the CPU."""
    network = job.network
    if len(network.input_names) == 1:
        check_names(network.feature_names, x)
    arrays = [as_array(one, "x") for one in by_name(x, network.input_names, "x")]
    for array in arrays:
        warn_of_large(array, "x")
    if not network.built:
        network.build(None if network.input_shapes is not None else arrays[0].shape[1:] or (1,))
    shapes = network.known_input_shapes()
    single = all(array.shape == shape for array, shape in zip(arrays, shapes, strict=True))
    rows = [rows_of(array[None] if single else array, shape, "x") for array, shape in zip(arrays, shapes, strict=True)]
    result = _predicted(job, rows, None, "cpu")
    if not single:
        return result
    return [np.asarray(one[0]) for one in result] if isinstance(result, list) else np.asarray(result[0])


def _predicted(job: Job, data: list[Any], threads: int | None, device: str) -> Any:
    """Predictions for rows; of several outputs a list."""
    shapes, program, count = job.network.output_shapes, program_of(job, "predict"), len(data[0])
    few = device == "cpu" and count * (job.network.store.size + program.row_floats) <= FEW_PRODUCTS
    net = quick_net(job) if few and len(data) == 1 else None
    output: np.ndarray | None = None
    if net is not None:
        (rows,) = data
        with suppress(RuntimeError):  # a body reaches outside an array: the line is told below
            output = net(rows if rows.dtype == np.float32 else rows.astype(np.float32))
    if output is None:
        output = run_rows(job, "predict", data, sum(map(math.prod, shapes)), threads, device)
    if len(shapes) == 1:
        return output.reshape(count, *shapes[0])
    ends = list(itertools.accumulate(map(math.prod, shapes)))
    parts = np.split(output, ends[:-1], axis=1)
    return [np.ascontiguousarray(part).reshape(count, *shape) for part, shape in zip(parts, shapes, strict=True)]
