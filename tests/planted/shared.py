"""Twice: x and x again.

Formula: y = 2·x.
"""


def f(x: float) -> float:
    return 2.0 * x


def df(x: float, y: float) -> float:
    return 2.0


def other(x: float) -> float:
    return 3.0 * x


def other_slope(x: float, y: float) -> float:
    return 3.0
