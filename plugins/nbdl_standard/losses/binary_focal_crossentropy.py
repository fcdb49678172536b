"""Binary focal crossentropy."""

from __future__ import annotations

from typing import Any

from nbdl import elementwise_pair, hookimpl
from nbdl.units import ElementwiseLoss
from nbdl_standard.activations.sigmoid import f as logistic
from nbdl_standard.losses.binary_crossentropy import df as plain_df
from nbdl_standard.losses.binary_crossentropy import f as plain_f
from nbdl_standard.losses.binary_crossentropy import f_logits as plain_f_logits
from nbdl_standard.losses.from_logits import FromLogits

TINY = 1e-30  # 0 to a negative power would be infinite


def share(y: float, one: float, zero: float) -> float:
    return y * one + (1.0 - y) * zero


def f(y: float, p: float, one: float, zero: float, gamma: float) -> float:
    miss = max(share(y, 1.0 - p, p), TINY)
    return share(y, one, zero) * miss**gamma * plain_f(y, p)


def df(y: float, p: float, one: float, zero: float, gamma: float) -> float:
    miss = max(share(y, 1.0 - p, p), TINY)
    slope = gamma * miss ** (gamma - 1.0) * (1.0 - 2.0 * y) * plain_f(y, p)
    return share(y, one, zero) * (slope + miss**gamma * plain_df(y, p))


def f_logits(y: float, z: float, one: float, zero: float, gamma: float) -> float:
    miss = max(share(y, logistic(-z), logistic(z)), TINY)
    return share(y, one, zero) * miss**gamma * plain_f_logits(y, z)


def df_logits(y: float, z: float, one: float, zero: float, gamma: float) -> float:
    p, q = logistic(z), logistic(-z)
    miss = max(share(y, q, p), TINY)
    slope = gamma * miss ** (gamma - 1.0) * (1.0 - 2.0 * y) * p * q * plain_f_logits(y, z)
    return share(y, one, zero) * (slope + miss**gamma * ((1.0 - y) * p - y * q))


class BinaryFocalCrossentropy(FromLogits, ElementwiseLoss):
    """Binary crossentropy that weighs down what is already predicted well.

    Formula: the mean over a row's outputs of w·m^γ·c, with m = y·(1 - p) + (1 - y)·p how far off the prediction is, c
    the binary crossentropy, and w = y·α + (1 - y)·(1 - α) with class balancing, else 1.

    Args:
        apply_class_balancing: whether α counts; by default it does not, as in Keras.
        alpha: the weight of class 1; that of class 0 is 1 - α.
        gamma: 0 or more; 0 gives binary crossentropy.
        from_logits: whether predictions are logits; the model then ends without a sigmoid.
        label_smoothing: s from 0 to 1; targets become y·(1 - s) + s/2.

    Raises:
        ConfigError: `label_smoothing` is not from 0 to 1.
        DataError: targets outside 0..1.

    Of logits, and after a sigmoid, it is one formula that loses no digits at either end; Keras's is cut off at ε, 1e-7.

    Source: Lin et al. 2017, Focal Loss for Dense Object Detection; Keras 3, losses/losses.py.
    """

    functions = (f, df)
    pairs = {"sigmoid": elementwise_pair(f_logits, df_logits)}

    positions = (
        "apply_class_balancing", "alpha", "gamma", "from_logits", "label_smoothing", "axis", "reduction", "name",
        "dtype",
    )  # fmt: skip

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(from_logits, label_smoothing)
        one, zero = (float(alpha), 1.0 - float(alpha)) if apply_class_balancing else (1.0, 1.0)
        self.parameters = {"one": one, "zero": zero, "gamma": float(gamma)}

    def choices(self, outputs: int) -> int:
        return 2


@hookimpl
def register_losses(register: Any) -> None:
    register(
        "binary_focal_crossentropy",
        BinaryFocalCrossentropy,
        targets="probabilities",
        examples=(
            {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5, "label_smoothing": 0.1},
            {"from_logits": True, "gamma": 3.0},
        ),
    )
