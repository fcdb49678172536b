"""nbdl as it is used: `fit` with all that it does around the steps, `model(x)`, `predict`, `as_njit`."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.peers import Repetition, calls
from benchmarks.works import Inference, Training, Work, inference_rows, training_data


def model_of(work: Work) -> Any:
    """The net, compiled unless it only predicts."""
    from nbdl import Sequential
    from nbdl.layers import Dense, Dropout

    *hidden, (inputs, outputs) = work.layers
    model = Sequential(seed=1)
    for width, units in hidden:
        model.add(Dense(units, activation=work.hidden, input_dim=width))
        if isinstance(work, Training) and work.dropout:
            model.add(Dropout(work.dropout))
    model.add(Dense(outputs, activation="softmax" if work.classes else "linear", input_dim=inputs))
    if isinstance(work, Training):
        model.compile(loss="categorical_crossentropy" if work.classes else "mse", optimizer=work.optimizer)
    return model


def fit(work: Training, threads: int) -> Repetition:
    """The public API, with verbose=0."""
    model = model_of(work)
    x, y, _ = training_data(work)

    def repetition() -> float:
        history = model.fit(
            x, y, batch_size=work.batch, epochs=work.epochs, verbose=0, shuffle=work.shuffled, threads=threads
        )
        return float(history.history["loss"][-1])

    return repetition


def engine(work: Training, threads: int) -> Repetition:
    """The executor alone, on tables made beforehand: what fit's loop costs is the difference. Private names."""
    import numpy as np

    from nbdl.engine.run import STEP_NUMBER, RunTables
    from nbdl.model.owner import job_of
    from nbdl.training.passes import step_tables
    from nbdl.training.steps import StepRunner

    model = model_of(work)
    x, y, _ = training_data(work)
    run = StepRunner(job_of(model), threads)
    run.prepare(work.batch, ["float32" if work.shuffled else None] * 3)
    sources = run.executor.prepare([x, y, np.ones(work.rows, np.float32)])
    order = np.random.default_rng(1).permutation(work.rows)
    steps, _, log = step_tables(work.rows, work.batch, order, 1, run.program.log_width)

    def repetition() -> float:
        for _ in range(work.epochs):
            steps[:, STEP_NUMBER] = run.state.iterations + 1 + np.arange(len(steps))
            run.executor.run(RunTables(steps, run._scalars(steps), log, sources, None, model.seed), threads)
            run.state.iterations += len(steps)
        assert order.size  # the tables hold its address, so it must live
        return float(log[:, 0].sum() / work.rows)

    return repetition


def call(work: Inference, threads: int) -> Repetition:
    """model(x)."""
    return calls(work, model_of(work), inference_rows(work))


def predict(work: Inference, threads: int) -> Repetition:
    """model.predict, which is made for many rows."""
    model = model_of(work)
    return calls(work, lambda x: model.predict(x, threads=threads), inference_rows(work))


def njit_call(work: Inference, threads: int) -> Repetition:
    """The compiled function, called from Python; of one row without the leading axis."""
    net, x = model_of(work).as_njit(), inference_rows(work)
    return calls(work, net, x[0] if work.rows == 1 else x)


def njit_loop(work: Inference, threads: int) -> Repetition:
    """The compiled function inside a compiled loop, on inputs that change, so that nothing can be hoisted."""
    import numba
    import numpy as np

    net, tables = model_of(work).as_njit(), inference_rows(work, tables=16)
    if work.rows == 1:
        tables = tables[:, 0]

    @numba.njit
    def loop(tables: Any, count: int) -> Any:
        total = np.float32(0.0)
        for number in range(count):
            total += net(tables[number % len(tables)]).sum()
        return total

    def repetition() -> float:
        loop(tables, work.calls)
        return math.nan

    return repetition
