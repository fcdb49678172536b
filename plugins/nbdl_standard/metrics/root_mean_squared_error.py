"""Root mean squared error."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl
from nbdl_standard.losses.mean_squared_error import f as squared_difference

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program import Recorder, Tensor


class RootMeanSquaredError(Metric):
    """Root mean squared error, over all rows and columns of the epoch.

    Formula: √mean((y - p)²).

    Source: Keras 3, metrics/regression_metrics.py.
    """

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        self.refuse_labels(y, p)
        return r.mean(squared_difference, y, p)

    def result(self, sums: np.ndarray, rows: float) -> float:
        return math.sqrt(sums[0] / rows)


@hookimpl
def register_metrics(register: Any) -> None:
    register("root_mean_squared_error", RootMeanSquaredError, aliases=("rmse",), targets="reals", predictions="reals")
