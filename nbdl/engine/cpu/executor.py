"""CpuExecutor: runs slices of steps by the drivers."""

from __future__ import annotations

import numpy as np

from nbdl.engine.cpu import layout
from nbdl.engine.cpu.checked import first_run, outside
from nbdl.engine.cpu.driver import parallel_driver, serial_driver
from nbdl.engine.cpu.lowered import LoweredProgram
from nbdl.engine.cpu.threads import parallel_region, usable_threads
from nbdl.engine.run import ROW_COUNT, RunReport, RunTables
from nbdl.program.operation import Operation


class CpuExecutor(LoweredProgram):
    """A program made ready to run on the CPU."""

    def try_new_bodies(self, batches: RunTables) -> None:
        """Try hand-written bodies that this process has not run yet in Python, before they corrupt its memory."""
        if self.foreign and len(batches.steps) and batches.steps[0, ROW_COUNT] > self._tried:
            first_run(self, batches)
            self._tried = int(batches.steps[0, ROW_COUNT])

    def run(self, batches: RunTables, threads: int | None = None) -> RunReport:
        """Run all steps, or up to the one that reports something; its update has then not been made."""
        self.try_new_bodies(batches)
        work = self._borrow()
        try:
            frame = self.frame_for(batches, work)
            report = np.zeros(2, np.int64)
            tables = (self.stages, self.tasks, self.ops, frame, batches.steps, batches.scalars, batches.log, report)
            count = frame[layout.THREADS] = usable_threads(threads) if self.parallel else 1
            if count > 1:
                with parallel_region(count):
                    parallel_driver()(*tables)
            else:
                serial_driver()(*tables)
        finally:
            self._areas.append(work)
        steps, status = int(report[layout.REPORT_STEPS]), int(report[layout.REPORT_STATUS])
        stopped_by = self.listing[status - 1] if status else None
        if stopped_by is not None and stopped_by.kind == "kernel":
            self.raise_outside(stopped_by, batches, steps)
        return RunReport(steps, stopped_by)

    def raise_outside(self, operation: Operation, batches: RunTables, step: int) -> None:
        """Tell of a hand-written body whose indices led outside of an array at a step."""
        raise outside(self, operation, batches, step)
