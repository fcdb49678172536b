"""Checked runs: one operation at a time, its results looked at before the next one begins.

They replay a step that gave NaN, to name the operation, and serve `NBDL_CHECK=1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType, FunctionType

import numpy as np

from nbdl.engine import frame as words
from nbdl.engine.batches import Batches, Finding, Report, Words
from nbdl.engine.cpu import Executor
from nbdl.engine.driver import serial_driver
from nbdl.engine.kernel_errors import failed, kernel_of, own, within
from nbdl.engine.program import Operation, Program, Tensor
from nbdl.engine.reference import body_results
from nbdl.engine.store import Floats, Store, aligned_zeros
from nbdl.errors import NbdlError


class CheckedExecutor(Executor):
    """Runs one operation at a time, in Python, and looks at what each wrote: finite, and within its place."""

    def __init__(self, program: Program, store: Store, rows: int, gathered: Sequence[str | None],
                 slots: Floats | None = None) -> None:  # fmt: skip
        super().__init__(program, store, rows, gathered, slots, plain=True)
        self.finding: Finding | None = None

    def run(self, batches: Batches, threads: int | None = None) -> Report:
        """As `Executor.run`; `finding` names the operation that first gave NaN or infinity."""
        work = aligned_zeros(self.memory.size)
        frame = self.frame_for(batches, work)
        for step in range(len(batches.steps)):
            work[:] = 0.0
            for number, operation in enumerate(self.listing):
                if self._operation(number, operation, frame, work, batches, step):
                    return Report(step, operation)
        return Report(len(batches.steps))

    def _operation(self, number: int, operation: Operation, frame: Words, work: Floats, batches: Batches,
                   step: int) -> bool:  # fmt: skip
        one = slice(step, step + 1)
        if operation.kind == "kernel":
            self._try_in_python(operation, work, batches, step)
        report = np.zeros(2, np.int64)
        tasks = np.array([[number, number + 1, 0, 0, 0, 0, 0, 0]], np.int64)
        stages = np.array([[0, 1, 0]], np.int64)
        before = work.copy()
        serial_driver()(stages, tasks, self.ops, frame, batches.steps[one], batches.scalars[one],
                        batches.log[one], report)  # fmt: skip
        rows = int(batches.steps[step, 1])
        allowed = np.zeros(work.size, bool)
        for tensor in operation.outputs:
            found = self._written(tensor, rows, work, batches, step)
            if found is None:
                continue
            values, start = found
            if start >= 0:
                allowed[start : start + values.size] = True
            if not np.isfinite(values).all():
                bad = "NaN" if np.isnan(values).any() else "infinity"
                self.finding = Finding(operation, bad)
                return True
        outside = (work.view(np.int32) != before.view(np.int32)) & ~allowed
        if outside.any():
            raise NbdlError(f"NBDL_CHECK: {operation.layer}: {operation.title} wrote outside its results, "
                            f"at float {int(outside.argmax())} of the work area")  # fmt: skip
        if report[words.REPORT_STATUS]:
            self.finding = self.finding or Finding(operation, "a gradient that is not finite")
            return True
        return False

    def _try_in_python(self, operation: Operation, work: Floats, batches: Batches, step: int) -> None:
        """Run a hand-written body in Python, which notices what it does outside its outputs, and at which line."""
        rows = int(batches.steps[step, 1])
        operands = [self._read(tensor, rows, work, batches, step) for tensor in operation.inputs]
        for operand in operands:
            operand.flags.writeable = False
        try:
            with np.errstate(all="ignore"):
                body_results(operation, operands, rows, np.float32)
        except Exception as error:
            authors = {function.__code__: function for function in within(operation)}

            def place(frame: FrameType, line: int) -> tuple[FunctionType, int] | None:
                function = authors.get(frame.f_code)
                return None if function is None or own(function) else (function, line)

            told = failed(error, kernel_of(operation), place)
            raise told or error from None

    def _read(self, tensor: Tensor, rows: int, work: Floats, batches: Batches, step: int) -> Floats:
        """A copy of an operand's values."""
        storage = tensor.storage
        extent = slice(storage.offset, storage.offset + storage.features)
        found = self._written(tensor, rows, work, batches, step)
        if storage.space == "batch" and self.gathered[storage.offset] is None:
            first = int(batches.steps[step, 0])
            values = batches.sources[storage.offset][first : first + rows]
        elif found is not None:
            values = found[0]
        elif storage.space == "output":
            assert batches.output is not None
            first = int(batches.steps[step, 0])
            values = batches.output[first : first + rows]
        else:
            places = {"constant": self.constants, "slot": self.slots, "scalar": batches.scalars[step]}
            values = places[storage.space][extent]
        return np.array(values, np.float32).reshape(-1)

    def _written(
        self, tensor: Tensor, rows: int, work: Floats, batches: Batches, step: int
    ) -> tuple[Floats, int] | None:
        storage = tensor.storage
        size = storage.features * (rows if storage.rows else 1)
        if storage.space == "work":
            start = self.memory.offsets[id(storage)]
        elif storage.space == "gradient":
            start = self.memory.gradients + storage.offset
        elif storage.space == "batch" and storage.offset in self.memory.batch:
            start = self.memory.batch[storage.offset]
        elif storage.space == "log":
            return batches.log[step, storage.offset : storage.offset + size], -1
        elif storage.space == "weight":
            return self.store.data[storage.offset : storage.offset + size], -1
        else:
            return None
        return work[start : start + size], start
