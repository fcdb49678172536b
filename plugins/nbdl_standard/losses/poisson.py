"""Poisson: the negative logarithm of a Poisson distribution's probability, for counts.

Formula: the mean over a row's outputs of p - y·ln(p + ε), ε = 1e-7, without the term ln y! that does not depend on p.

Predictions are rates and must be above 0: end the model with softplus or exponential. Targets below 0 are refused.
PyTorch's PoissonNLLLoss takes ln p unless log_input=False; scikit-learn's mean_poisson_deviance is twice the difference
to a perfect prediction.

Source: Keras 3, losses/losses.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl

EPSILON = 1e-7


def f(y: float, p: float) -> float:
    return p - y * math.log(p + EPSILON)


def df(y: float, p: float) -> float:
    return 1.0 - y / (p + EPSILON)


@hookimpl
def register_losses(register: Any) -> None:
    register("poisson", f, df, targets="positive", predictions="positive")
