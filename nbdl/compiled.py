"""What a model has beside its layers: what `compile` chose, and how far training has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.registry import registry
from nbdl.specs import Loss, Metric, Optimizer

if TYPE_CHECKING:
    from nbdl.engine.store import Floats


@dataclass
class Compiled:
    """What `compile` set: optimizer, loss, named metrics."""

    optimizer: Optimizer
    loss: Loss
    metrics: list[tuple[str, Metric]]


@dataclass
class TrainingState:
    """What going on with training needs: the optimizer's slots, steps and epochs done."""

    slots: Floats
    slot_names: tuple[str, ...] = ()
    iterations: int = 0
    epochs: int = 0


class LossMetric(Metric):
    """A loss reported as a metric: its mean over the rows."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def update(self, r: Any, y: Any, p: Any) -> Any:
        return self.loss.values(r, y, p)


def named_metrics(metrics: Sequence[Any]) -> list[tuple[str, Metric]]:
    """Metrics with the names that they are reported under: as written, or the unit's own."""
    named: list[tuple[str, Metric]] = []
    for metric in metrics:
        if isinstance(metric, str) and registry.find("metrics", metric) is None and registry.find("losses", metric):
            made: Metric = LossMetric(registry.make("losses", metric))
        else:
            made = registry.make("metrics", metric, "compile's metrics")
        name = metric if isinstance(metric, str) else made.unit_name
        if any(name == other for other, _ in named):
            raise ConfigError(f"the metric {name!r} is given twice")
        named.append((name, made))
    return named
