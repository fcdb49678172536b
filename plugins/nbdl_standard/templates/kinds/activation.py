"""my_unit: the square of what is positive.

Formula: y = max(x, 0)².

Source: So et al. 2021, Primer: Searching for Efficient Transformers.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


# Your formula: plain Python and math.*. Arguments after x, with defaults, are the unit's own: f(x, alpha=1.0).
def f(x: float) -> float:
    r = max(x, 0.0)
    return r * r


# Its derivative, of x and of y = f(x), with the same arguments after these.
def df(x: float, y: float) -> float:
    return 2.0 * max(x, 0.0)


@hookimpl
def register_activations(register: Any) -> None:
    # kinks=(0.0,) would say where there is no derivative, examples=({"alpha": 2.0},) what else to test.
    register("my_unit", f, df)
