"""R²: the share of the targets' variance that the predictions explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl
from nbdl.engine.functions import times
from nbdl.errors import ConfigError
from nbdl_standard.losses.mean_squared_error import f as squared_difference

if TYPE_CHECKING:
    import numpy as np

    from nbdl.engine.program import Recorder, Tensor


class R2Score(Metric):
    """The coefficient of determination: the share of the targets' variance that the predictions explain.

    Formula: of a column, R² = 1 - Σ(y - p)²/Σ(y - ȳ)², with ȳ the mean of the epoch; a column of equal targets has 0,
    or 1 if it is predicted exactly. Adjusted for k regressors: 1 - (1 - R²)·(n - 1)/(n - k - 1), n = rows·columns.

    Args:
        class_aggregation: "uniform_average" (default), the mean over the columns, or "variance_weighted_average".
            (Keras also takes None, for a figure a column.)
        num_regressors: k; 0, the default, does not adjust.

    Σ(y - ȳ)² is the difference of Σy² and n·ȳ², each added up in float32 within a step, so digits are lost where
    targets are far from 0 by many deviations.

    Raises:
        ConfigError: an argument is out of range.

    Source: Keras 3, metrics/regression_metrics.py.

    >>> R2Score().get_config()
    {}
    """

    greater_is_better = True

    def __init__(self, class_aggregation: str = "uniform_average", num_regressors: int = 0) -> None:
        known = ("uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ConfigError(f"R2Score: class_aggregation is one of {', '.join(known)}, got {class_aggregation!r}")
        if num_regressors < 0:
            raise ConfigError(f"R2Score: num_regressors is not negative, got {num_regressors!r}")
        self.class_aggregation, self.num_regressors = class_aggregation, int(num_regressors)

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> tuple[Tensor, ...]:
        self.refuse_labels(y, p)
        return y, r.map(times, y, y), r.map(squared_difference, y, p)

    def result(self, sums: np.ndarray, rows: int) -> float:
        import numpy as np

        total, squares, left = sums.reshape(3, -1)
        around = np.maximum(squares - total * total / rows, 0.0)
        scores = 1.0 - np.divide(left, around, out=np.where(left > 0.0, 1.0, 0.0), where=around > 0.0)
        weighted = self.class_aggregation == "variance_weighted_average" and around.sum() > 0.0
        score = float(np.average(scores, weights=around if weighted else None))
        free = rows * len(total) - self.num_regressors - 1
        if self.num_regressors and free > 0:
            score = 1.0 - (1.0 - score) * (rows * len(total) - 1) / free
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
