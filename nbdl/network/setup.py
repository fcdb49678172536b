"""What a model has beside its layers: what `compile` chose, and how far training has come."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import TYPE_CHECKING, Any, cast

from nbdl.errors import ConfigError, PluginError, warn
from nbdl.plugins.registry import registry
from nbdl.units.elementwise import Loss, Metric, in_order, unregistered
from nbdl.units.optimizer import Optimizer
from nbdl.units.unit import Unit

if TYPE_CHECKING:
    from nbdl.engine.store import Floats


@dataclass
class Compiled:
    """What `compile` set: optimizer, loss, named metrics."""

    optimizer: Optimizer
    loss: Loss
    metrics: list[tuple[str, Metric]]
    looked_at: bool = False  # whether its warnings have been given


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


def own_loss(given: Any) -> Any:
    """Make a unit of what `compile` was given as loss, if that is a plain function or a pair of them.

    Args:
        given: f(y, p, ...), or (f, df) with the derivative df(y, p, ...) by p; further arguments have defaults.

    Raises:
        ConfigError: the functions do not fit, or the derivative of f cannot be found.
    """
    given = _plain(given)
    if inspect.isfunction(given):
        return _registered_unit("losses", given) or _derived("losses", given, 1, "", "compile's loss", "loss=(f, df)")
    if isinstance(given, tuple | list):
        loss = _of_functions("losses", tuple(given), "compile's loss")
        f, df = (_of_numbers(one, "compile's loss") for one in given)
        points = itertools.product((0.0, 1.0, 0.3), (0.11, 0.42, 0.87))
        slopes = ((lambda p, y=y: f(y, p), lambda p, y=y: df(y, p), p) for y, p in points)
        _compare_slopes(
            slopes, f"compile's loss: {df.__name__}", f"{f.__name__} by its second argument, the prediction"
        )
        return loss
    return given


def own_activation(given: Any, where: str, package: str) -> Any:
    """Make a unit of what a layer was given as activation, if that is a plain function or a pair of them.

    Args:
        given: f(x, ...), or (f, df) with df(x, y, ...), where y is f(x); further arguments have defaults.
        where: the layer and its argument, for messages.
        package: of the layer, whose lines are not the user's.

    Raises:
        ConfigError: the functions do not fit, or the derivative of f cannot be found.
    """
    given = _plain(given)
    if inspect.isfunction(given):
        found = _registered_unit("activations", given)
        return found or _derived("activations", given, 0, "y", where, "activation=(f, df)")
    if isinstance(given, tuple | list):
        unit = _of_functions("activations", tuple(given), where)
        f, df = (_of_numbers(one, where) for one in given)
        slopes = ((f, lambda x: df(x, f(x)), x) for x in (-2.3, -0.7, -0.1, 0.2, 0.9, 3.1))
        _compare_slopes(slopes, f"{where}: {df.__name__}", f"{f.__name__} by x", package)
        return unit
    return given


def _registered_unit(kind: str, function: Any) -> Any:
    """Make the registered unit that begins with a function; None where there is none."""
    unit = _registered(kind, (function,))
    return None if unit is None else unit()


def _derived(kind: str, function: Any, by: int, also: str, where: str, pair: str) -> Any:
    """Make a unit of one function and the derivative that follows from its code."""
    from nbdl.program.language.derivative import derivative
    from nbdl.program.language.source import ScalarError

    leading = 1 if kind == "activations" else 2
    if len(inspect.signature(function).parameters) < leading:
        names = "f(x)" if kind == "activations" else "f(y, p)"
        raise ConfigError(f"{where}: a function {names} of numbers is wanted, got {function.__name__}")
    try:
        slope = derivative(function, by, also)
    except ScalarError as error:
        raise ConfigError(f"{where}: {error}; give the derivative too, as a pair {pair}") from None
    return _of_functions(kind, (function, slope), where)


def _of_numbers(function: Any, where: str) -> Any:
    """A function that is refused where it fails or returns no number."""

    @functools.wraps(function)
    def run(*numbers: float) -> Any:
        must = f"{where}: {function.__name__} must return a number"
        try:
            value = function(*numbers)
        except (ArithmeticError, ValueError):
            raise
        except Exception as error:
            raise ConfigError(f"{must}, and fails: {error}") from None
        if not isinstance(value, Number):
            raise ConfigError(f"{must}, got {type(value).__name__}")
        return value

    return run


def _compare_slopes(slopes: Iterable[tuple[Any, Any, float]], what: str, of: str, package: str = "nbdl") -> None:
    """Warn where a function is not the derivative of another, at most of some points: kinks may lie at a few.

    Args:
        slopes: the function, its derivative, and the point.
        what, of: the derivative and the function, for the warning.
    """
    step, right, seen = 1e-4, 0, 0
    for f, df, point in slopes:
        try:
            slope, wanted = df(point), (f(point + step) - f(point - step)) / (2.0 * step)
        except ConfigError:
            raise
        except (ArithmeticError, ValueError):  # outside of what the functions are for
            continue
        seen, right = seen + 1, right + (abs(slope - wanted) <= 1e-2 * max(abs(slope), abs(wanted)) + 1e-3)
    if 2 * right < seen:
        warn(f"{what} is not the derivative of {of}: right at {right} of {seen} points", package=package)


def _plain(given: Any) -> Any:
    """The Python function of one that Numba has compiled; anything else as it is."""
    return getattr(given, "py_func", given)


def is_function(given: Any) -> bool:
    """Whether it is a function rather than a unit or its class."""
    return callable(given) and not isinstance(given, type | Unit)


def _registered(kind: str, functions: tuple[Any, ...]) -> Any:
    """The registered unit that begins with these functions, or None."""
    known = (entry.target for entry in registry.entries(kind))
    return next((one for one in known if getattr(one, "functions", ())[: len(functions)] == functions), None)


def _of_functions(kind: str, functions: tuple[Callable[..., Any], ...], where: str) -> Any:
    """A unit of scalar functions: the registered one that they make, or one of this model's own."""
    functions = tuple(map(_plain, functions))
    if not all(map(inspect.isfunction, functions)):
        raise ConfigError(f"{where}: plain Python functions are wanted, got {functions!r}")
    unit = _registered(kind, functions)
    try:
        return (unit or unregistered(kind, functions[0].__name__, functions))()
    except (PluginError, TypeError) as error:
        first = {"activations": "x"}.get(kind, "y and p")
        raise ConfigError(f"{where}: {error}; arguments after {first} need defaults") from None


def _metric(given: Any) -> Metric:
    """A metric from what `compile` was given: a metric, a loss, or a scalar function f(y, p, ...)."""
    if is_function(given):
        return cast(Metric, _of_functions("metrics", (given,), "compile's metrics"))
    if given is None:
        raise ConfigError("compile's metrics: a metric is a name, a unit or a function f(y, p), got None")
    is_loss = isinstance(given, Loss) or (isinstance(given, type) and issubclass(given, Loss))
    name = given.get("name") if isinstance(given, dict) else given
    if isinstance(name, str):
        is_loss = registry.kind_of("metrics", name) == "losses"
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
        written = metric if isinstance(metric, str) else vars(unit_of(made)).get("name")
        own = unit_of(made).default_name()
        taken = {"loss", *(name for name, _ in named)}
        if written in taken:
            raise ConfigError(f"the metric {written!r} is given twice; name=... gives a metric another name")
        free = (own if number == 0 else f"{own}_{number}" for number in itertools.count())
        named.append((written or next(name for name in free if name not in taken), made))
    return named
