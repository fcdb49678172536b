"""Log-cosh: the logarithm of the hyperbolic cosine of the error.

Formula: the mean over a row's outputs of ln cosh(p - y) = |e| + ln((1 + e^(-2|e|))/2), e = p - y: near ½·e² for small
errors, |e| - ln 2 for large ones. Its derivative is tanh e. Keras's formula loses the digits of small errors, this one
does not.

Source: Keras 3, losses/losses.py.
"""

from __future__ import annotations

import math
from typing import Any

from nbdl import hookimpl


def f(y: float, p: float) -> float:
    e = abs(p - y)
    return e + math.log1p(0.5 * math.expm1(-2.0 * e))


def df(y: float, p: float) -> float:
    return math.tanh(p - y)


@hookimpl
def register_losses(register: Any) -> None:
    register("log_cosh", f, df, aliases=("log_cosh_error",))
