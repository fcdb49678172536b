"""The general robust loss."""

from __future__ import annotations

import math
from collections.abc import Callable

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl.units import ElementwiseLoss


def f(y: float, p: float, alpha: float, c: float) -> float:
    u = (p - y) / c
    s = u * u
    if alpha == 2.0:
        return 0.5 * s
    if alpha == 0.0:
        return math.log1p(0.5 * s)
    if alpha == -math.inf:
        return -math.expm1(-0.5 * s)
    b = abs(alpha - 2.0)
    return b / alpha * math.expm1(0.5 * alpha * math.log1p(s / b))  # as it stands in the paper it cancels near 0


def df(y: float, p: float, alpha: float, c: float) -> float:
    u = (p - y) / c
    s = u * u
    if alpha == 2.0:
        return u / c
    if alpha == -math.inf:
        return u / c * math.exp(-0.5 * s)
    return u / c * math.exp((0.5 * alpha - 1.0) * math.log1p(s / abs(alpha - 2.0)))


class GeneralRobust(ElementwiseLoss):
    """One family of losses, from squares to some that all but ignore outliers.

    Formula: the mean over a row's outputs of (b/α)·((u²/b + 1)^(α/2) - 1), with u = (p - y)/c and b = |α - 2|; and its
    limits ½·u² for α = 2, ln(½·u² + 1) for α = 0 and 1 - exp(-½·u²) for α = -∞.

    Args:
        alpha: α, how large errors count: 2 squares them, 1 is a smooth absolute value (Charbonnier), 0 Cauchy's loss,
            -2 Geman and McClure's, -inf Welsch's. Default 1.
        c: the size of an error up to which it counts as by squares; above 0. Default 1.

    Raises:
        ConfigError: c is not above 0, or α is no number.

    Source: Barron 2019, A General and Adaptive Robust Loss Function.

    >>> GeneralRobust(alpha=-2.0, c=0.5).get_config()
    {'alpha': -2.0, 'c': 0.5, 'name': 'general_robust'}
    """

    functions = (f, df)

    def __init__(self, alpha: float = 1.0, c: float = 1.0) -> None:
        if not c > 0.0:
            raise ConfigError(f"general_robust: c must be above 0, got {c!r}; it is the size of an ordinary error")
        if math.isnan(alpha) or alpha == math.inf:
            raise ConfigError(f"general_robust: alpha must be a number or -inf, got {alpha!r}")
        self.parameters = {"alpha": float(alpha), "c": float(c)}


@hookimpl
def register_losses(register: Callable[..., None]) -> None:
    examples = [{"alpha": alpha, "c": 0.7} for alpha in (2.0, 1.0, 0.5, 0.0, -2.0, -math.inf)]
    register("general_robust", GeneralRobust, aliases=("barron",), examples=tuple(examples))
