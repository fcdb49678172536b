"""Data for the cases: the same numbers each time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from parity.cases import BATCH, STEPS, Array, Task

ROWS, FEATURES, OUTPUTS = STEPS * BATCH, 20, 3


def rng(seed: int = 1) -> np.random.Generator:
    """A generator of its own for each kind of number."""
    return np.random.default_rng(seed)


def inputs(scale: float = 1.0, shape: tuple[int, ...] = (FEATURES,)) -> Array:
    """Normal numbers."""
    return (scale * rng().normal(size=(ROWS, *shape))).astype(np.float32)


def answers(outputs: int = OUTPUTS, shape: tuple[int, ...] = (FEATURES,)) -> Array:
    """A linear function of the inputs, with noise."""
    x = inputs(1.0, shape).reshape(ROWS, -1)
    slopes = rng(2).normal(size=(x.shape[1], outputs)) / np.sqrt(x.shape[1])
    return (x @ slopes + 0.3 * rng(3).normal(size=(ROWS, outputs))).astype(np.float32)


def labels() -> Array:
    """Classes 0, 1, 2, as a column."""
    return answers().argmax(axis=1).astype(np.float32)[:, None]


def one_hot() -> Array:
    """Classes as columns of 0 and 1."""
    return np.eye(OUTPUTS, dtype=np.float32)[labels().astype(int)[:, 0]]


def regression(scale: float = 1.0, shape: tuple[int, ...] = (FEATURES,), outputs: int = OUTPUTS) -> Callable[[], Task]:
    """Real targets."""
    return lambda: Task(inputs(scale, shape), answers(outputs, shape))


def positive() -> Task:
    """Targets from 0.5 on."""
    return Task(inputs(), (0.5 + np.abs(answers())).astype(np.float32))


def counts() -> Task:
    """Targets 0, 1, 2, ..."""
    return Task(inputs(), np.floor(np.exp(0.7 * answers())).astype(np.float32))


def distributions() -> Task:
    """Targets that add up to 1."""
    y = np.exp(answers())
    return Task(inputs(), (y / y.sum(axis=1, keepdims=True)).astype(np.float32))


def signs() -> Task:
    """Targets -1 and 1."""
    return Task(inputs(), np.where(answers() > 0, 1.0, -1.0).astype(np.float32))


def binary() -> Task:
    """Targets 0 and 1, in every column."""
    return Task(inputs(), (answers() > 0).astype(np.float32))


def classes() -> Task:
    """One-hot targets."""
    return Task(inputs(), one_hot())


def sparse() -> Task:
    """Labels."""
    return Task(inputs(), labels())


def flat() -> Task:
    """Labels without an axis of their own."""
    return Task(inputs(), labels()[:, 0])


def row_weights() -> Array:
    """Weights of rows, some of them 0."""
    weights = rng(4).uniform(0.0, 2.0, ROWS)
    return np.where(weights < 0.3, 0.0, weights).astype(np.float32)


def balanced(y: Array) -> dict[int, float]:
    """scikit-learn's class weights: rows / (classes · rows of the class)."""
    classes, counts = np.unique(y.astype(int), return_counts=True)
    return {int(one): float(y.size / (len(classes) * count)) for one, count in zip(classes, counts, strict=True)}
