"""Hard sigmoid: a straight line from (-3, 0) to (3, 1), flat outside.

Formula: y = min(max(slope·x + 1/2, 0), 1).

Args:
    slope: of the line. 1/6 since Keras 3; Keras 1 and 2 had 1/5, a line from -2.5 to 2.5: nets trained there need
        `hard_sigmoid(slope=0.2)`.

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float, slope: float = 1.0 / 6.0) -> float:
    return min(max(slope * x + 0.5, 0.0), 1.0)


def df(x: float, y: float, slope: float = 1.0 / 6.0) -> float:
    return slope if 0.0 < slope * x + 0.5 < 1.0 else 0.0


@hookimpl
def register_activations(register: Any) -> None:
    register("hard_sigmoid", f, df, kinks=(-3.0, -2.5, 2.5, 3.0), examples=({"slope": 0.2},))
