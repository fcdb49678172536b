"""What more cores would give: the schedule's own tasks, each with the time measured for it here, shared out on paper.

Tiles follow from shapes alone, so their number caps what threads can do. The prediction knows nothing of memory that
cores share, nor of clocks that fall when all of them work: it is an upper bound, shown beside what was measured.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.peers.nbdl import model_of
from benchmarks.works import GROUPS, Training, training_data

CORES = (1, 2, 4, 8, 16, 32)
OPEN_US = 0.3  # to open a stage to other threads and see it done, on this kind of processor


def report(names: Iterable[str] = GROUPS["train"], seconds: float = 2.0) -> Iterator[str]:
    """A Markdown table: measured on one thread and on all, and predicted. Uses private names."""
    from benchmarks.works import WORKS

    yield "\n### Cores: the schedule's tasks shared out on paper (µs a step; times as fast as one thread)\n"
    heads = " | ".join(f"{cores} predicted" for cores in CORES)
    yield f"| | measured, 1 thread | measured, all | {heads} | most tiles |"
    yield f"|---|{'---:|' * (len(CORES) + 3)}"
    for name in names:
        work = WORKS[name]
        if isinstance(work, Training):
            yield _line(work, seconds)


def _line(work: Training, seconds: float) -> str:
    from nbdl.inspection.measure import Measurement
    from nbdl.model.owner import job_of
    from nbdl.training.inputs import checked_data

    job = job_of(model_of(work))
    x, y, _ = training_data(work)
    measurement = Measurement(job, checked_data(job, x, y, None), work.batch, "train", None)
    profile = measurement.profile(seconds)
    order = measurement._program_order()
    us = {id(measurement.executor.listing[at]): one.us for at, one in zip(order, profile.operations, strict=True)}
    stages = list(stage_tasks(measurement.executor, us))
    base = predicted(stages, 1)
    cells = [f"{predicted(stages, cores):,.1f} ({base / predicted(stages, cores):.2f}×)" for cores in CORES]
    threads = "" if profile.threads_us is None else f"{profile.threads_us:,.1f} ({profile.threads})"
    most = max(len(tasks) for tasks, _ in stages)
    return f"| {work.title} | {profile.step_us:,.1f} | {threads} | {' | '.join(cells)} | {most} |"


def stage_tasks(executor: Any, us: dict[int, float]) -> Iterator[tuple[list[float], bool]]:
    """For each stage the µs of its tasks, and whether threads share it."""
    for stage, (_, _, shared) in zip(executor.partition.stages, executor.stages.tolist(), strict=True):
        tasks: list[float] = []
        for chain in stage:
            whole = sum(us[id(operation)] for operation in chain.operations)
            tasks += [whole * share for share in shares(chain)]
        yield tasks, bool(shared)


def shares(chain: Any) -> list[float]:
    """Each tile's share of its chain."""
    columns = [(tile.c1 - tile.c0) or chain.width or 1 for tile in chain.tiles]
    return [width / sum(columns) for width in columns]


def predicted(stages: list[tuple[list[float], bool]], cores: int) -> float:
    """µs of a step: in each stage whoever is free takes the next task, largest first."""
    total = 0.0
    for tasks, shared in stages:
        if not shared or cores == 1:
            total += sum(tasks)
            continue
        free = [0.0] * cores
        for task in sorted(tasks, reverse=True):
            heapq.heapreplace(free, free[0] + task)
        total += max(free) + OPEN_US
    return total
