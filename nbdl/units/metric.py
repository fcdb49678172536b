"""Metric: a figure over an epoch, from sums of per-row values."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl.errors import ConfigError
from nbdl.program.functions import same, times
from nbdl.units.unit import NAMED, Scalar, Unit

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program.recorder import Recorder
    from nbdl.program.tensor import Tensor


def in_order(sums: np.ndarray | None, steps: np.ndarray) -> np.ndarray:
    """Add sums over the steps one after the other: the bits do not depend on how many steps come at once."""
    import numpy as np

    started = steps if sums is None else np.concatenate([sums[None], steps])
    return np.asarray(np.add.accumulate(started)[-1])


class Metric(Unit):
    """A figure over an epoch: sums of per-row values, finished in Python.

    `update` records rows × width, once or several times; the engine adds the rows up in a fixed order, float64 over
    the steps. Sums of squares lose digits where values are far from 0: see `nbdl.units.moments`.

    Any metric also takes:

    Args:
        name: what it is reported under; by default the unit's, with a number where that is taken.
    """

    kind = "metrics"
    last_positions = ("name", "dtype")
    common = NAMED
    greater_is_better: ClassVar[bool] = False
    name: str

    @property
    def decides(self) -> bool:
        """Whether the metric looks at decisions: it then gets targets and predictions as `Loss.decided` gives them."""
        return False

    def counts_classes(self, outputs: int) -> bool:
        """Whether it takes each target for one of two classes, for a net with that many outputs."""
        return False

    def __init__(self, *, name: str | None = None) -> None:
        self._set_common(name)

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Record the values of each row: rows × width, or a tuple of such."""
        raise self.unwritten("update")

    def result(self, sums: np.ndarray, rows: float) -> float | np.ndarray:
        """Compute the figure, or an array of several, from what `add` returned; by default the mean of the first.

        Args:
            rows: how many there were; of `weighted_metrics`, the sum of their weights.
        """
        return float(sums[0]) / rows

    def add(self, sums: np.ndarray | None, steps: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Add what some steps logged to the sums of the epoch's earlier steps, one step after the other.

        Args:
            sums: what the last call returned; None at the start of an epoch.
            steps: steps × width, float64: what `recorded` gave, summed over the rows of each step.
            rows: of each step, their number.
            weights: of each step, the sum of its rows' weights: their number, but for `weighted_metrics`.
        """
        return in_order(sums, steps)

    def figure(self, steps: np.ndarray, rows: np.ndarray) -> float | np.ndarray:
        """Compute the figure of steps that are not weighted, by `add` and `result`."""
        return self.result(self.add(None, steps, rows, rows), rows.sum())

    def recorded(self, r: Recorder, y: Tensor, p: Tensor, weights: Tensor | None = None) -> tuple[Tensor, ...]:
        """Record what each step logs: values of rows, which are summed, and numbers of the whole step, as they are.

        Args:
            weights: of the rows, for `weighted_metrics`; None: all count alike.

        Raises:
            ConfigError: `update` returns something else than values of rows.
        """
        from nbdl.program.checks import result

        values: Any = self.update(r, y, p)
        parts = values if isinstance(values, tuple) else (values,)
        parts = tuple(result(one, True, None, self, "update", "values of each row") for one in parts)
        return parts if weights is None else tuple(r.map(times, part, weights) for part in parts)

    def refuse_labels(self, y: Tensor, p: Tensor) -> None:
        """Refuse targets of another width than the predictions: what compares the two element by element says so."""
        if y.features != p.features:
            raise ConfigError(
                f"the metric {self.unit_name!r} compares predictions of shape {p.shape} with targets of that shape; "
                f"those of the loss have shape {y.shape}: labels and one-hot targets go with different units"
            )

    def log(self, r: Recorder, name: str, y: Tensor, p: Tensor, weights: Tensor | None = None) -> tuple[Tensor, ...]:
        """Record the values, which are returned, and their sums over the rows as one entry of the log.

        Args:
            weights: of the rows, which metrics do not look at unless they are `weighted_metrics`.
        """
        return self.sums(r, name, self.recorded(r, y, p))

    def sums(self, r: Recorder, name: str, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Record sums over the rows, and numbers of the whole step, as one entry of the log; return what was summed."""
        log = r.log(name, sum(part.features for part in parts))
        start = log.offset
        for part in parts:
            target = replace(log, shape=(part.features,), offset=start)
            if part.batched:
                r.sum(same, part, into=target)
            else:
                r.map(same, part, into=[target])
            start += part.features
        return tuple(part for part in parts if part.batched)


class ElementwiseMetric(Metric):
    """A metric from scalar f(y, p, ...): the mean over features and rows."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.mean(self.functions[0], y, p, *self.parameters.values())
