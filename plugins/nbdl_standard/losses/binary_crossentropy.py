"""Binary crossentropy."""

from __future__ import annotations

import math
from typing import Any

from nbdl import elementwise_pair, hookimpl
from nbdl.units import ElementwiseLoss
from nbdl_standard.losses.from_logits import FromLogits

EPSILON = 1e-7


def clip(p: float) -> float:
    return min(max(p, EPSILON), 1.0 - EPSILON)


def f(y: float, p: float) -> float:
    return -(y * math.log(clip(p)) + (1.0 - y) * math.log(1.0 - clip(p)))


def df(y: float, p: float) -> float:
    inside = 1.0 if EPSILON < p < 1.0 - EPSILON else 0.0 * p
    return inside * (clip(p) - y) / (clip(p) * (1.0 - clip(p)))


def f_logits(y: float, z: float) -> float:
    return max(z, 0.0) - y * z + math.log1p(math.exp(-abs(z)))


def df_logits(y: float, z: float) -> float:
    e = math.exp(-abs(z))
    return (1.0 if z >= 0.0 else e) / (1.0 + e) - y


class BinaryCrossentropy(FromLogits, ElementwiseLoss):
    """Crossentropy between targets from 0 to 1 and predicted probabilities, each output by itself.

    Formula: the mean over a row's outputs of -(y·ln p + (1 - y)·ln(1 - p)), with p kept in [ε, 1 - ε], ε = 1e-7. Of
    logits z, and after a sigmoid, it is max(z, 0) - y·z + ln(1 + e^-|z|), with derivative p - y.

    Args:
        from_logits: whether predictions are logits; the model then ends without a sigmoid. (PyTorch has two losses:
            BCELoss, which keeps ln p above -100, and BCEWithLogitsLoss.)
        label_smoothing: s from 0 to 1; targets become y·(1 - s) + s/2.

    Raises:
        ConfigError: `label_smoothing` is not from 0 to 1.
        DataError: targets outside 0..1.

    Source: Keras 3, losses/losses.py.

    >>> BinaryCrossentropy(label_smoothing=0.1)
    BinaryCrossentropy(label_smoothing=0.1)
    """

    functions = (f, df)
    pairs = {"sigmoid": elementwise_pair(f_logits, df_logits)}

    positions = ("from_logits", "label_smoothing", "axis", "reduction", "name", "dtype")

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0) -> None:
        super().__init__(from_logits, label_smoothing)
        self.parameters = {}

    def choices(self, outputs: int) -> int:
        return 2


@hookimpl
def register_losses(register: Any) -> None:
    register(
        "binary_crossentropy",
        BinaryCrossentropy,
        aliases=("bce",),
        targets="probabilities",
        examples=({"label_smoothing": 0.2}, {"from_logits": True, "label_smoothing": 0.1}),
    )
