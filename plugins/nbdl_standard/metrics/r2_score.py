"""R²: the share of the targets' variance that the predictions explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl
from nbdl.errors import ConfigError
from nbdl.program import times
from nbdl.units import deviations, in_order, moved
from nbdl_standard.losses.mean_squared_error import f as squared_difference

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program import Recorder, Tensor


HALF_DIGIT = 2.0**-24  # of float32, relatively


class R2Score(Metric):
    """The coefficient of determination: the share of the targets' variance that the predictions explain.

    Formula: of a column, R² = 1 - Σ(y - p)²/Σ(y - ȳ)², with ȳ the mean of the epoch; a column of equal targets has 0,
    or 1 if it is predicted exactly. Adjusted for k regressors: 1 - (1 - R²)·(n - 1)/(n - k - 1), n = rows·columns,
    whatever the rows weigh.

    Args:
        class_aggregation: "uniform_average" (default), the mean over the columns, "variance_weighted_average", or
            None, for a figure of each column.
        num_regressors: k; 0, the default, does not adjust.

    Deviations are from a mean of each step, so targets may be far from 0 by many deviations.

    Raises:
        ConfigError: an argument is out of range.

    Source: Keras 3, metrics/regression_metrics.py.

    >>> R2Score()
    R2Score()
    """

    greater_is_better = True

    def __init__(self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0) -> None:
        known = ("uniform_average", "variance_weighted_average", None)
        if class_aggregation not in known:
            raise ConfigError(
                f"R2Score: class_aggregation is one of {', '.join(map(str, known))}, got {class_aggregation!r}"
            )
        if num_regressors < 0:
            raise ConfigError(f"R2Score: num_regressors is not negative, got {num_regressors!r}")
        self.class_aggregation, self.num_regressors = class_aggregation, int(num_regressors)

    def recorded(self, r: Recorder, y: Tensor, p: Tensor, weights: Tensor | None = None) -> tuple[Tensor, ...]:
        self.refuse_labels(y, p)
        origin, *sums = deviations(r, y, weights)
        sums.append(r.map(squared_difference, y, p))
        return origin, *(sums if weights is None else [r.map(times, part, weights) for part in sums])

    def add(self, sums: np.ndarray | None, steps: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        origins, first, second, left = np.hsplit(steps, 4)
        columns = origins.shape[1]
        origin = origins[0] if sums is None else sums[:columns]
        about = moved(origins, first, second, weights, origin)
        added = in_order(None if sums is None else sums[columns:], np.column_stack([*about, left, weights, rows]))
        return np.concatenate([origin, added])

    def result(self, sums: np.ndarray, rows: float) -> float | np.ndarray:
        import numpy as np

        origin, total, squares, left = sums[:-2].reshape(4, -1)
        weight, number = sums[-2:] * [1.0, len(total)]
        mean = total / weight if weight else total
        around = squares - total * mean
        # What is left of equal targets, each rounded to float32, is no variance.
        around[around <= weight * ((origin + mean) * HALF_DIGIT) ** 2] = 0.0
        scores = 1.0 - np.divide(left, around, out=np.where(left > 0.0, 1.0, 0.0), where=around > 0.0)
        weighted = self.class_aggregation == "variance_weighted_average" and around.sum() > 0.0
        score: Any = scores
        if self.class_aggregation is not None:
            score = float(np.average(scores, weights=around if weighted else None))
        free = number - self.num_regressors - 1
        if self.num_regressors and free > 0:
            score = 1.0 - (1.0 - score) * (number - 1) / free
        return score


@hookimpl
def register_metrics(register: Any) -> None:
    register(
        "r2_score",
        R2Score,
        aliases=("r2",),
        targets="reals",
        predictions="reals",
        examples=({"class_aggregation": "variance_weighted_average", "num_regressors": 2},),
    )
