"""Derivatives against central differences, in float64, on shapes that are not square."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nbdl.engine.store import PLACES
from nbdl.testing.arguments import with_other_numbers
from nbdl.testing.probe import Array, Probe
from nbdl.testing.subject import Subject, check
from nbdl.testing.units import away_from, generator, known_probes, pair_probe, probes, reals

STEP = 1e-5
TOLERANCE = 1e-6


def differences(value: Callable[[Array], Array], at: Array) -> tuple[Array, float]:
    """The derivative of a sum of terms at each element by central differences, and the rounding error in it."""
    flat = at.astype(np.float64).reshape(-1)
    found, largest = np.empty_like(flat), 0.0
    for number, here in enumerate(flat):
        terms = []
        for index in (here + STEP, here - STEP):
            moved = flat.copy()
            moved[number] = index
            terms.append(value(moved.reshape(at.shape)))
        found[number] = (terms[0] - terms[1]).sum() / ((here + STEP) - (here - STEP))
        largest = max(largest, float(np.abs(terms[0]).sum()))
    return found.reshape(at.shape), 8e-16 * largest / STEP


def agree(derivative: Array, value: Callable[[Array], Array], at: Array, title: str) -> None:
    """Assert that a derivative agrees with differences."""
    measured, noise = differences(value, at)
    derivative = derivative.reshape(measured.shape)
    allowed = TOLERANCE * np.maximum(np.abs(measured), np.abs(derivative)) + noise + 1e-12
    wrong = ~(np.abs(derivative - measured) <= allowed)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise AssertionError(
            f"{title} at {index}, where there is {at[index]:.6g}: {derivative[index]:.9g}, differences give "
            f"{measured[index]:.9g}"
        )


def agree_along(derivative: Array, value: Callable[[Array], Array], at: Array, title: str) -> None:
    """Assert that a derivative agrees with the difference along one direction, which all elements have a part in."""
    direction = generator().normal(size=at.shape)
    after, before = (value(at + sign * STEP * direction) for sign in (1.0, -1.0))
    measured, parts = float((after - before).sum()) / (2.0 * STEP), derivative.reshape(at.shape) * direction
    allowed = TOLERANCE * float(np.abs(parts).sum()) + 8e-16 * float(np.abs(after).sum()) / STEP + 1e-9
    assert abs(measured - parts.sum()) <= allowed, (
        f"{title} of {at.shape}, along a direction: {parts.sum():.9g}, differences give {measured:.9g}"
    )


def output(probe: Probe, sources: list[Array], weights: Array | None = None) -> Array:
    """What a probe gives in float64."""
    return probe.run("float64", sources, weights).output


LARGE = np.array([20.0, -20.0, 100.0, -100.0, 17.0, -17.0])


def large(rows: int, features: int) -> Array:
    """Inputs of ±17 to ±100, each a little off, so that no two are equal."""
    values = np.resize(LARGE, (rows, features)) + generator().uniform(-0.5, 0.5, (rows, features))
    return values.astype(np.float32)


def between(rows: int, features: int) -> Array:
    """Inputs of ±3 to ±100, as many of each size."""
    random = generator()
    sizes = np.exp(random.uniform(np.log(3.0), np.log(100.0), (rows, features)))
    return np.asarray(sizes * random.choice([-1.0, 1.0], sizes.shape), np.float32)


WIDE = (3, 40)  # where each element alone would take too long


@check("derivative", "activations", subjects=with_other_numbers)
def activation_derivative(subject: Subject) -> None:
    """dx agrees with differences of y for random x and dy, at all sizes of x up to ±100, in narrow and wide rows."""
    forward, backward = known_probes(subject)
    x, dy = (source.astype(np.float64) for source in backward.sources)
    kinks = subject.options.get("kinks", ())
    for at in (x, *(away_from(kinks, of(*x.shape)).astype(np.float64) for of in (large, between))):
        dx = output(backward, [at, dy])
        agree(dx, lambda moved: dy * output(forward, [moved]), at, "dx")
    forward, backward = probes(subject, *WIDE)
    x, dy = (source.astype(np.float64) for source in backward.sources)
    agree_along(output(backward, [x, dy]), lambda moved: dy * output(forward, [moved]), x, "dx")
    if getattr(subject.entry.target, "functions", ()):
        x = away_from(kinks, between(*WIDE)).astype(np.float64)
        dx = output(backward, [x, dy])
        agree(dx[:1], lambda moved: dy[:1] * output(forward, [np.concatenate([moved, x[1:]])])[:1], x[:1], "dx")


@check("derivative", "layers", subjects=with_other_numbers)
def layer_derivatives(subject: Subject) -> None:
    """dx and the gradient of every weight agree with differences of y, at ordinary and at large inputs."""
    _, forward, backward = known_probes(subject)
    x, dy = (source.astype(np.float64) for source in backward.sources)
    points = [x]
    if forward.unit.input_limit is None:
        far = large(len(x), x[0].size).reshape(x.shape)
        points.append(away_from(subject.options.get("kinks", ()), far).astype(np.float64))
    for at in points:
        _layer_derivatives(forward, backward, at, dy, agree)
    _, forward, backward = probes(subject, *WIDE)
    x, dy = (source.astype(np.float64) for source in backward.sources)
    if forward.unit.input_limit is None:
        _layer_derivatives(forward, backward, x, dy, agree_along)


def _layer_derivatives(forward: Probe, backward: Probe, x: Array, dy: Array, agree: Callable[..., None]) -> None:
    rows = dy.reshape(len(dy), -1)
    result = backward.run("float64", [x, dy])
    agree(result.output, lambda moved: rows * output(forward, [moved]), x, "dx")
    start = forward.initial.astype(np.float64)
    for weight in (one for one in forward.store.weights if one.trainable):
        first = weight.tensor.offset & PLACES
        extent = slice(first, first + weight.tensor.features)

        def value(moved: Array, extent: slice = extent) -> Array:
            weights = start.copy()
            weights[extent] = moved.reshape(-1)
            return np.asarray(rows * output(forward, [x], weights))

        gradient = backward.log_named(result.log, weight.name)
        agree(gradient, value, start[extent].reshape(weight.tensor.shape), f"gradient of {weight.name}")


@check("derivative", "losses", subjects=with_other_numbers)
def loss_derivative(subject: Subject) -> None:
    """The gradient agrees with differences of the values, and so does each pair's, for any numbers up to ±100."""
    probes = known_probes(subject)
    for values, gradient in zip(probes[::2], probes[1::2], strict=True):
        y, p = (source.astype(np.float64) for source in values.sources)
        any_number = values is not probes[0] or (p.min() < 0.0 and "predictions" not in subject.options)
        points = [p, large(*p.shape).astype(np.float64)] if any_number else [p]
        for at in points:
            found = output(gradient, [y, at])
            # `values` is a mean or a sum over a row: its terms are one per row.
            agree(found, lambda moved, probe=values, y=y: output(probe, [y, moved]), at, gradient.title)  # type: ignore[misc]


@check("derivative", "regularizers", subjects=with_other_numbers)
def regularizer_derivative(subject: Subject) -> None:
    """The gradient added is the derivative of the penalty, at ordinary and at large weights."""
    penalty, gradient = known_probes(subject)
    weight = penalty.store.weights[0].tensor
    far = gradient.initial.copy()
    far[: weight.features] = away_from(subject.options.get("kinks", ()), large(*weight.shape)).reshape(-1)
    for point in (gradient.initial, far):
        _regularizer_derivative(penalty, gradient, point)


def _regularizer_derivative(penalty: Probe, gradient: Probe, point: Array) -> None:
    weight = penalty.store.weights[0].tensor
    start = penalty.initial.astype(np.float64)
    start[: weight.features] = point[: weight.features]
    found = gradient.log_named(gradient.run("float64", weights=point).log, "gradient")[0]
    g = gradient.store.weights[1].value.astype(np.float64).reshape(-1)

    def value(moved: Array) -> Array:
        weights = start.copy()
        weights[: weight.features] = moved.reshape(-1)
        return np.asarray(penalty.log_named(penalty.run("float64", weights=weights).log, "penalty"))

    agree(found - g, value, start[: weight.features].reshape(weight.shape), "gradient")


@check("pair is one formula", "losses", applies=lambda entry: bool(entry.target.pairs))
def pair_is_one_formula(subject: Subject) -> None:
    """In float64 a pair gives what activation and loss give one after the other; in float32 it is stable at ±100."""
    rng, loss = generator(), subject.make()
    y = known_probes(subject)[0].sources[0]
    features = known_probes(subject)[0].sources[1].shape[1]
    for name in loss.pairs:
        for title in ("values", "gradient"):
            z = reals(rng, len(y), features).astype(np.float64)
            pair, apart = (pair_probe(loss, name, y, z.astype(np.float32), title, one) for one in (True, False))
            arrays = [y.astype(np.float64), z]
            wanted, found = output(apart, arrays), output(pair, arrays)
            assert np.allclose(found, wanted, rtol=1e-6, atol=1e-9), (
                f"{title} after {name}: {found.reshape(-1)[:3]}, one after the other {wanted.reshape(-1)[:3]}"
            )
            far = large(len(y), features)
            wanted = output(pair, [y.astype(np.float64), far.astype(np.float64)])
            found = pair.run("compiled", [y, far]).output
            assert np.allclose(found, wanted, rtol=2e-5, atol=2e-6), (
                f"{title} after {name} at ±100: {found.reshape(-1)[:3]} in float32, {wanted.reshape(-1)[:3]} in float64"
            )
