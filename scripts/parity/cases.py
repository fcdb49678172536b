"""What is compared: a case names the units that it covers and builds the same net on both sides.

Names, arguments and defaults are Keras's on both sides, so one builder does for both: it takes a `Side`, which offers
`layers`, `losses`, `optimizers`, `schedules`, ... of nbdl or of Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
STEPS, BATCH = 50, 16
AFTER_ONE, AFTER_ALL = 1e-5, 1e-3  # the goals
DRAWS = (250, 400)  # 10⁵ of them


class Side(Protocol):
    """Where units come from: nbdl or Keras."""

    name: str
    layers: Any
    losses: Any
    optimizers: Any
    schedules: Any
    regularizers: Any
    constraints: Any
    metrics: Any
    initializers: Any

    def activation(self, name: str, **settings: Any) -> Any:
        """An activation with parameters: a unit of nbdl, a function of Keras."""


@dataclass(frozen=True)
class Task:
    """Rows for all steps, in batches of `BATCH`; weights of rows or classes if they have some; rows to predict."""

    x: Array
    y: Array
    sample_weight: Array | None = None
    class_weight: Any = None
    shown: Array | None = None

    @property
    def probe(self) -> Array:
        """The rows that are predicted in the end: the first batch, if no others are given."""
        return self.x[:BATCH] if self.shown is None else self.shown

    def permuted(self) -> Task:
        """The same batches, the rows of each in another order."""
        rng = np.random.default_rng(7)
        order = np.concatenate([first + rng.permutation(BATCH) for first in range(0, len(self.x), BATCH)])
        weights = None if self.sample_weight is None else self.sample_weight[order]
        return Task(self.x[order], self.y[order], weights, self.class_weight, self.probe)


@dataclass(frozen=True)
class Truth:
    """A net in float64 NumPy, for units that Keras lacks; it is trained by gradient descent.

    Attributes:
        forward: predictions of weights and x.
        loss: the loss of each row of y and predictions.
        rate: the learning rate of a step, counted from 0.
    """

    forward: Callable[[list[Array], Array], Array]
    loss: Callable[[Array, Array], Array]
    rate: Callable[[int], float]


@dataclass(frozen=True)
class Otherwise:
    """What to compare with where Keras has no function of a unit's name that takes these settings."""

    settings: Mapping[str, Any]
    truth: Truth


def squares(y: Array, p: Array) -> Array:
    """The squared error of each row, for a truth."""
    return ((y - p) ** 2).mean(axis=1)


@dataclass(frozen=True)
class Case:
    """What every case has.

    Attributes:
        title: unique; shown in the table.
        units: what it covers, as "optimizers/Adam".
        explained: why it may miss the goal, where that is no defect.
    """

    title: str
    units: tuple[str, ...]

    @property
    def family(self) -> str:
        """The kind of the unit that comes first."""
        return self.units[0].split("/")[0]


Build = Callable[[Side], Any]


def regression() -> Task:
    """The data of the default net."""
    from parity import tasks

    return tasks.regression()()


def default_net(side: Side) -> list[Any]:
    """20-16-3, tanh."""
    return [side.layers.Dense(16, activation="tanh"), side.layers.Dense(3)]


def squared_error(side: Side) -> Any:
    """The loss of the default net."""
    return "mean_squared_error"


def descent(rate: float = 0.05) -> Build:
    """Plain gradient descent."""
    return lambda side: side.optimizers.SGD(learning_rate=rate)


DESCENT = descent()


@dataclass(frozen=True)
class Training(Case):
    """50 steps of training on both sides: weights, losses, and what the net predicts in the end.

    Attributes:
        layers, loss, optimizer: builders.
        task: the data.
        truth: compare with this rather than with Keras.
        otherwise: compare with this if Keras lacks the first unit.
        steps: 0 compares predictions alone.
        adapt: let the first layer adapt to the data first.
        own: names of nbdl's weights that Keras has no variables for, and which are no part of the comparison.
        explained: why it may miss the goal, where that is no defect.
    """

    layers: Callable[[Side], list[Any]] = default_net
    loss: Build = squared_error
    optimizer: Build = DESCENT
    task: Callable[[], Task] = regression
    truth: Truth | None = None
    otherwise: Otherwise | None = None
    steps: int = STEPS
    adapt: bool = False
    own: tuple[str, ...] = ()
    explained: str = ""


@dataclass(frozen=True)
class Figure(Case):
    """A metric over given targets and predictions, in batches the last of which is short."""

    metric: Build
    targets: Array
    predictions: Array
    loss: str = "mean_squared_error"
    explained: str = ""


@dataclass(frozen=True)
class Draw(Case):
    """Random numbers: `draw` gives 10⁵ of them; their distribution is compared, not their bits."""

    draw: Callable[[Side], Array]
    explained: str = ""


def titled(unit: str, settings: Mapping[str, Any], suffix: str = "") -> str:
    """ "Adam(amsgrad=True)"."""
    inner = ", ".join(f"{name}={value}" for name, value in settings.items())
    return f"{unit}({inner}){suffix}" if inner else f"{unit}{suffix}"
