"""Optimizers: the weights after some steps, with Keras's common arguments around any rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from naive.common import Array
from nbdl.testing.truths import Truth

State = dict[str, Array]


def sgd(w: Array, g: Array, s: State, t: int, rate: float, momentum: float = 0.0, nesterov: bool = False) -> Array:
    v = s["v"] = momentum * s.get("v", 0.0) - rate * g
    return w + (momentum * v - rate * g if nesterov else v)


def rmsprop(
    w: Array, g: Array, s: State, t: int, rate: float, rho: float = 0.9, momentum: float = 0.0,
    epsilon: float = 1e-7, centered: bool = False,
) -> Array:  # fmt: skip
    v = s["v"] = rho * s.get("v", 0.0) + (1 - rho) * g**2
    a = s["a"] = rho * s.get("a", 0.0) + (1 - rho) * g
    m = s["m"] = momentum * s.get("m", 0.0) + rate * g / np.sqrt(v - (a**2 if centered else 0.0) + epsilon)
    return w - m


def adagrad(
    w: Array, g: Array, s: State, t: int, rate: float, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7
) -> Array:
    a = s["a"] = s.get("a", initial_accumulator_value) + g**2
    return w - rate * g / np.sqrt(a + epsilon)


def adadelta(w: Array, g: Array, s: State, t: int, rate: float, rho: float = 0.95, epsilon: float = 1e-7) -> Array:
    a = s["a"] = rho * s.get("a", 0.0) + (1 - rho) * g**2
    step = -np.sqrt(s.get("d", 0.0) + epsilon) / np.sqrt(a + epsilon) * g
    s["d"] = rho * s.get("d", 0.0) + (1 - rho) * step**2
    return w + rate * step


def moments(g: Array, s: State, beta_1: float, beta_2: float) -> tuple[Array, Array]:
    s["m"] = beta_1 * s.get("m", 0.0) + (1 - beta_1) * g
    s["v"] = beta_2 * s.get("v", 0.0) + (1 - beta_2) * g**2
    return s["m"], s["v"]


def adam(
    w: Array, g: Array, s: State, t: int, rate: float, beta_1: float = 0.9, beta_2: float = 0.999,
    epsilon: float = 1e-7, amsgrad: bool = False,
) -> Array:  # fmt: skip
    m, v = moments(g, s, beta_1, beta_2)
    h = s["h"] = np.maximum(s.get("h", 0.0), v)
    alpha = rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
    return w - alpha * m / (np.sqrt(h if amsgrad else v) + epsilon)


def adamax(
    w: Array, g: Array, s: State, t: int, rate: float, beta_1: float = 0.9, beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Array:  # fmt: skip
    m, _ = moments(g, s, beta_1, beta_2)
    u = s["u"] = np.maximum(beta_2 * s.get("u", 0.0), np.abs(g))
    return w - rate * m / ((1 - beta_1**t) * (u + epsilon))


def nadam(
    w: Array, g: Array, s: State, t: int, rate: float, beta_1: float = 0.9, beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Array:  # fmt: skip
    m, v = moments(g, s, beta_1, beta_2)
    u = [beta_1 * (1 - 0.5 * 0.96**i) for i in range(1, t + 2)]
    ahead = u[t] * m / (1 - np.prod(u)) + (1 - u[t - 1]) * g / (1 - np.prod(u[:t]))
    return w - rate * ahead / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


def lion(w: Array, g: Array, s: State, t: int, rate: float, beta_1: float = 0.9, beta_2: float = 0.99) -> Array:
    m = s.get("m", 0.0)
    s["m"] = beta_2 * m + (1 - beta_2) * g
    return w - rate * np.sign(beta_1 * m + (1 - beta_1) * g)


def ftrl(
    w: Array, g: Array, s: State, t: int, rate: float, learning_rate_power: float = -0.5,
    initial_accumulator_value: float = 0.1, l1_regularization_strength: float = 0.0,
    l2_regularization_strength: float = 0.0, l2_shrinkage_regularization_strength: float = 0.0, beta: float = 0.0,
) -> Array:  # fmt: skip
    l1, l2 = l1_regularization_strength, l2_regularization_strength + beta / (2 * rate)
    a, p = s.get("a", initial_accumulator_value), -learning_rate_power
    s["a"] = a + g**2
    sigma = (s["a"] ** p - a**p) / rate
    z = s["z"] = s.get("z", 0.0) + g + 2 * l2_shrinkage_regularization_strength * w - sigma * w
    return (np.clip(z, -l1, l1) - z) / (s["a"] ** p / rate + 2 * l2)


def lamb(
    w: Array, g: Array, s: State, t: int, rate: float, beta_1: float = 0.9, beta_2: float = 0.999,
    epsilon: float = 1e-7,
) -> Array:  # fmt: skip
    m, v = moments(g, s, beta_1, beta_2)
    u = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
    return w - rate * np.linalg.norm(w) / np.linalg.norm(u) * u


def muon(
    w: Array, g: Array, s: State, t: int, rate: float, adam_beta_1: float = 0.9, adam_beta_2: float = 0.999,
    epsilon: float = 1e-7, muon_a: float = 3.4445, muon_b: float = -4.775, muon_c: float = 2.0315,
    adam_lr_ratio: float = 1.0, momentum: float = 0.95, ns_steps: int = 5, nesterov: bool = True,
    rms_rate: float | None = 0.2, **_: Any,
) -> Array:  # fmt: skip
    if w.ndim != 2:
        return adam(w, g, s, t, rate * adam_lr_ratio, adam_beta_1, adam_beta_2, epsilon)
    m = s["m"] = momentum * s.get("m", 0.0) + g
    x = g + momentum * m if nesterov else m
    x = x / np.linalg.norm(x)
    for _step in range(ns_steps):
        a = x @ x.T
        x = muon_a * x + (muon_b * a + muon_c * a @ a) @ x
    return w - rate * x * (1.0 if rms_rate is None else rms_rate * math.sqrt(max(w.shape)))


def clipped(gradients: list[Array], clipnorm: float | None, clipvalue: float | None,
            global_clipnorm: float | None) -> list[Array]:  # fmt: skip
    if clipvalue is not None:
        return [np.clip(g, -clipvalue, clipvalue) for g in gradients]
    if clipnorm is not None:
        return [g * min(1.0, clipnorm / np.sqrt((g**2).sum())) for g in gradients]
    if global_clipnorm is not None:
        norm = np.sqrt(sum((g**2).sum() for g in gradients))
        return [g * min(1.0, global_clipnorm / norm) for g in gradients]
    return gradients


def trained(
    rule: Callable[..., Array],
    weights: list[Array],
    gradients: list[list[Array]],
    learning_rate: Any,
    weight_decay: float | None = None,
    clipnorm: float | None = None,
    clipvalue: float | None = None,
    global_clipnorm: float | None = None,
    use_ema: bool = False,
    ema_momentum: float = 0.99,
    ema_overwrite_frequency: int | None = None,
    gradient_accumulation_steps: int | None = None,
    decay: float = 0.0,
    **arguments: Any,
) -> tuple[list[Array], list[Array]]:
    """Weights and their averages after steps with these gradients, a list of arrays a step."""
    every = gradient_accumulation_steps or 1
    states: list[State] = [{} for _ in weights]
    sums, averages = [0.0 * w for w in weights], [0.0 * w for w in weights]
    for step, now in enumerate(gradients):
        updates = step // every
        sums = [a + g for a, g in zip(sums, now, strict=True)]
        if (step + 1) % every == 0:
            rate = (learning_rate(step) if callable(learning_rate) else learning_rate) / (1 + decay * step)
            means = clipped([a / every for a in sums], clipnorm, clipvalue, global_clipnorm)
            weights = [w - w * (weight_decay or 0.0) * rate for w in weights]
            weights = [
                rule(w, g, s, updates + 1, rate, **arguments) for w, g, s in zip(weights, means, states, strict=True)
            ]
            sums = [0.0 * a for a in sums]
        if use_ema:
            m = ema_momentum if updates else 0.0
            averages = [m * a + (1 - m) * w for a, w in zip(averages, weights, strict=True)]
            if ema_overwrite_frequency and (updates + 1) % ema_overwrite_frequency == 0:
                weights = averages
    return weights, averages


RULES: dict[str, tuple[Callable[..., Array], dict[str, Any]]] = {
    "SGD": (sgd, {"learning_rate": 0.01}),
    "RMSprop": (rmsprop, {"learning_rate": 0.001}),
    "Adagrad": (adagrad, {"learning_rate": 0.001}),
    "Adadelta": (adadelta, {"learning_rate": 0.001}),
    "Adam": (adam, {"learning_rate": 0.001}),
    "AdamW": (adam, {"learning_rate": 0.001, "weight_decay": 0.004}),
    "Adamax": (adamax, {"learning_rate": 0.001}),
    "Nadam": (nadam, {"learning_rate": 0.001}),
    "Lion": (lion, {"learning_rate": 0.001}),
    "Ftrl": (ftrl, {"learning_rate": 0.001}),
    "Lamb": (lamb, {"learning_rate": 0.001}),
    "Muon": (muon, {"learning_rate": 0.001, "weight_decay": 0.004}),
}


def truth(name: str) -> Truth:
    rule, defaults = RULES[name]

    def value(w: Array, gradients: list[Array], **arguments: Any) -> Array:
        return trained(rule, [w], [[g] for g in gradients], **{**defaults, **arguments})[0][0]

    return Truth(value)


OPTIMIZERS = {name: truth(name) for name in RULES}
