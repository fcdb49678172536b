"""What a network has for its training: what `compile` chose, and how far training has come."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from nbdl.errors import ConfigError
from nbdl.units.functions import is_function, unit_of_functions
from nbdl.units.loss import Loss
from nbdl.units.metric import Metric
from nbdl.units.metric_wrappers import LossMetric, WeightedMetric, unit_of
from nbdl.units.optimizer import Optimizer
from nbdl.units.registry import registry

if TYPE_CHECKING:
    from nbdl.engine.store import Floats


NOT_COMPILED = "the model is not compiled: call model.compile(loss=..., optimizer=...) first"


@dataclass
class Goal:
    """What one output is to come to.

    Attributes:
        loss: of its predictions and targets.
        metrics: by name.
        output: which of the network's outputs it is.
        name: of the output; "" where it is the only one.
        weight: of the loss in the sum of all losses.
    """

    loss: Loss
    metrics: list[tuple[str, Metric]]
    output: int = 0
    name: str = ""
    weight: float = 1.0

    def reported(self, name: str) -> str:
        """Return what a metric is called in logs: with the output's name before it, if there are several outputs."""
        return f"{self.name}_{name}" if self.name else name

    def logged(self, name: str) -> str:
        """Return what an entry of the program's log, or an input, is called."""
        return f"{name} {self.name}".strip()


@dataclass
class Setup:
    """What `compile` chose: an optimizer, and a goal for each output that has a loss."""

    optimizer: Optimizer
    goals: list[Goal]
    warned: bool = False  # whether the warnings of `warn_of_outputs` have been given

    @property
    def loss(self) -> Loss:
        """The loss of the first output that has one."""
        return self.goals[0].loss

    @property
    def metrics(self) -> list[tuple[str, Metric]]:
        """All metrics, by the names that they are reported under."""
        return [(goal.reported(name), metric) for goal in self.goals for name, metric in goal.metrics]


@dataclass
class TrainingState:
    """What going on with training needs: the optimizer's slots, steps and epochs done."""

    slots: Floats
    slot_names: tuple[str, ...] = ()
    iterations: int = 0
    epochs: int = 0


def _metric_of(value: Any) -> Metric:
    """A metric from what `compile` was given: a metric, a loss, or a scalar function f(y, p, ...)."""
    if is_function(value):
        return cast(Metric, unit_of_functions("metrics", (value,), "compile's metrics"))
    if value is None:
        raise ConfigError("compile's metrics: a metric is a name, a unit or a function f(y, p), got None")
    is_loss = isinstance(value, Loss) or (isinstance(value, type) and issubclass(value, Loss))
    name = value.get("name") if isinstance(value, dict) else value
    if isinstance(name, str):
        is_loss = registry.kind_of("metrics", name) == "losses"
    if is_loss:
        return LossMetric(registry.make("losses", value))
    return cast(Metric, registry.make("metrics", value, "compile's metrics"))


def named_metrics(metrics: Sequence[Any], weighted: Sequence[Any] = ()) -> list[tuple[str, Metric]]:
    """Metrics with the names that they are reported under: as written, or the unit's own, with a number if taken.

    Args:
        weighted: those whose rows count by their weights; a name that is taken gets "weighted_" before it.
    """
    named = _named(metrics)
    taken = {name for name, _ in named}
    for name, metric in _named(weighted):
        named.append((f"weighted_{name}" if name in taken else name, WeightedMetric(metric)))
    return named


def _named(metrics: Sequence[Any]) -> list[tuple[str, Metric]]:
    named: list[tuple[str, Metric]] = []
    for metric in metrics:
        made = _metric_of(metric)
        written = metric if isinstance(metric, str) else vars(unit_of(made)).get("name")
        own = unit_of(made).default_name()
        taken = {"loss", *(name for name, _ in named)}
        if written in taken:
            raise ConfigError(f"the metric {written!r} is given twice; name=... gives a metric another name")
        free = (own if number == 0 else f"{own}_{number}" for number in itertools.count())
        named.append((written or next(name for name in free if name not in taken), made))
    return named
