"""What a model has beside its layers: what `compile` chose, and how far training has come."""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from nbdl.errors import ConfigError, PluginError
from nbdl.optimizer import Optimizer
from nbdl.registry import registry
from nbdl.specs import Loss, Metric, elementwise, in_order
from nbdl.units import Unit

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

    def log(self, r: Any, name: str, y: Any, p: Any, weights: Any = None) -> tuple[Any, ...]:
        return self.sums(r, name, (*self.metric.recorded(r, y, p, weights), weights))

    def add(self, sums: Any, steps: Any, rows: Any, weights: Any) -> Any:
        import numpy as np

        own, total = (None, None) if sums is None else (sums[:-1], sums[-1:])
        added = self.metric.add(own, steps[:, :-1], rows, steps[:, -1])
        return np.concatenate([added, in_order(total, steps[:, -1:])])

    def result(self, sums: Any, rows: float) -> float:
        return self.metric.result(sums[:-1], sums[-1]) if sums[-1] else 0.0


def unit_of(metric: Metric) -> Metric | Loss:
    """The registered unit behind a metric that compile made: the loss, or the metric that is weighted."""
    if isinstance(metric, WeightedMetric):
        return unit_of(metric.metric)
    return metric.loss if isinstance(metric, LossMetric) else metric


def own_loss(given: Any) -> Any:
    """What `compile` was given as loss: a pair of scalar functions becomes a unit, anything else stays.

    Args:
        given: (f, df) with f(y, p, ...) and df(y, p, ...), where further arguments have defaults.

    Raises:
        ConfigError: one function alone, or functions that do not fit.
    """
    if _is_function(given):
        raise ConfigError(
            f"compile's loss: {given.__name__} is one function; give a pair, loss=(f, df): scalar functions f(y, p), "
            "whose mean over a row's outputs is the loss, and df(y, p), the derivative of f by p"
        )
    if isinstance(given, tuple | list):
        loss = _of_functions("losses", tuple(given), "compile's loss")
        _compare_slope(*given)
        return loss
    return given


def _compare_slope(f: Callable[..., Any], df: Callable[..., Any]) -> None:
    """Warn where df is not the derivative of f by p, at most of some points: kinks may lie at a few."""
    step, right, seen = 1e-4, 0, 0
    for y, p in itertools.product((0.0, 1.0, 0.3), (0.11, 0.42, 0.87)):
        try:
            slope, wanted = df(y, p), (f(y, p + step) - f(y, p - step)) / (2.0 * step)
        except (ArithmeticError, ValueError):  # outside of what the functions are for
            continue
        seen, right = seen + 1, right + (abs(slope - wanted) <= 1e-2 * max(abs(slope), abs(wanted)) + 1e-3)
    if 2 * right < seen:
        warnings.warn(
            f"compile's loss: {df.__name__} is not the derivative of {f.__name__} by its second argument, the "
            f"prediction: right at {right} of {seen} points",
            stacklevel=4,
        )


def _is_function(given: Any) -> bool:
    return callable(given) and not isinstance(given, type | Unit)


def _of_functions(kind: str, functions: tuple[Callable[..., Any], ...], where: str) -> Any:
    """A unit of scalar functions: the registered one that they make, or one of this model's own."""
    if not all(map(inspect.isfunction, functions)):
        raise ConfigError(f"{where}: plain Python functions are wanted, got {functions!r}")
    known = (entry.target for entry in registry.entries(kind))
    unit = next((one for one in known if getattr(one, "functions", ()) == functions), None)
    try:
        if unit is None:
            unit = elementwise(kind, functions[0].__name__, functions)
            unit.unit_name = functions[0].__name__
        return unit()
    except (PluginError, TypeError) as error:
        raise ConfigError(f"{where}: {error}; arguments after y and p need defaults") from None


def _metric(given: Any) -> Metric:
    """A metric from what `compile` was given: a metric, a loss, or a scalar function f(y, p, ...)."""
    if _is_function(given):
        return cast(Metric, _of_functions("metrics", (given,), "compile's metrics"))
    is_loss = isinstance(given, Loss) or (isinstance(given, type) and issubclass(given, Loss))
    if isinstance(given, str):
        is_loss = registry.kind_of("metrics", given) == "losses"
    if is_loss:
        return LossMetric(registry.make("losses", given))
    return cast(Metric, registry.make("metrics", given, "compile's metrics"))


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
        made = _metric(metric)
        written = metric if isinstance(metric, str) else unit_of(made).name
        own = unit_of(made).unit_name
        taken = {"loss", *(name for name, _ in named)}
        if written in taken:
            raise ConfigError(f"the metric {written!r} is given twice; name=... gives a metric another name")
        free = (own if number == 0 else f"{own}_{number}" for number in itertools.count())
        named.append((written or next(name for name in free if name not in taken), made))
    return named
