"""Initializers: lowest, highest, mean and variance of the values of a shape."""

from __future__ import annotations

import math

from nbdl.testing.truths import Truth

Moments = tuple[float, float, float, float]

# A standard normal distribution cut at ±2: ∫x²φ/∫φ = 1 - 2·2·φ(2)/(2Φ(2) - 1).
CUT_VARIANCE = 1 - 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))


def even(limit: float) -> Moments:
    return -limit, limit, 0.0, limit**2 / 3


def normal(variance: float, mean: float = 0.0) -> Moments:
    return -math.inf, math.inf, mean, variance


def cut_normal(variance: float, mean: float = 0.0) -> Moments:
    """Cut where it had two deviations, with this variance after it."""
    reach = 2 * math.sqrt(variance / CUT_VARIANCE)
    return mean - reach, mean + reach, mean, variance


def scaled(
    shape: tuple[int, int], scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal"
) -> Moments:
    variance = scale / {"fan_in": shape[0], "fan_out": shape[1], "fan_avg": sum(shape) / 2}[mode]
    if distribution == "uniform":
        return even(math.sqrt(3 * variance))
    return (cut_normal if distribution == "truncated_normal" else normal)(variance)


def orthogonal(shape: tuple[int, int], gain: float = 1.0) -> Moments:
    return -gain, gain, 0.0, gain**2 / max(shape)


def identity(shape: tuple[int, int], gain: float = 1.0) -> Moments:
    share = 1 / max(shape)
    return 0.0, gain, gain * share, gain**2 * (share - share**2)


INITIALIZERS = {
    "zeros": Truth(lambda shape: (0.0, 0.0, 0.0, 0.0)),
    "ones": Truth(lambda shape: (1.0, 1.0, 1.0, 0.0)),
    "constant": Truth(lambda shape, value=0.0: (value, value, value, 0.0)),
    "glorot_uniform": Truth(lambda shape: even(math.sqrt(6 / (shape[0] + shape[1])))),
    "glorot_normal": Truth(lambda shape: cut_normal(2 / (shape[0] + shape[1]))),
    "he_uniform": Truth(lambda shape: even(math.sqrt(6 / shape[0]))),
    "he_normal": Truth(lambda shape: cut_normal(2 / shape[0])),
    "lecun_uniform": Truth(lambda shape: even(math.sqrt(3 / shape[0]))),
    "lecun_normal": Truth(lambda shape: cut_normal(1 / shape[0])),
    "variance_scaling": Truth(scaled),
    "random_uniform": Truth(
        lambda shape, minval=-0.05, maxval=0.05: (
            minval,
            maxval,
            (minval + maxval) / 2,
            (maxval - minval) ** 2 / 12,
        )
    ),
    "random_normal": Truth(lambda shape, mean=0.0, stddev=0.05: normal(stddev**2, mean)),
    "truncated_normal": Truth(lambda shape, mean=0.0, stddev=0.05: cut_normal(stddev**2 * CUT_VARIANCE, mean)),
    "orthogonal": Truth(orthogonal),
    "identity": Truth(identity),
}
