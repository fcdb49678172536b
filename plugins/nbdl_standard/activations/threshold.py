"""Threshold: the identity above a threshold, a fixed value up to it.

Formula: y = x for x > threshold, else default_value.

Args:
    threshold: above which x is kept.
    default_value: y elsewhere. Neither has a default, so this one is given as an object: `threshold(1.0, 0.0)` is the
        ThresholdedReLU of Keras 1 and 2.

Source: Keras 3, activations/activations.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def f(x: float, threshold: float, default_value: float) -> float:
    return default_value if x <= threshold else x


def df(x: float, y: float, threshold: float, default_value: float) -> float:
    return 1.0 if x > threshold else 0.0


@hookimpl
def register_activations(register: Any) -> None:
    register(
        "threshold",
        f,
        df,
        kinks=(-0.5, 1.0),
        examples=({"threshold": 1.0, "default_value": 0.0}, {"threshold": -0.5, "default_value": -2.0}),
    )
