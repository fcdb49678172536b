"""The error of a training that diverged: its step is replayed to find where NaN or infinity came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nbdl.engine import select
from nbdl.engine.run import ROW_COUNT, Finding, RunTables
from nbdl.errors import DeviceError, DivergenceError
from nbdl.training.remedies import remedies

if TYPE_CHECKING:
    from nbdl.engine.executor import Executor
    from nbdl.network.job import Job
    from nbdl.network.setup import TrainingState
    from nbdl.program.operation import Program
    from nbdl.training.metric_sums import MetricSums


class Replayable(Protocol):
    """What ran the step that diverged; see `steps.StepRunner`."""

    job: Job
    data: Sequence[Any]
    state: TrainingState
    program: Program
    rows: int
    kinds: Sequence[str | None]
    device: tuple[str, str]
    executor: Executor

    def fetch(self) -> None: ...

    def metric_sums(self) -> MetricSums: ...


def refuse_spoiled(job: Job, data: Sequence[Any], epoch: int, step: int, when: str) -> None:
    """An update can overflow though its gradients are finite; what it wrote cannot be taken back."""
    with np.errstate(all="ignore"):
        if math.isfinite(float(sum(block.data.sum() for block in job.network.store.blocks))):
            return
    for weight in job.network.weights:
        if not np.isfinite(weight.value).all():
            raise DivergenceError(
                f"training diverged in epoch {epoch + 1}, step {step}: {when} {weight.name!r} holds weights that "
                f"are not finite. {remedies(job, None, data, False)}",
                epoch + 1, step, weight.layer.name,
            )  # fmt: skip


def diverged(runner: Replayable, epoch: int, step: int, tables: Any, at: int) -> None:
    """Replay the step one operation at a time, which finds the same bits, and say where NaN came from."""
    runner.fetch()
    refuse_spoiled(runner.job, runner.data, epoch, step + 1, "before it")
    where, layer = "in the gradients; the replay of the step did not give it again", ""
    try:
        finding = _replayed(runner, tables, slice(at, at + 1))
    except DeviceError as error:  # it needs more memory than the run did
        finding, where = None, f"in the gradients; the step could not be replayed: {error}"
    if finding is not None:
        layer = finding.operation.layer
        origin = f"layer {layer!r}" if layer else "the data"
        where = f"first in {origin}: {finding.operation.phase} `{finding.operation.title}` gave {finding.value}"
    raise DivergenceError(
        f"training diverged in epoch {epoch + 1}, step {step + 1}: {where}. The weights are those from before "
        f"that step. {remedies(runner.job, finding, runner.data, runner.state.iterations == 0)}",
        epoch + 1, step + 1, layer, _loss(runner, tables, at),
    )  # fmt: skip


def _loss(runner: Replayable, tables: Any, at: int) -> float:
    """A step's loss where it is not finite, else NaN."""
    sums = runner.metric_sums()
    sums.add(tables.log[at : at + 1], tables.steps[at : at + 1, ROW_COUNT])
    loss = sums.figures()["loss"]
    return math.nan if math.isfinite(loss) else loss


def _replayed(runner: Replayable, tables: Any, one: slice) -> Finding | None:
    checking = select.make_checked(
        runner.program, runner.job.network.store, runner.rows, runner.kinds, runner.state.slots, *runner.device
    )
    again = RunTables(tables.steps[one], tables.scalars[one], tables.log[one].copy(), tables.sources, None, tables.seed)
    weights, slots = runner.job.network.store.copied(), runner.state.slots.copy()
    checking.push()
    checking.run(again)
    checking.pull()  # where rounding differs the step may go through: take back what it changed
    runner.job.network.store.restore(weights)
    runner.state.slots[:] = slots
    runner.executor.push()
    return checking.finding
