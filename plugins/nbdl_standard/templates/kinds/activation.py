"""my_unit: the square of what is positive.

Formula: y = alpha·max(x, 0)².

Args:
    alpha: the factor. Default 1.

Source: So et al. 2021, Primer: Searching for Efficient Transformers.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


# Your formula: plain Python and math.*. Arguments after x, with defaults, are the unit's own; there may be none.
def f(x: float, alpha: float = 1.0) -> float:
    r = max(x, 0.0)
    return alpha * r * r


# Its derivative, of x and of y = f(x), with the same arguments after these.
def df(x: float, y: float, alpha: float = 1.0) -> float:
    return 2.0 * alpha * max(x, 0.0)


@hookimpl
def register_activations(register: Any) -> None:
    # examples are arguments to test beside the defaults; kinks=(0.0,) would say where there is no derivative.
    register("my_unit", f, df, examples=({"alpha": 0.5},))
