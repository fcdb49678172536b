"""Mean squared logarithmic error.

Formula: the mean over a row's outputs of (ln(1 + max(p, ε)) - ln(1 + max(y, ε)))², ε = 1e-7. Predictions below 0 count
as 0 and have no gradient, so an output that is below 0 for all rows learns nothing; end the model with softplus.
Targets below 0 are refused, as by scikit-learn; Keras takes them as 0.

Source: Keras 3, losses/losses.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl

EPSILON = 1e-7


def difference(y: float, p: float) -> float:
    return math.log1p(max(p, EPSILON)) - math.log1p(max(y, EPSILON))


def f(y: float, p: float) -> float:
    return difference(y, p) * difference(y, p)


def df(y: float, p: float) -> float:
    return 2.0 * difference(y, p) / (1.0 + p) if p > EPSILON else 0.0 * p


@hookimpl
def register_losses(register: Any) -> None:
    register("mean_squared_logarithmic_error", f, df, aliases=("msle",), targets="positive")
