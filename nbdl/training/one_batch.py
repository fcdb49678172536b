"""train_on_batch and test_on_batch: one batch at a time; what runs them is kept from call to call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.data.columns import names_of
from nbdl.engine.run import ROW_COUNT
from nbdl.errors import DataError
from nbdl.network.columns import learn_names
from nbdl.network.learnable import refuse_shared_and_frozen
from nbdl.training.class_weights import ClassWeights, only_output
from nbdl.training.evaluate import Evaluation
from nbdl.training.inputs import checked_data
from nbdl.training.metric_sums import MetricSums
from nbdl.training.steps import StepRunner, alone, kinds_of

if TYPE_CHECKING:
    from nbdl.network.job import Job


def train_on_batch(
    job: Job, x: Any, y: Any, sample_weight: Any, class_weight: Any, reset: bool = True
) -> dict[str, Any]:
    """One step on one batch; its figures, or those of all batches so far. What runs it is kept from call to call."""
    with alone(job):
        data = checked_data(job.network, job.compiled(), x, y, sample_weight)
        if len(data[0]) == 0:
            raise DataError("there are no rows to train on")
        if class_weight is not None:
            weights = ClassWeights(class_weight, only_output(job))
            *_, y, row_weights = data
            weights.balance(y)
            data[-1] = row_weights * weights.factors(y)
        runner = job.programs.step_runner
        device = job.device, job.choice.precision
        if not isinstance(runner, StepRunner) or not runner.current or runner.device != device:
            runner = job.programs.step_runner = StepRunner(job)
        refuse_shared_and_frozen(job.network)
        runner.prepare(max(runner.rows, len(data[0])), kinds_of(data))
        steps_before = runner.state.iterations
        with runner.on_device():
            steps, log, sources = runner.one_step(data)
            runner.run(steps, log, sources, lambda step: (0, steps_before))
        if reset or runner.running is None:
            runner.running = runner.metric_sums()
        learn_names(job.network, names_of(x), names_of(y))
        runner.running.add(log, steps[:, ROW_COUNT])
        return runner.running.figures()


def test_on_batch(job: Job, x: Any, y: Any, sample_weight: Any, reset: bool) -> dict[str, Any]:
    """The loss and each metric over one batch, or over all batches so far."""
    one = Evaluation(job, checked_data(job.network, job.compiled(), x, y, sample_weight)).all_rows
    one.run(None)
    sums = None if reset else job.programs.metric_sums
    if not isinstance(sums, MetricSums):
        sums = job.programs.metric_sums = MetricSums(one.program, job.compiled())
    sums.add(one.tables.log, one.tables.steps[:, ROW_COUNT])
    return sums.figures()


def reset_metrics(job: Job) -> None:
    """Let the figures of batches that are given one by one start from zero."""
    if isinstance(job.programs.step_runner, StepRunner):
        job.programs.step_runner.running = None
    job.programs.metric_sums = None
