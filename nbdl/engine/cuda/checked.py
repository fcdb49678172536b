"""Checked runs on a GPU: one operation at a time, its results looked at before the next one begins."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbdl.engine.cuda.executor import CudaExecutor, row_indices
from nbdl.engine.cuda.text import STATUS
from nbdl.engine.run import Finding, RunReport, RunTables
from nbdl.program.operation import Operation
from nbdl.program.tensor import Tensor


class CheckedCudaExecutor(CudaExecutor):
    """Launches one operation at a time; `finding` names the first that gave NaN or infinity."""

    finding: Finding | None = None

    def run(self, tables: RunTables, threads: int | None = None) -> RunReport:
        """As `CudaExecutor.run`."""
        with self.runtime.lock:
            self._take(tables.sources)
            try:
                for step in range(len(tables.steps)):
                    stopped = self._step(tables, slice(step, step + 1))
                    if stopped is not None:
                        return RunReport(step, stopped)
            finally:
                self._feed = None
        return RunReport(len(tables.steps))

    def _step(self, tables: RunTables, part: slice) -> Operation | None:
        steps = tables.steps[part]
        rows, indices = int(steps[0, 1]), row_indices(steps, self.max_rows)
        self._fill_tables(steps, tables.scalars[part], tables.seed, indices, [(1, rows)])
        self._feed.provide(self._turn, indices[:, :rows])
        self._open(1)
        for number, launch in enumerate(self.lowering.launches):
            self._launch(number, rows, 0)
            for operation in launch.operations:
                stopped = self._look(operation, rows)
                if stopped is not None:
                    return stopped
        self._close(1)
        self._feed.used(self._turn)
        self._turn += 1
        self._collect(tables, part)
        return None

    def _look(self, operation: Operation, rows: int) -> Operation | None:
        if operation.kind == "check":
            state = np.empty(1, np.int32)
            self.runtime.download(self.arena, 4 * (self._parts["state"][0] + STATUS), state)
            if state[0]:
                self.finding = self.finding or Finding(operation, "a gradient that is not finite")
                return operation
            return None
        for tensor in operation.outputs:
            values = self._values(tensor.storage, rows)
            if not np.isfinite(values).all():
                whole: Operation = operation.attributes.get("of", operation)
                self.finding = Finding(whole, "NaN" if np.isnan(values).any() else "infinity")
                return whole
        return None

    def _values(self, tensor: Tensor, rows: int) -> Any:
        pointer = self.pointer(tensor, 0)
        count = tensor.features * (rows if tensor.batched else 1)
        values = np.empty(count, np.float32)
        self.runtime.download(pointer.block, pointer.start, values)
        return values
