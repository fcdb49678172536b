"""Passes over rows: a program run once for all of them, in as large batches as suit the device."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.data.checks import gathered
from nbdl.engine.run import FIRST_ROW, INDICES, ROW_COUNT, STEP_WORDS, RunTables
from nbdl.engine.store import Floats
from nbdl.errors import NbdlError
from nbdl.network.executors import executor_of, program_of, rows_at_once

if TYPE_CHECKING:
    from nbdl.network.job import Job

SLICE_SECONDS = 0.05


def step_tables(rows: int, at_once: int, order: Any, width: int, log_width: int) -> tuple[Any, Any, Any]:
    """Return steps, scalars and log for one pass over the rows."""
    firsts = np.arange(0, rows, at_once, dtype=np.int64)
    steps = np.zeros((len(firsts), STEP_WORDS), np.int64)
    steps[:, FIRST_ROW] = firsts
    steps[:, ROW_COUNT] = np.minimum(at_once, rows - firsts)
    if order is not None:
        steps[:, INDICES] = order.ctypes.data + 8 * firsts
    scalars = np.zeros((len(firsts), max(1, width)), np.float32)
    scalars[:, 0] = steps[:, ROW_COUNT]
    return steps, scalars, np.zeros((len(firsts), max(1, log_width)), np.float32)


def _part(tables: RunTables, part: slice) -> RunTables:
    """Some of the steps."""
    if len(tables.steps) == 1:
        return tables
    return replace(tables, steps=tables.steps[part], scalars=tables.scalars[part], log=tables.log[part])


def _run(runner: Any, tables: RunTables, threads: int | None) -> None:
    """All steps, in slices: between them Python gets its signals."""
    done, count = 0, 1
    while done < len(tables.steps):
        part, began = slice(done, done + count), time.perf_counter()
        report = runner.run(_part(tables, part), threads)
        if report.stopped_by is not None:  # in checked runs only
            raise NbdlError(
                f"NBDL_CHECK: {report.stopped_by.layer}: {report.stopped_by.title} gave {runner.finding.value}"
            )
        done += count
        count = min(4 * count, max(1, int(count * SLICE_SECONDS / max(time.perf_counter() - began, 1e-9))))


class Pass:
    """A program, its executor and data put where that reads it: all for one pass over the rows, as often as wanted."""

    def __init__(self, job: Job, mode: str, data: list[Any], device: str, output: Floats | None = None) -> None:
        rows, self.program = len(data[0]), program_of(job, mode)
        at_once = rows_at_once(self.program, rows, device)
        kinds = [gathered(array, shuffled=False) for array in data]
        self.order = np.arange(rows, dtype=np.int64) if any(kinds) else None  # the steps hold its address
        self.executor = executor_of(job, mode, at_once, kinds, device=device)
        steps, scalars, log = step_tables(rows, at_once, self.order, len(self.program.scalars), self.program.log_width)
        sources = self.executor.prepare(data)
        self.tables = RunTables(steps, scalars, log, sources, output, job.network.seed)

    def run(self, threads: int | None) -> None:
        """All rows once, with the weights that host memory has now."""
        self.executor.push()
        _run(self.executor, self.tables, threads)


def run_rows(
    job: Job, mode: str, data: list[Any], width: int, threads: int | None = None, device: str = "cpu"
) -> Floats:
    """What a program gives for all rows: rows × width."""
    output = np.empty((len(data[0]), width), np.float32)
    if len(output):
        Pass(job, mode, data, device, output).run(threads)
    return output
