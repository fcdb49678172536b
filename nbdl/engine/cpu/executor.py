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

    def try_new_bodies(self, tables: RunTables) -> None:
        """Try hand-written bodies that this process has not run yet in Python, before they corrupt its memory."""
        if self.foreign and len(tables.steps) and tables.steps[0, ROW_COUNT] > self._tried:
            first_run(self, tables)
            self._tried = int(tables.steps[0, ROW_COUNT])

    def run(self, tables: RunTables, threads: int | None = None) -> RunReport:
        """Run all steps, or up to the one that reports something; its update has then not been made."""
        self.try_new_bodies(tables)
        work = self._borrow()
        try:
            frame = self.frame_for(tables, work)
            report = np.zeros(2, np.int64)
            arguments = (self.stages, self.tasks, self.ops, frame, tables.steps, tables.scalars, tables.log, report)
            count = frame[layout.THREADS] = usable_threads(threads) if self.parallel else 1
            if count > 1:
                with parallel_region(count):
                    parallel_driver()(*arguments)
            else:
                serial_driver()(*arguments)
        finally:
            self._areas.append(work)
        steps, status = int(report[layout.REPORT_STEPS]), int(report[layout.REPORT_STATUS])
        stopped_by = self.listing[status - 1] if status else None
        if stopped_by is not None and stopped_by.kind == "kernel":
            self.raise_outside(stopped_by, tables, steps)
        return RunReport(steps, stopped_by)

    def raise_outside(self, operation: Operation, tables: RunTables, step: int) -> None:
        """Tell of a hand-written body whose indices led outside of an array at a step."""
        raise outside(self, operation, tables, step)
