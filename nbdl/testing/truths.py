"""Truths: the same unit in slow, obvious NumPy, given by whoever runs the suite.

By kind and name, e.g. `{("activations", "mine"): Truth(value=..., gradient=...)}`; arguments are those of the unit:

    activations    value(x, **arguments) → y; gradient(x, dy, **arguments) → dx
    losses         value(y, p, **arguments) → one per row; gradient(y, p, **arguments)
    regularizers   value(w, **arguments) → number; gradient(w, **arguments)
    constraints    value(w, **arguments) → w
    optimizers     value(w, gradients, **arguments) → w after these steps
    metrics        value(y, p, **arguments) → number
    initializers   value(shape, **arguments) → (lowest, highest, mean, variance)
    layers         value(x, weights, **arguments) → y in inference
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdl.initializing import Stream
from nbdl.testing.data import metric_data
from nbdl.testing.probe import assert_close
from nbdl.testing.suite import Subject, check
from nbdl.testing.units import after_steps, generator, reals, weight_shapes

RTOL, ATOL = 2e-5, 2e-6


@dataclass(frozen=True)
class Truth:
    """A unit in NumPy, float64."""

    value: Callable[..., Any]
    gradient: Callable[..., Any] | None = None


@check("is its formula", "activations", "losses")
def rows_are_the_formula(subject: Subject) -> None:
    """Compiled, value and gradient are those of the NumPy truth."""
    truth = subject.truth
    if truth is None:
        return
    value, gradient = subject.probes[:2]
    first, second = (source.astype(np.float64) for source in gradient.sources)
    forward = [first] if subject.kind == "activations" else [first, second]
    wanted = np.asarray(truth.value(*forward, **subject.arguments)).reshape(len(first), -1)
    assert_close(value.run("compiled").output, wanted, "value", RTOL, ATOL)
    if truth.gradient is not None:
        wanted = truth.gradient(first, second, **subject.arguments)
        assert_close(gradient.run("compiled").output, wanted, "gradient", RTOL, ATOL)


@check("is its formula", "regularizers", "constraints")
def weights_are_the_formula(subject: Subject) -> None:
    """Compiled, penalty and gradient, or projection, are those of the NumPy truth."""
    truth = subject.truth
    if truth is None:
        return
    for probe in subject.probes:
        w = probe.store.weights[0].value.astype(np.float64)
        found = probe.run("compiled").log[0]
        if probe.title == "gradient":
            wanted = probe.store.weights[1].value + truth.gradient(w, **subject.arguments)
        else:
            wanted = np.asarray(truth.value(w, **subject.arguments))
        assert_close(found, np.asarray(wanted, np.float64).reshape(-1), probe.title, RTOL, ATOL)


@check("is its formula", "layers")
def layers_are_the_formula(subject: Subject) -> None:
    """Compiled, y in inference is that of the NumPy truth."""
    truth = subject.truth
    if truth is None:
        return
    probe = subject.probes[0]
    weights = [weight.value.astype(np.float64) for weight in probe.store.weights]
    wanted = truth.value(probe.sources[0].astype(np.float64), weights, **subject.arguments)
    assert_close(probe.run("compiled").output, np.asarray(wanted).reshape(len(probe.sources[0]), -1), "y", RTOL, ATOL)


@check("is its formula", "optimizers")
def optimizers_are_the_formula(subject: Subject) -> None:
    """Five steps with changing gradients give the weights of the NumPy truth, in float64, within 1e-5."""
    truth = subject.truth
    if truth is None:
        return
    for shape in weight_shapes(subject.make(), 16):
        _steps_are_the_formula(subject, truth, shape)


def _steps_are_the_formula(subject: Subject, truth: Truth, shape: tuple[int, ...]) -> None:
    rng = generator()
    w, gradients = reals(rng, *shape), [reals(rng, *shape) for _ in range(5)]
    found = after_steps(subject.make(), w, lambda step, now: gradients[step - 1], len(gradients))
    exact = [gradient.astype(np.float64) for gradient in gradients]
    wanted = truth.value(w.astype(np.float64), exact, **subject.arguments)
    moved = np.abs(wanted - w).max()
    atol = 1e-5 + float(np.abs(w).max()) * 2e-7 / moved
    assert_close(found - w, wanted - w, f"the way of 5 steps of {shape}", 1e-4, atol)


@check("is its formula", "metrics")
def metrics_are_the_formula(subject: Subject) -> None:
    """The figure over batches, the last one short, is that of the NumPy truth over all rows."""
    truth = subject.truth
    if truth is None:
        return
    unit, (probe,), rows = subject.make(), subject.probes, 23
    y, p = metric_data(subject.options, rows, 3, generator())
    log = probe.log_named(probe.run("compiled", [y, p], parts=[10, 10, 3]).log, "sums")
    found = unit.result(log.astype(np.float64).sum(axis=0), rows)
    wanted = float(truth.value(y.astype(np.float64), p.astype(np.float64), **subject.arguments))
    assert math.isclose(found, wanted, rel_tol=1e-5, abs_tol=1e-6), f"the figure is {found:.7g}, expected {wanted:.7g}"


@check("is its formula", "initializers")
def initializers_are_the_formula(subject: Subject) -> None:
    """Bounds, mean and variance are those of the NumPy truth, on shapes that are not square."""
    truth = subject.truth
    if truth is None:
        return
    unit = subject.make()
    for shape in ((40, 300), (300, 40)):
        values = np.asarray(unit(shape, Stream(5, 6))).astype(np.float64)
        low, high, mean, variance = truth.value(shape, **subject.arguments)
        assert low - 1e-6 <= values.min(), f"{shape}: the lowest value is {values.min():.4f}, the bound is {low:.4f}"
        assert values.max() <= high + 1e-6, f"{shape}: the highest value is {values.max():.4f}, the bound is {high:.4f}"
        error = 5.0 * math.sqrt(variance / values.size) + 1e-6
        assert abs(values.mean() - mean) <= error, f"{shape}: the mean is {values.mean():.5f}, expected {mean:.5f}"
        assert math.isclose(values.var(), variance, rel_tol=0.1, abs_tol=1e-9), (
            f"{shape}: the variance is {values.var():.5f}, expected {variance:.5f}"
        )
