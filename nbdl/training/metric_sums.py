"""MetricSums: what the steps of an epoch log, added up into its loss and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.engine.store import Floats
from nbdl.network.executors import program_of
from nbdl.program.operation import Program
from nbdl.units.metric import in_order

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.network.setup import Goal, Setup


class MetricSums:
    """Adds up the log's rows, in float64, into the figures of an epoch."""

    def __init__(self, program: Program, setup: Setup) -> None:
        self.setup, self.rows = setup, 0
        self.columns, start = {}, 0
        for name, width in program.log:
            self.columns[name] = slice(start, start + width)
            start += width
        self.sums: dict[str, Any] = {}

    def add(self, log: Floats, rows: Any) -> None:
        """Add steps; a penalty is one number per step and counts with its rows."""
        if not len(rows):
            return
        steps, counts = log.astype(np.float64), rows.astype(np.float64)
        metrics = self.setup.metrics
        for name in self.columns.keys() - {f"metric {name}" for name, _ in metrics}:
            part = steps[:, self.columns[name]]
            self.sums[name] = in_order(self.sums.get(name), part * counts[:, None] if name == "penalty" else part)
        for name, metric in metrics:
            part = steps[:, self.columns[f"metric {name}"]]
            self.sums[f"metric {name}"] = metric.add(self.sums.get(f"metric {name}"), part, counts, counts)
        self.rows += int(rows.sum())

    def _loss(self, goal: Goal) -> tuple[Goal, Any]:
        """A loss over all rows that count."""
        counted = self.sums[goal.logged("counted")][0] if goal.logged("counted") in self.sums else self.rows
        return goal, self.sums[goal.logged("loss")][0] / max(counted, 1.0)

    def figures(self) -> dict[str, Any]:
        """loss (penalties included, as in Keras) and metrics."""
        if self.rows == 0:
            return {}
        losses = [self._loss(goal) for goal in self.setup.goals]
        total = sum(loss if goal.weight == 1.0 else goal.weight * loss for goal, loss in losses)
        if "penalty" in self.sums:
            total += self.sums["penalty"][0] / self.rows
        figures: dict[str, Any] = {"loss": float(total)}
        if any(goal.name for goal, _ in losses):
            figures.update({goal.reported("loss"): float(loss) for goal, loss in losses})
        for name, metric in self.setup.metrics:
            figure = metric.result(self.sums[f"metric {name}"], self.rows)
            figures[name] = np.asarray(figure) if np.ndim(figure) else float(figure)
        return figures


def several(job: Job) -> dict[str, np.ndarray]:
    """The metrics whose figure is several numbers, by name, with that of one row of zeros as an example."""
    found = {}
    widths = dict(program_of(job, "evaluate").log) if job.compiled().metrics else {}
    for name, metric in job.compiled().metrics:
        one, nothing = np.ones(1), np.zeros((1, widths[f"metric {name}"]))
        with np.errstate(all="ignore"):
            figure = metric.result(metric.add(None, nothing, one, one), 1.0)
        if np.size(figure) > 1:
            found[name] = np.asarray(figure)
    return found
