"""Truths: the same unit in slow, obvious NumPy, float64, which what is compiled is compared with.

Elementwise units have one already: their author's own scalar functions, which Python runs in float64. For others a
registration gives it as `truth=value`, or `truth=(value, gradient)`. Arguments are those of the unit:

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

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdl.program.language.plain import reference_function
from nbdl.testing.data import metric_data
from nbdl.testing.probe import Array, assert_close
from nbdl.testing.subject import Subject, check
from nbdl.testing.units import after_steps, generator, known_probes, reals, weight_shapes
from nbdl.units.elementwise import ELEMENTWISE
from nbdl.units.entry import Entry
from nbdl.units.random import RandomStream

RTOL, ATOL = 2e-5, 2e-6


@dataclass(frozen=True)
class Truth:
    """A unit in NumPy, float64."""

    value: Callable[..., Any]
    gradient: Callable[..., Any] | None = None


def has_truth(entry: Entry) -> bool:
    """Whether there is something to compare a unit with."""
    return "truth" in entry.options or is_its_functions(entry)


def is_its_functions(entry: Entry) -> bool:
    """Whether a unit does nothing but apply its scalar functions: it overrides no method."""
    base = ELEMENTWISE.get(entry.kind, (type(None),))[0]
    if not issubclass(entry.target, base):
        return False
    methods = [name for name in dir(base) if inspect.isfunction(getattr(base, name)) and not name.startswith("__")]
    return all(getattr(entry.target, name) is getattr(base, name) for name in methods)


def truth_of(subject: Subject) -> Truth:
    """What the registration gives, or else what the unit's own scalar functions say."""
    option = subject.options.get("truth")
    if option is None:
        return _of_functions(subject)
    if isinstance(option, Truth):
        return option
    return Truth(*option) if isinstance(option, tuple | list) else Truth(option)


def _of_functions(subject: Subject) -> Truth:
    unit = subject.make()
    functions = [_by_element(function, list(unit.parameters.values())) for function in unit.functions]
    f, df = functions[0], functions[-1]
    made: dict[str, Truth] = {
        "activations": Truth(lambda x, **_: f(x), lambda x, dy, **_: dy * df(x, f(x))),
        "losses": Truth(lambda y, p, **_: f(y, p).mean(axis=1), lambda y, p, **_: df(y, p) / p.shape[1]),
        "regularizers": Truth(lambda w, **_: f(w).sum(), lambda w, **_: df(w)),
        "constraints": Truth(lambda w, **_: f(w)),
        "metrics": Truth(lambda y, p, **_: f(y, p).mean()),
    }
    return made[subject.kind]


def _by_element(function: Callable[..., Any], parameters: list[float]) -> Callable[..., Array]:
    """A scalar function over arrays of one shape, in float64."""
    plain, own = reference_function(function), [np.float64(value) for value in parameters]

    def over(*arrays: Array) -> Array:
        rows = zip(*(np.asarray(array, np.float64).reshape(-1) for array in arrays), strict=True)
        with np.errstate(all="ignore"):
            return np.array([plain(*row, *own) for row in rows], np.float64).reshape(np.shape(arrays[0]))

    return over


@check("is its formula", "activations", "losses", applies=has_truth)
def rows_are_the_formula(subject: Subject) -> None:
    """Compiled, value and gradient are those of the truth."""
    truth = truth_of(subject)
    value, gradient = known_probes(subject)[:2]
    first, second = (source.astype(np.float64) for source in gradient.sources)
    forward = [first] if subject.kind == "activations" else [first, second]
    wanted = np.asarray(truth.value(*forward, **subject.arguments)).reshape(len(first), -1)
    assert_close(value.run("compiled").output, wanted, "value", RTOL, ATOL)
    if truth.gradient is not None:
        wanted = truth.gradient(first, second, **subject.arguments)
        assert_close(gradient.run("compiled").output, wanted, "gradient", RTOL, ATOL)


@check("is its formula", "regularizers", "constraints", applies=has_truth)
def weights_are_the_formula(subject: Subject) -> None:
    """Compiled, penalty and gradient, or projection, are those of the truth."""
    truth = truth_of(subject)
    for probe in known_probes(subject):
        w = probe.store.weights[0].value.astype(np.float64)
        found = probe.run("compiled").log[0]
        if probe.title == "gradient":
            assert truth.gradient is not None, "truth=(value, gradient): a regularizer needs both"
            wanted = probe.store.weights[1].value + truth.gradient(w, **subject.arguments)
        else:
            wanted = np.asarray(truth.value(w, **subject.arguments))
        assert_close(found, np.asarray(wanted, np.float64).reshape(-1), probe.title, RTOL, ATOL)


@check("is its formula", "layers", applies=has_truth)
def layers_are_the_formula(subject: Subject) -> None:
    """Compiled, y in inference is that of the truth."""
    truth = truth_of(subject)
    probe = known_probes(subject)[0]
    weights = [weight.value.astype(np.float64) for weight in probe.store.weights]
    wanted = truth.value(probe.sources[0].astype(np.float64), weights, **subject.arguments)
    assert_close(probe.run("compiled").output, np.asarray(wanted).reshape(len(probe.sources[0]), -1), "y", RTOL, ATOL)


@check("is its formula", "optimizers", applies=has_truth)
def optimizers_are_the_formula(subject: Subject) -> None:
    """Five steps with changing gradients give the weights of the truth, in float64, within 1e-5."""
    truth = truth_of(subject)
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


@check("is its formula", "metrics", applies=has_truth)
def metrics_are_the_formula(subject: Subject) -> None:
    """The figure over batches, the last one short, is that of the truth over all rows."""
    truth = truth_of(subject)
    unit, (probe,), rows = subject.make(), known_probes(subject), 23
    y, p = metric_data(subject.options, rows, 3, generator())
    parts = [10, 10, 3]
    log = probe.log_named(probe.run("compiled", [y, p], parts=parts).log, "sums").astype(np.float64)
    found = unit.figure(log, np.array(parts, np.float64))
    wanted = truth.value(y.astype(np.float64), p.astype(np.float64), **subject.arguments)
    assert np.shape(found) == np.shape(wanted), f"figures of shape {np.shape(found)}, expected {np.shape(wanted)}"
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-6), f"the figure is {found}, expected {wanted}"


@check("is its formula", "initializers", applies=has_truth)
def initializers_are_the_formula(subject: Subject) -> None:
    """Bounds, mean and variance are those of the truth, on shapes that are not square."""
    truth = truth_of(subject)
    unit = subject.make()
    for shape in ((40, 300), (300, 40)):
        values = np.asarray(unit(shape, RandomStream(5, 6))).astype(np.float64)
        low, high, mean, variance = truth.value(shape, **subject.arguments)
        assert low - 1e-6 <= values.min(), f"{shape}: the lowest value is {values.min():.4f}, the bound is {low:.4f}"
        assert values.max() <= high + 1e-6, f"{shape}: the highest value is {values.max():.4f}, the bound is {high:.4f}"
        error = 5.0 * math.sqrt(variance / values.size) + 1e-6
        assert abs(values.mean() - mean) <= error, f"{shape}: the mean is {values.mean():.5f}, expected {mean:.5f}"
        assert math.isclose(values.var(), variance, rel_tol=0.1, abs_tol=1e-9), (
            f"{shape}: the variance is {values.var():.5f}, expected {variance:.5f}"
        )
