"""evaluate: the loss and metrics over rows in one pass, or over batches as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.engine.run import ROW_COUNT
from nbdl.errors import DataError
from nbdl.training.batches import BatchStream, batches_of, limited
from nbdl.training.callbacks import CallbackList, made
from nbdl.training.inputs import check_threads, checked_data
from nbdl.training.metric_sums import MetricSums
from nbdl.training.passes import Pass

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.units.callback import CallbackModel


def evaluate(
    job: Job, model: CallbackModel, x: Any, y: Any, sample_weight: Any = None,
    batch_size: int | None = None, steps: int | None = None, callbacks: Any = None, threads: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The loss and each metric over all rows, or those of an iterable's batches, by name."""
    check_threads(threads)
    hooks = CallbackList(made(callbacks, "evaluate's callbacks"), model, {"steps": steps})
    return evaluation(job, [x, y, sample_weight], batch_size, steps, hooks).figures(threads, hooks)


def evaluation(
    job: Job, data: list[Any], batch_size: int | None, steps: int | None, hooks: CallbackList, name: str = "x"
) -> Evaluation:
    """The evaluation of x, y and weights, or of batches in the place of x."""
    job.compiled()
    source = batches_of(job, data, batch_size, steps, hooks.evaluation_batches, name)
    if source is not None:
        return Evaluation(job, source)
    return Evaluation(job, limited(checked_data(job.network, job.compiled(), *data), batch_size, steps))


class Evaluation:
    """The loss and metrics over the same rows, or the next batches, as often as wanted, on the model's device."""

    def __init__(self, job: Job, source: list[Any] | BatchStream) -> None:
        self.job, self.setup, self.device = job, job.compiled(), job.device
        self.stream = source if isinstance(source, BatchStream) else None
        if not isinstance(source, BatchStream):
            if len(source[0]) == 0:
                raise DataError("there are no rows to evaluate on")
            self.all_rows = Pass(job, "evaluate", source, self.device)

    def figures(self, threads: int | None, hooks: CallbackList) -> dict[str, Any]:
        """The figures by name, with the weights as they are now."""
        hooks.call("on_test_begin", {})
        tally = self._of_rows(threads) if self.stream is None else self._of_batches(self.stream, threads, hooks)
        figures = tally.figures()
        hooks.call("on_test_end", figures)
        return figures

    def _of_rows(self, threads: int | None) -> MetricSums:
        self.all_rows.run(threads)
        return self._add(None, self.all_rows)

    def _of_batches(self, stream: BatchStream, threads: int | None, hooks: CallbackList) -> MetricSums:
        tally: MetricSums | None = None
        self.job.stop_evaluating = False
        for number, batch in enumerate(stream.epoch()):
            hooks.call("on_test_batch_begin", number, {})
            one = Pass(self.job, "evaluate", stream.checked(batch, f"batch {number + 1}", number == 0), self.device)
            one.run(threads)
            tally = self._add(tally, one)
            hooks.call("on_test_batch_end", number, tally.figures() if hooks.evaluation_batches else {})
            if self.job.stop_evaluating:
                break
        if tally is None:
            raise DataError(f"{stream.name} gave no batches" + ("" if stream.again else ": it has none left"))
        return tally

    def _add(self, tally: MetricSums | None, one: Pass) -> MetricSums:
        tally = tally or MetricSums(one.program, self.setup)
        tally.add(one.tables.log, one.tables.steps[:, ROW_COUNT])
        return tally
