"""Metrics made of other units: a loss that is reported, and a metric whose rows count by their weights."""

from __future__ import annotations

from typing import Any

from nbdl.errors import ConfigError
from nbdl.units.loss import Loss
from nbdl.units.metric import Metric, in_order


class LossMetric(Metric):
    """A loss reported as a metric: its mean over the rows."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    @property
    def decides(self) -> bool:
        return bool(self.loss.pairs)  # it takes probabilities

    def update(self, r: Any, y: Any, p: Any) -> Any:
        wanted = self.loss.target_shape(p.shape)
        if wanted != y.shape:
            raise ConfigError(
                f"the metric {self.loss.unit_name!r} compares targets of shape {wanted}, those of the loss have shape "
                f"{y.shape}: labels and one-hot targets go with different units"
            )
        values, counted = self.loss.values(r, y, p), self.loss.counted(r, y)
        return values if counted is None else (values, counted)

    def result(self, sums: Any, rows: float) -> float:
        return float(sums[0]) / (rows if len(sums) == 1 else max(float(sums[1]), 1.0))


class WeightedMetric(Metric):
    """A metric over rows that count by their sample_weight: one of compile's `weighted_metrics`."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.greater_is_better = metric.greater_is_better  # type: ignore[misc]  # this object's own

    @property
    def decides(self) -> bool:
        return self.metric.decides

    def counts_classes(self, outputs: int) -> bool:
        return self.metric.counts_classes(outputs)

    def log(self, r: Any, name: str, y: Any, p: Any, weights: Any = None) -> tuple[Any, ...]:
        return self.sums(r, name, (*self.metric.recorded(r, y, p, weights), weights))

    def add(self, sums: Any, steps: Any, rows: Any, weights: Any) -> Any:
        import numpy as np

        own, total = (None, None) if sums is None else (sums[:-1], sums[-1:])
        added = self.metric.add(own, steps[:, :-1], rows, steps[:, -1])
        return np.concatenate([added, in_order(total, steps[:, -1:])])

    def result(self, sums: Any, rows: float) -> Any:
        import numpy as np

        if sums[-1]:
            return self.metric.result(sums[:-1], sums[-1])
        with np.errstate(all="ignore"):
            return np.zeros(np.shape(self.metric.result(sums[:-1], 1.0)))


def unit_of(metric: Metric) -> Metric | Loss:
    """The registered unit behind a metric that compile made: the loss, or the metric that is weighted."""
    if isinstance(metric, WeightedMetric):
        return unit_of(metric.metric)
    return metric.loss if isinstance(metric, LossMetric) else metric
