"""The drivers: one compiled function for all models walks a schedule for a slice of steps.

They are compiled as text through `nbdl.engine.compiler`, like the kernels. The serial and the parallel one run the same
tasks over the same tiles; sums have a fixed order, so they give the same bits.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import prange

from nbdl.engine.compiler import load
from nbdl.engine.cpu.intrinsics import (
    add_shared,
    call,
    claim,
    flush_denormals,
    read_shared,
    relax,
    restore_denormals,
    write_shared,
)
from nbdl.engine.cpu.layout import (
    BATCH,
    INPUT_COUNT,
    LOG,
    OP_HEIGHT,
    OP_KERNEL,
    OP_WIDTH,
    OP_WORDS,
    ORDER,
    OUTPUT,
    OUTPUT_START,
    OUTPUT_STRIDE,
    REPORT_STATUS,
    REPORT_STEPS,
    ROWS,
    SCALARS,
    SOURCE,
    STAGE_END,
    STAGE_FIRST,
    STAGE_PARALLEL,
    STEP,
    STRIDE,
    TASK_BLOCK,
    TASK_C0,
    TASK_C1,
    TASK_END,
    TASK_FIRST,
    TASK_PART,
    TASK_PARTS,
    THREADS,
)
from nbdl.engine.emit import function_text


def begin_step(frame: Any, steps: Any, step: int, scalars: Any, log: Any) -> int:
    """Point the frame at this step's rows, scalars and results."""
    first = steps[step, 0]
    frame[ROWS] = steps[step, 1]
    frame[STEP] = steps[step, 2]
    frame[ORDER] = steps[step, 3]
    frame[SCALARS] = scalars.ctypes.data + 4 * step * scalars.shape[1]
    frame[LOG] = log.ctypes.data + 4 * step * log.shape[1]
    frame[OUTPUT] = frame[OUTPUT_START] + first * frame[OUTPUT_STRIDE]
    for k in range(frame[INPUT_COUNT]):
        if frame[STRIDE + k] != 0:
            frame[BATCH + k] = frame[SOURCE + k] + first * frame[STRIDE + k]
    return 0


def run_task(tasks: Any, ops: Any, frame: Any, task: int) -> int:
    """Run one chain over one tile; stop at the first operation that reports something."""
    rows, here, descriptors = frame[ROWS], frame.ctypes.data, ops.ctypes.data
    part, parts, block = tasks[task, TASK_PART], tasks[task, TASK_PARTS], tasks[task, TASK_BLOCK]
    c0, c1 = tasks[task, TASK_C0], tasks[task, TASK_C1]
    if block == 0:
        for o in range(tasks[task, TASK_FIRST], tasks[task, TASK_END]):
            height = ops[o, OP_HEIGHT] if ops[o, OP_HEIGHT] >= 0 else rows
            r0, r1 = 0, height
            if parts > 0:
                r0, r1 = height * part // parts, height * (part + 1) // parts
            end = c1 if c1 > 0 else ops[o, OP_WIDTH]
            if call(ops[o, OP_KERNEL], here, descriptors + 8 * OP_WORDS * o, r0, r1, c0, end, 0, 1) != 0:
                return o + 1
        return 0
    begin, stop, first = rows * part // parts, rows * (part + 1) // parts, 1
    while begin < stop or first == 1:  # an empty chunk still clears its part of each sum
        end = min(begin + block, stop)
        for o in range(tasks[task, TASK_FIRST], tasks[task, TASK_END]):
            if (
                call(
                    ops[o, OP_KERNEL],
                    here,
                    descriptors + 8 * OP_WORDS * o,
                    begin,
                    end,
                    0,
                    ops[o, OP_WIDTH],
                    part,
                    first,
                )
                != 0
            ):
                return o + 1
        begin, first = end, 0
    return 0


def run_steps(tasks: Any, ops: Any, frame: Any, steps: Any, scalars: Any, log: Any, report: Any) -> int:
    """Run all tasks of each step in their order."""
    for step in range(steps.shape[0]):
        begin_step(frame, steps, step, scalars, log)
        for task in range(tasks.shape[0]):
            status = run_task(tasks, ops, frame, task)
            if status != 0:
                report[REPORT_STATUS] = status
                return status
        report[REPORT_STEPS] = step + 1
    return 0


def serial(stages: Any, tasks: Any, ops: Any, frame: Any, steps: Any, scalars: Any, log: Any, report: Any) -> int:
    """Run a slice of steps on the calling thread."""
    mode = flush_denormals()
    status = run_steps(tasks, ops, frame, steps, scalars, log, report)
    restore_denormals(mode)
    return int(status)


# Words that threads share, each on a cache line of its own. Tasks are numbered through the whole slice, so that a
# number belongs to one stage for ever: a thread that was held up cannot take a later stage's task for an earlier one's.
NEXT, OPEN, DONE, FIRST, STATUS, OVER, SHARED_WORDS = 0, 8, 16, 24, 32, 40, 48
PATIENCE = 1 << 20  # tries, about a second: a follower that no leader has shown itself to by then may stand in its way


def take_tasks(tasks: Any, ops: Any, frame: Any, shared: int) -> int:
    """Run tasks of the stage that is open until none is left; return how many."""
    count = 0
    number = read_shared(shared, NEXT)
    while number < read_shared(shared, OPEN):
        if claim(shared, NEXT, number) == 1:
            # The stage cannot end before this task does, so FIRST is this stage's.
            status = run_task(tasks, ops, frame, number + read_shared(shared, FIRST))
            if status != 0:
                write_shared(shared, STATUS, status)
            add_shared(shared, DONE)
            count += 1
        number = read_shared(shared, NEXT)
    return count


def lead(
    stages: Any, tasks: Any, ops: Any, frame: Any, steps: Any, scalars: Any, log: Any, report: Any, shared: int
) -> int:
    """Walk the steps and stages; open a stage's tasks to all threads, and go on when they are done."""
    opened = 0
    for step in range(steps.shape[0]):
        begin_step(frame, steps, step, scalars, log)
        for stage in range(stages.shape[0]):
            begin, end = stages[stage, STAGE_FIRST], stages[stage, STAGE_END]
            if stages[stage, STAGE_PARALLEL] != 0:
                write_shared(shared, FIRST, begin - opened)
                opened += end - begin
                write_shared(shared, OPEN, opened)
                take_tasks(tasks, ops, frame, shared)
                tries = 0
                while read_shared(shared, DONE) < opened:
                    tries += 1
                    relax(tries)
                status = read_shared(shared, STATUS)
            else:
                status = 0
                for task in range(begin, end):
                    if status == 0:
                        status = run_task(tasks, ops, frame, task)
            if status != 0:
                report[REPORT_STATUS] = status
                return int(status)
        report[REPORT_STEPS] = step + 1
    return 0


def follow(tasks: Any, ops: Any, frame: Any, shared: int) -> int:
    """Help with whatever stage is open, until the slice is over; give up if none is opened for long."""
    tries = 0
    while read_shared(shared, OVER) == 0 and (tries < PATIENCE or read_shared(shared, OPEN) > 0):
        tries = 0 if take_tasks(tasks, ops, frame, shared) > 0 else tries + 1
        relax(tries)
    return 0


def parallel(stages: Any, tasks: Any, ops: Any, frame: Any, steps: Any, scalars: Any, log: Any, report: Any) -> int:
    """Run a slice of steps on all threads: one parallel region, in which one thread leads and the others follow.

    A follower that the machine does not run delays nobody: the leader does the work itself. Where a threading layer
    has a single thread after all, it leads first, and then follows a slice that is over; were it to follow first, it
    would give up and then lead.
    """
    words = np.zeros(SHARED_WORDS + 8, np.int64)
    shared = (words.ctypes.data + 63) // 64 * 64
    for thread in prange(frame[THREADS]):
        mode = flush_denormals()  # not before the region: threads that are started there would keep it for ever
        if thread == 0:
            lead(stages, tasks, ops, frame, steps, scalars, log, report, shared)
            write_shared(shared, OVER, 1)
        else:
            follow(tasks, ops, frame, shared)
        restore_denormals(mode)
    return int(report[REPORT_STATUS] + 0 * words[0])  # words must outlive the region


for _part in (run_task, run_steps, take_tasks, lead, follow):
    setattr(_part, "policy", "called")  # noqa: B010


@functools.cache
def serial_driver() -> Any:
    """The compiled serial driver."""
    return load(function_text(serial, "driver"))


@functools.cache
def parallel_driver() -> Any:
    """The compiled parallel driver."""
    return load(function_text(parallel, "parallel_driver"))
