"""Mean absolute percentage error.

Formula: 100 times the mean over a row's outputs of |y - p|/max(|y|, ε), ε = 1e-7. A target of 0 thus gives huge values;
scikit-learn's figure is a fraction, not a percentage, and its ε is 2e-16.

Source: Keras 3, losses/losses.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl.program import sign

EPSILON = 1e-7


def f(y: float, p: float) -> float:
    return 100.0 * abs(y - p) / max(abs(y), EPSILON)


def df(y: float, p: float) -> float:
    return 100.0 * sign(p - y) / max(abs(y), EPSILON)


@hookimpl
def register_losses(register: Any) -> None:
    register("mean_absolute_percentage_error", f, df, aliases=("mape",), targets=(0.5, 2.0))
