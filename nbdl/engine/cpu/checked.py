"""Checked runs: one operation at a time, its results looked at before the next one begins.

They replay a step that gave NaN, to name the operation, and serve `NBDL_CHECK=1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nbdl.engine.cpu import layout
from nbdl.engine.cpu.driver import serial_driver
from nbdl.engine.cpu.lowered import LoweredProgram
from nbdl.engine.reference import body_results
from nbdl.engine.run import Finding, RunReport, RunTables, Words
from nbdl.engine.store import Floats, Store, aligned_zeros
from nbdl.engine.trial import MOST_ROWS, attempt, author_error, untried
from nbdl.errors import KernelError, NbdlError
from nbdl.program.language.explain import INDEX, Fault, author_of, first_line, kernel_of, told
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor


class CheckedExecutor(LoweredProgram):
    """Runs one operation at a time, in Python, and looks at what each wrote: finite, and within its place."""

    def __init__(self, program: Program, store: Store, rows: int, gathered: Sequence[str | None],
                 slots: Floats | None = None) -> None:  # fmt: skip
        super().__init__(program, store, rows, gathered, slots, plain=True)
        self.finding: Finding | None = None

    def run(self, tables: RunTables, threads: int | None = None) -> RunReport:
        """As an executor; `finding` names the operation that first gave NaN or infinity."""
        work = aligned_zeros(self.memory.size)
        frame = self.frame_for(tables, work)
        for step in range(len(tables.steps)):
            work[:] = 0.0
            for number, operation in enumerate(self.listing):
                if self._operation(number, operation, frame, work, tables, step):
                    return RunReport(step, operation)
        return RunReport(len(tables.steps))

    def _operation(self, number: int, operation: Operation, frame: Words, work: Floats, tables: RunTables,
                   step: int) -> bool:  # fmt: skip
        if operation.kind == "kernel":
            self._try_in_python(operation, work, tables, step)
        before = work.copy()
        report = self._execute(number, frame, tables, step)
        rows = int(tables.steps[step, 1])
        allowed = np.zeros(work.size, bool)
        for tensor in operation.outputs:
            found = self._written(tensor, rows, work, tables, step)
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
        if report[layout.REPORT_STATUS]:
            self.finding = self.finding or Finding(operation, "a gradient that is not finite")
            return True
        return False

    def _execute(self, number: int, frame: Words, tables: RunTables, step: int) -> Words:
        """Run one operation."""
        one = slice(step, step + 1)
        report = np.zeros(2, np.int64)
        tasks = np.array([[number, number + 1, 0, 0, 0, 0, 0, 0]], np.int64)
        stages = np.array([[0, 1, 0]], np.int64)
        serial_driver()(stages, tasks, self.ops, frame, tables.steps[one], tables.scalars[one],
                        tables.log[one], report)  # fmt: skip
        return report

    def try_bodies(self, chosen: Sequence[Operation], tables: RunTables) -> None:
        """Try hand-written bodies in Python, on what the operations before them make of a step."""
        work = aligned_zeros(self.memory.size)
        frame, rows = self.frame_for(tables, work), int(tables.steps[0, 1])
        waiting = {id(operation) for operation in chosen}
        for number, operation in enumerate(self.listing):
            if id(operation) in waiting:
                operands = [self._read(tensor, rows, work, tables, 0) for tensor in operation.inputs]
                attempt(operation, operands, rows, self.program)
                waiting.remove(id(operation))
            if not waiting:
                return
            self._execute(number, frame, tables, 0)

    def _try_in_python(self, operation: Operation, work: Floats, tables: RunTables, step: int) -> None:
        """Run a hand-written body in Python, which notices what it does outside its outputs, and at which line."""
        rows = int(tables.steps[step, 1])
        operands = [self._read(tensor, rows, work, tables, step) for tensor in operation.inputs]
        for operand in operands:
            operand.flags.writeable = False
        try:
            with np.errstate(all="ignore"):
                body_results(operation, operands, rows, np.float32)
        except Exception as error:
            raise author_error(operation, error) or error from None

    def _read(self, tensor: Tensor, rows: int, work: Floats, tables: RunTables, step: int) -> Floats:
        """A copy of an operand's values."""
        storage = tensor.storage
        extent = slice(storage.offset, storage.offset + storage.features)
        found = self._written(tensor, rows, work, tables, step)
        if storage.space == "batch" and self.gathered[storage.offset] is None:
            first = int(tables.steps[step, 0])
            values = tables.sources[storage.offset][first : first + rows]
        elif found is not None:
            values = found[0]
        elif storage.space == "output":
            assert tables.output is not None
            first = int(tables.steps[step, 0])
            values = tables.output[first : first + rows]
        else:
            positions = {"constant": self.constants, "slot": self.slots, "scalar": tables.scalars[step]}
            values = positions[storage.space][extent]
        return np.array(values, np.float32).reshape(-1)

    def _written(
        self, tensor: Tensor, rows: int, work: Floats, tables: RunTables, step: int
    ) -> tuple[Floats, int] | None:
        storage = tensor.storage
        size = storage.features * (rows if storage.batched else 1)
        if storage.space == "work":
            start = self.memory.offsets[id(storage)]
        elif storage.space == "gradient":
            start = self.memory.gradients + storage.offset
        elif storage.space == "batch" and storage.offset in self.memory.batch:
            start = self.memory.batch[storage.offset]
        elif storage.space == "log":
            return tables.log[step, storage.offset : storage.offset + size], -1
        elif storage.space == "weight":
            return self.store.part(storage.offset, size), -1
        else:
            return None
        return work[start : start + size], start


def first_run(executor: LoweredProgram, tables: RunTables) -> None:
    """Try the bodies of a run that were not tried in this process yet, on its first rows and copies of all it changes.

    Raises:
        KernelError: a body reaches outside its arrays or writes to an input.
    """
    rows = int(tables.steps[0, 1])
    chosen = untried(executor.foreign, executor.program, rows)
    if not chosen:
        return
    trial, tables = _copies(executor, tables, 0, min(rows, MOST_ROWS))
    trial.try_bodies(chosen, tables)


def outside(executor: LoweredProgram, operation: Operation, tables: RunTables, step: int) -> KernelError:
    """What a body whose indices led outside of an array did, with its line: it is run again in Python.

    Args:
        step: in which it did.
    """
    checked, tables = _copies(executor, tables, step, int(tables.steps[step, 1]))
    try:
        checked.run(tables)
    except KernelError as error:
        return error
    function = author_of([operation])
    fault = Fault(function, first_line(function), "reaches outside an array with these data", INDEX)
    return told(kernel_of(operation), fault, "fails")


def _copies(executor: LoweredProgram, tables: RunTables, step: int, rows: int) -> tuple[CheckedExecutor, RunTables]:
    """An executor and a step of a run on copies of all that it changes."""
    store, one = executor.store.copied(), slice(step, step + 1)
    steps, scalars = tables.steps[one].copy(), tables.scalars[one].copy()
    steps[0, 1] = scalars[0, 0] = rows
    made = CheckedExecutor(executor.program, store, rows, executor.gathered, _copied(executor.slots))
    output = None if tables.output is None else tables.output.copy()
    return made, replace(tables, steps=steps, scalars=scalars, log=tables.log[one].copy(), output=output)


def _copied(values: Floats) -> Floats:
    copied = aligned_zeros(values.size)
    copied[: values.size] = values
    return copied
