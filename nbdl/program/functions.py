"""Scalar functions that programs are made of, whatever the units."""

from __future__ import annotations


def same(a: float) -> float:
    """The identity, for plain sums and copies."""
    return a


def nothing(a: float) -> float:
    """0, or NaN where there is NaN."""
    return 0.0 * a


def add(a: float, b: float) -> float:
    """a + b."""
    return a + b


def times(a: float, b: float) -> float:
    """a·b."""
    return a * b


def square(a: float) -> float:
    """a²."""
    return a * a


def sign(a: float) -> float:
    """1, -1 or 0, or NaN where there is NaN."""
    return 1.0 if a > 0.0 else (-1.0 if a < 0.0 else 0.0 * a)


def per(a: float, b: float) -> float:
    """a / b."""
    return a / b


def one_per(a: float, b: float) -> float:
    """1 / b, or NaN where a is."""
    return 0.0 * a + 1.0 / b


def per_any(a: float, count: float) -> float:
    """a / count, and a of none."""
    return a / max(count, 1.0)


def is_column(label: float, column: float) -> float:
    """1 where a label names the column, else 0."""
    return 1.0 if label == column else 0.0
