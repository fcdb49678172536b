"""Derivatives that follow from a function's code are compared with differences, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from nbdl.program.language.derivative import derivative
from nbdl.program.language.source import ScalarError


def helper(z: float, k: float = 2.0) -> float:
    return math.exp(-z * z) * k if z > 0.0 else z**3


def composed(x: float, a: float = 0.5) -> float:
    t = math.tanh(a * x)
    u = max(t, 0.1 * x, x - 3.0)
    if x > 1.0:
        return u * helper(t) + abs(x - 2.0)
    v, w = t * x, u / (1.0 + x * x)
    return v - w**2 + 2.0**x


FUNCTIONS: list[Callable[[float], float]] = [
    composed,
    lambda x: x / (1.0 + math.exp(-x)),
    lambda x: 1.0 if x > 0.0 else 0.0,
    lambda x: x,
    lambda x: 3.0,
    lambda x: -x if 0.0 < x < 1.0 else +x,
    lambda x: min(x, 6.0) + max(-1.0, 2.0 * x, x * x),
    lambda x: math.log1p(math.exp(x)) * x**1.5 if x > 0.0 else math.sin(x) * math.erf(x),
    lambda x: x % 2.0 - x // 2.0,
    lambda x: math.pow(abs(x) + 1.0, 0.3) + math.floor(x),
    lambda x: math.log(x * x) + math.log2(x * x) + math.log10(x * x) + math.expm1(x) + math.exp2(x),
    lambda x: math.cos(x) + math.tan(x) + math.sinh(x) + math.cosh(x) + math.sqrt(x * x + 1.0) + math.erfc(x),
    lambda x: math.atan(x) + math.asinh(x) + math.asin(x / 4.0) + math.acos(x / 5.0) + math.atanh(x / 6.0),
    lambda x: math.acosh(x * x + 1.5) + math.fabs(x) + helper(x, 3.0 * x),
    lambda x: (x > 0.0 and x) or 0.1 * x,
]


@pytest.mark.parametrize("number", range(len(FUNCTIONS)))
def test_it_is_what_differences_say(number: int) -> None:
    f = FUNCTIONS[number]
    df, step = derivative(f, 0, "y"), 1e-6
    for x in (-2.3, -0.7, 0.2, 0.9, 1.7, 3.1):
        wanted = (f(x + step) - f(x - step)) / (2.0 * step)
        assert df(x, f(x)) == pytest.approx(wanted, rel=1e-5, abs=1e-5), x


def test_by_another_argument() -> None:
    assert derivative(lambda y, p: (y - p) ** 2, 1)(1.0, 3.0) == 4.0
    assert derivative(lambda y, p: (y - p) ** 2, 0)(1.0, 3.0) == -4.0


def test_defaults_stay() -> None:
    assert derivative(lambda x, a=3.0: a * x, 0)(1.0) == 3.0
    assert derivative(lambda x, a=3.0: a * x, 0)(1.0, 4.0) == 4.0


def test_a_constant_lets_nan_pass() -> None:
    assert math.isnan(derivative(lambda x: x, 0)(math.nan))
    assert math.isnan(derivative(lambda x: 2.0, 0)(math.nan))


def loop(x: float) -> float:
    for _ in range(3):
        x = x * x
    return x


def recursive(x: float) -> float:
    return x if x < 1.0 else recursive(x - 1.0)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (loop, "has a loop"),
        (math.exp, "not a Python function"),
        (lambda x: math.gamma(x), "math.gamma, whose derivative is not known"),
        (lambda x: undefined(x), "undefined, whose derivative is not known"),  # type: ignore[name-defined]  # noqa: F821
        (lambda x: pow(x, 2.0), "pow, whose derivative is not known"),
        (recursive, "calls itself"),
    ],
)
def test_what_has_no_derivative(function: Callable[..., float], why: str) -> None:
    with pytest.raises(ScalarError, match=why):
        derivative(function, 0)
