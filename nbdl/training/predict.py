"""predict: all rows in one pass, few rows by a compiled net, or batches as they come."""

from __future__ import annotations

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
from nbdl.training.inputs import check_threads, inputs
from nbdl.training.passes import run_rows

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.units.callback import CallbackModel

FEW_PRODUCTS = 1 << 20  # multiplications, some 20 µs: not worth the tables of a run


def predict(
    job: Job, model: CallbackModel, x: Any, batch_size: int | None = None, steps: int | None = None,
    callbacks: Any = None, threads: int | None = None,
) -> np.ndarray:  # fmt: skip
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


def _first(job: Job, x: Any, batch_size: int | None, steps: int | None) -> Any:
    """The rows of so many steps, checked."""
    check_names(job.network.feature_names, x)
    rows = inputs(x, job.network.input_shape, job.network.layers)
    if not job.network.built:
        job.network.build(rows.shape[1:] if job.network.input_shape is None else None)
    return limited([rows], batch_size, steps)[0]


def _predicted_batches(job: Job, source: BatchStream, threads: int | None, hooks: CallbackList) -> np.ndarray:
    outputs: list[np.ndarray] = []
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
    return np.concatenate(outputs)


def call(job: Job, x: Any) -> np.ndarray:
    """Predictions for rows or a single row, without a look at the numbers, on the CPU."""
    check_names(job.network.feature_names, x)
    array = as_array(x, "x")
    warn_of_large(array, "x")
    if not job.network.built:
        job.network.build(None if job.network.input_shape is not None else array.shape[1:] or (1,))
    shape = job.network.input_shape or ()
    single = array.shape == shape
    result = _predicted(job, rows_of(array[None] if single else array, shape, "x"), None, "cpu")
    return np.asarray(result[0]) if single else result


def _predicted(job: Job, rows: Any, threads: int | None, device: str) -> np.ndarray:
    shape, program = job.network.output_shape, program_of(job, "predict")
    few = device == "cpu" and len(rows) * (job.network.store.size + program.row_floats) <= FEW_PRODUCTS
    net = quick_net(job) if few else None
    output: np.ndarray | None = None
    if net is not None:
        with suppress(RuntimeError):  # a body reaches outside an array: the line is told below
            output = net(rows if rows.dtype == np.float32 else rows.astype(np.float32))
    if output is None:
        output = run_rows(job, "predict", [rows], math.prod(shape), threads, device)
    return output.reshape(len(rows), *shape)
