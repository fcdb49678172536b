"""Which curves show what a unit is: its scalar function and derivative, or the rate of a schedule."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from nbdl import Schedule
from nbdl.program import reference_function
from nbdl.units import (
    ElementwiseActivation,
    ElementwiseConstraint,
    ElementwiseLoss,
    ElementwiseMetric,
    ElementwiseRegularizer,
    Entry,
)

Function = Callable[[float], float]


@dataclass(frozen=True)
class Curve:
    """One line of a plot.

    Attributes:
        label: for the legend.
        function: of one number; where it has no value, it gives NaN or infinity.
        derivative: whether it is another curve's derivative, which is dashed.
        colour: 0 or 1.
    """

    label: str
    function: Function
    derivative: bool = False
    colour: int = 0


@dataclass(frozen=True)
class Plot:
    """Curves over one axis.

    Attributes:
        unit: whose curves they are: its name, with its arguments if they are not the default ones.
        subject: what is seen, for those who do not see it.
        axis: what is to the right.
        low, high: from where to where.
        curves: what is drawn.
        limit: values beyond ±limit are left out.
        steps: whether there are values at whole numbers only.
    """

    unit: str
    subject: str
    axis: str
    low: float
    high: float
    curves: tuple[Curve, ...]
    limit: float = math.inf
    steps: bool = False

    @property
    def title(self) -> str:
        """What is seen of whom."""
        return f"{self.unit}: {self.subject}"


def plot_of(entry: Entry) -> Plot | None:
    """What to draw of a unit with its default arguments, or with its first example where it has none or they give 0.

    Returns:
        The plot; None for units that are not scalar functions or schedules.
    """
    target = entry.target
    draw = next((DRAWN[base] for base in DRAWN if isinstance(target, type) and issubclass(target, base)), None)
    if draw is None:
        return None
    for arguments in _arguments(entry):
        plot = draw(_called(entry.name, arguments), target(**arguments), entry.options)
        if plot.steps or any(one.function(x) for one in plot.curves for x in (plot.low, plot.high)):
            return plot
    return None


def _arguments(entry: Entry) -> Iterator[dict[str, Any]]:
    """The default arguments, if they suffice, and those of the examples."""
    needed = [one for one in inspect.signature(entry.target).parameters.values() if one.default is one.empty]
    if not any(one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) for one in needed):
        yield {}
    yield from (dict(example) for example in entry.options.get("examples", ()))


def _called(name: str, arguments: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})" if arguments else name


def scalar(function: Callable[..., Any], *parameters: float) -> Callable[..., float]:
    """A unit's scalar function in float64, its last arguments given; it never raises, as compiled code does not."""
    plain = reference_function(function)

    def value(*numbers: float) -> float:
        import numpy as np

        with np.errstate(all="ignore"):
            return float(plain(*map(np.float64, (*numbers, *parameters))))

    return value


def _activation(name: str, unit: ElementwiseActivation, options: Mapping[str, Any]) -> Plot:
    f, df = (scalar(one, *unit.parameters.values()) for one in unit.functions[:2])
    high = max(5.0, *(1.25 * abs(kink) for kink in options.get("kinks", ())), 0.0)
    curves = Curve("y", f), Curve("dy/dx", lambda x: df(x, f(x)), derivative=True, colour=1)
    return Plot(name, "y and its derivative over x", "x", -high, high, curves, limit=high)


def _loss(name: str, unit: ElementwiseLoss, options: Mapping[str, Any]) -> Plot:
    f, df = (scalar(one, *unit.parameters.values()) for one in unit.functions[:2])
    targets, low, high = _predictions(unit.targets, options)
    curves = []
    for number, y in enumerate(targets):
        curves.append(Curve(f"loss({y:g}, p)", partial(f, y), colour=number))
        curves.append(Curve("d/dp", partial(df, y), derivative=True, colour=number or 2 - len(targets)))
    return Plot(name, "loss(y, p) and its derivative over the prediction p", "p", low, high, tuple(curves))


def _metric(name: str, unit: ElementwiseMetric, options: Mapping[str, Any]) -> Plot:
    f = scalar(unit.functions[0], *unit.parameters.values())
    targets, low, high = _predictions(options.get("targets", ""), options)
    curves = tuple(Curve(f"f({y:g}, p)", partial(f, y), colour=number) for number, y in enumerate(targets))
    return Plot(name, "f(y, p) over the prediction p", "p", low, high, curves)


def _predictions(targets: Any, options: Mapping[str, Any]) -> tuple[tuple[float, ...], float, float]:
    """Typical targets, at most two, and the range of predictions to show, by what a unit says of both."""
    if isinstance(targets, tuple):
        y = (targets[0] + targets[1]) / 2.0
        return (y,), y - 3.0, y + 3.0
    if "probabilities" in (targets, options.get("predictions")):
        return (0.0, 1.0), 0.0, 1.0
    if "positive" in (targets, options.get("predictions")):
        return (1.0,), 0.0, 4.0
    if targets == "signs":
        return (-1.0, 1.0), -3.0, 3.0
    return (0.0,), -3.0, 3.0


def _regularizer(name: str, unit: ElementwiseRegularizer, options: Mapping[str, Any]) -> Plot:
    penalty, gradient = (scalar(one, *unit.parameters.values()) for one in unit.functions[:2])
    curves = Curve("penalty", penalty), Curve("d/dw", gradient, derivative=True, colour=1)
    return Plot(name, "the penalty on a weight w and its derivative", "w", -2.0, 2.0, curves)


def _projection(name: str, unit: ElementwiseConstraint, options: Mapping[str, Any]) -> Plot:
    project = scalar(unit.functions[0], *unit.parameters.values())
    return Plot(name, "what becomes of a weight w", "w", -2.0, 2.0, (Curve("projected w", project),))


def _rate(name: str, schedule: Schedule, options: Mapping[str, Any]) -> Plot:
    """Steps to well beyond the largest number of the arguments, which is a number of steps."""
    longest = max([40.0, *(2.5 * number for number in _numbers(list(schedule.arguments.values())))])
    curve = Curve("rate", lambda step: float(schedule(int(step))))
    return Plot(name, "the learning rate over the steps", "step", 0.0, math.ceil(longest), (curve,), steps=True)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, int | float) and math.isfinite(value):
        yield float(value)


# By the base class of what is drawn.
DRAWN: dict[type, Callable[[str, Any, Mapping[str, Any]], Plot]] = {
    ElementwiseActivation: _activation,
    ElementwiseLoss: _loss,
    ElementwiseMetric: _metric,
    ElementwiseRegularizer: _regularizer,
    ElementwiseConstraint: _projection,
    Schedule: _rate,
}
