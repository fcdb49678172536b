"""nbdl: `fit` as it is used, and the executor alone on tables made beforehand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest import mock

import numpy as np
from benchmarks.peers.nbdl import model_of
from benchmarks.works import Training, training_data

from gpu.peers import Runner, first_weights


def make(work: Training, device: str, how: str) -> Runner:
    """Ways: "fit"; "tf32", the same; "engine"."""
    return Engine(work, device, how) if how == "engine" else Fit(work, device, how)


class Fit:
    """`model.fit(..., verbose=0)`, all epochs in one call.

    What it does before and after them is in the time. Data that go to the device and weights that come back are counted
    apart: of a wide net they take longer than a short epoch, and other peers leave both where they are.
    """

    def __init__(self, work: Training, device: str, how: str) -> None:
        self.work, self.device, self.transferred = work, device, 0.0
        if device != "cpu":
            self._runtime().peak = self._runtime().allocated
        self.model = model_of(work)
        self.model.device = device
        if how == "tf32":
            self.model.precision = "tf32"
        self.model.set_weights([array for pair in first_weights(work) for array in pair])
        self.x, self.y, _ = training_data(work)

    def _batches(self, count: int) -> list[slice]:
        return [slice(step * self.work.batch, (step + 1) * self.work.batch) for step in range(count)]

    def untrained(self, count: int) -> list[float]:
        """The losses of the batches with the weights as they are."""
        return [
            self.model.evaluate(self.x[rows], self.y[rows], verbose=0, return_dict=True)["loss"]
            for rows in self._batches(count)
        ]

    def losses(self, count: int) -> list[float]:
        """A fit of each batch's rows."""
        found = []
        for rows in self._batches(count):
            history = self.model.fit(
                self.x[rows], self.y[rows], batch_size=self.work.batch, epochs=1, verbose=0, shuffle=False
            )
            found.append(float(history.history["loss"][-1]))
        return found

    def epochs(self, count: int) -> float:
        """One call."""
        with self._transfers_apart():
            history = self.model.fit(self.x, self.y, batch_size=self.work.batch, epochs=count, verbose=0)
        return float(history.history["loss"][-1])

    @contextmanager
    def _transfers_apart(self) -> Iterator[None]:
        """Add up the time of an executor's `prepare`, `push` and `pull`; each begins when the device is idle."""
        kind = "cpu" if self.device == "cpu" else "cuda"
        executor = getattr(import_module(f"nbdl.engine.{kind}.executor"), f"{kind.title()}Executor")

        def timed(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                began = time.perf_counter()
                try:
                    return function(*arguments)
                finally:
                    self.transferred += time.perf_counter() - began

            return call

        with ExitStack() as stack:
            for name in ("prepare", "push", "pull"):
                stack.enter_context(mock.patch.object(executor, name, timed(getattr(executor, name))))
            yield

    def memory(self) -> int:
        """The runtime's own count."""
        return 0 if self.device == "cpu" else int(self._runtime().peak)

    def _runtime(self) -> Any:
        from nbdl.engine.cuda import open_runtime

        return open_runtime(0)

    def product(self, a: Any, b: Any) -> Any:
        """A dense layer without activation."""
        from nbdl import Sequential
        from nbdl.layers import Dense

        model = Sequential([Dense(b.shape[1], input_dim=b.shape[0])], seed=1)
        model.device, model.precision = self.device, self.model.precision
        model.set_weights([b, np.zeros(b.shape[1], np.float32)])
        return model.predict(a)


class Engine(Fit):
    """The executor alone. Private names."""

    def __init__(self, work: Training, device: str, how: str) -> None:
        super().__init__(work, device, how)
        from nbdl.model.owner import job_of
        from nbdl.training.passes import step_tables
        from nbdl.training.steps import StepRunner

        data = [self.x, self.y, np.ones(work.rows, np.float32)]
        self.run = StepRunner(job_of(self.model))
        self.run.prepare(work.batch, ["float32"] * len(data))
        self.sources = self.run.executor.prepare(data)
        self.run.executor.push()
        self.random = np.random.default_rng(1)
        self.tables = step_tables
        self.steps, self.log, self.order = self._tables(np.arange(work.rows))

    def _tables(self, order: Any) -> tuple[Any, Any, Any]:
        steps, _, log = self.tables(self.work.rows, self.work.batch, order, 1, self.run.program.log_width)
        return steps, log, order  # the table holds the order's address, so it must live

    def losses(self, count: int) -> list[float]:
        """The log's, step by step."""
        steps, log, order = self._tables(np.arange(self.work.rows))
        self._go(steps[:count], log[:count])
        assert order.size
        return [float(one) for one in log[:count, 0] / self.work.batch]

    def epochs(self, count: int) -> float:
        """A run each."""
        for _ in range(count):
            self.order[:] = self.random.permutation(self.work.rows)
            self._go(self.steps, self.log)
        return float(self.log[:, 0].sum() / self.work.rows)

    def _go(self, steps: Any, log: Any) -> None:
        from nbdl.engine.run import RunTables

        state = self.run.state
        steps[:, 2] = state.iterations + 1 + np.arange(len(steps))
        tables = RunTables(steps, self.run._scalars(steps), log, self.sources, None, self.model.seed)
        report = self.run.executor.run(tables, None)
        assert report.stopped_by is None
        state.iterations += len(steps)
