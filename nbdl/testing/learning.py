"""Units at work: a small net with the unit in it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nbdl.building import Builder
from nbdl.engine.functions import same
from nbdl.engine.plain import reference_function
from nbdl.engine.program import Recorder, Tensor
from nbdl.errors import NbdlError
from nbdl.layer import Layer, Shape
from nbdl.model import Sequential
from nbdl.optimizer import COMMON, Optimizer, Schedule
from nbdl.registry import singular
from nbdl.specs import Activation, Initializer, Loss
from nbdl.testing.data import draw, metric_data
from nbdl.testing.probe import Array, assert_close
from nbdl.testing.suite import Subject, check
from nbdl.testing.units import after_steps, built, generator, layer_inputs, reals, weight_shapes

ROWS, FEATURES, EPOCHS = 96, 3, 25


class Spread(Initializer):
    """Small random values; the suite's own, so that it needs no plugin."""

    def __call__(self, shape: Shape, random: Any) -> Array:
        return np.asarray(random.uniform(shape, -0.5, 0.5))


class Product(Layer):
    """x·W + b; the suite's own."""

    def __init__(self, width: int, follow: Any = None, **units: Any) -> None:
        self.width, self.activation, self.units = width, follow, units

    def build(self, b: Builder, shape: Shape) -> Shape:
        units = {"initializer": Spread(), **self.units}
        self.w = b.weight("w", (math.prod(shape), self.width), **units)
        self.b = b.weight("b", (self.width,), Spread())
        return (self.width,)

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.gemm(x, self.w, bias=self.b), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        r.gradient(self.w, r.gemm(x, dy, transpose_a=True))
        r.gradient(self.b, r.sum(same, dy))
        return r.gemm(dy, self.w, transpose_b=True)


def _square(y: float, p: float) -> float:
    return (p - y) * (p - y)


def _slope(y: float, p: float) -> float:
    return 2.0 * (p - y)


class _Squares(Loss):
    """The mean of squares; the suite's own."""

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.mean(_square, y, p)

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.map(_slope, y, p)


class _Squashed(Activation):
    """1/(1 + e^-x), for losses that take probabilities or what is positive; the suite's own."""

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.map(_squash, x), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.map(_squash_slope, y, dy)


def _squash(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def _squash_slope(y: float, dy: float) -> float:
    return dy * y * (1.0 - y)


class _Descent(Optimizer):
    """w - rate·g; the suite's own."""

    def __init__(self, learning_rate: float = 0.05) -> None:
        self.learning_rate = learning_rate

    def per_step(self, step: int) -> dict[str, float]:
        return {"rate": self.rate(step)}

    def update_function(self) -> Callable[..., Any]:
        return _descend


class _Bounded(_Descent):
    """Steps of the rate at most, for losses with slopes of any size; the suite's own."""

    def update_function(self) -> Callable[..., Any]:
        return _bounded


def _bounded(w: float, g: float, rate: float) -> float:
    return w - rate * g / (1.0 + abs(g))


class _Falling(Schedule):
    """A rate that falls; the suite's own."""

    def __call__(self, step: int) -> float:
        return 0.1 / (1.0 + step)


def _descend(w: float, g: float, rate: float) -> float:
    return w - rate * g


def task(outputs: int, shape: Shape = (FEATURES,)) -> tuple[Array, Array]:
    """Inputs and targets with a relation that a net can learn."""
    rng = generator()
    x = reals(rng, ROWS, *shape) / 2
    flat = x.reshape(ROWS, -1)
    y = np.tanh(flat @ rng.normal(size=(flat.shape[1], outputs)))
    return x, y.astype(np.float32)


def lowers_its_loss(layers: list[Layer], x: Array, y: Array, loss: Any = None, optimizer: Any = None,
                    metrics: Any = ()) -> dict[str, float]:  # fmt: skip
    """Train, and assert that the loss goes down; return the last figures."""
    model = Sequential(layers, seed=1)
    model.build(x.shape[1:] if model.input_shape is None else None)
    model.compile(optimizer=optimizer or _Descent(), loss=loss or _Squares(), metrics=list(metrics))
    before = model.evaluate(x, y, return_dict=True)["loss"]
    try:
        model.fit(x, y, batch_size=16, epochs=EPOCHS, verbose=0)
    except NbdlError as error:
        raise AssertionError(str(error)) from None
    figures: dict[str, float] = model.evaluate(x, y, return_dict=True)
    assert np.isfinite(list(figures.values())).all(), f"a figure is not finite: {figures}"
    assert figures["loss"] < before, f"the loss went from {before:.4f} to {figures['loss']:.4f} in {EPOCHS} epochs"
    return figures


@check("trains", "activations", "layers", "losses", "optimizers", "regularizers", "initializers", "constraints")
def trains(subject: Subject) -> None:
    """A net of two layers with the unit in it lowers its loss."""
    x, y = task(2)
    if subject.kind == "activations":
        lowers_its_loss([Product(6, subject.make()), Product(2)], x, y, optimizer=_Descent(0.03))
    elif subject.kind == "layers":
        layer, shape, _, _ = built(subject, FEATURES)
        layer.name = ""
        x, y = task(2, shape)
        if layer.input_limit is not None:
            x = layer_inputs(layer, generator(), *x.shape)
        lowers_its_loss([layer, Product(2)], x, y)
    elif subject.kind == "losses":
        _train_loss(subject, x)
    elif subject.kind == "optimizers":
        lowers_its_loss([Product(6), Product(2)], x, y, optimizer=subject.make())
    else:
        argument = singular(subject.kind)
        unit = subject.make()
        if subject.kind == "initializers" and np.unique(unit((9, 9), _stream())).size == 1:
            lowers_its_loss([Product(2, **{argument: unit})], x, y)  # all units of a hidden layer would be one
        else:
            lowers_its_loss([Product(6, **{argument: unit}), Product(2)], x, y)


def _stream() -> Any:
    from nbdl.initializing import Stream

    return Stream(1, 1)


def _train_loss(subject: Subject, x: Array) -> None:
    from nbdl.registry import registry

    loss, features = subject.make(), 3
    usual = "one-hot" if type(loss).pairs else "reals"
    targets = subject.options.get("targets", usual)
    if loss.target_shape((features,)) != (features,):
        y = np.argmax(x @ generator().normal(size=(FEATURES, features)), axis=1)[:, None].astype(np.float32)
    elif type(loss).pairs:
        y = np.eye(features, dtype=np.float32)[np.argmax(x @ generator().normal(size=(FEATURES, features)), axis=1)]
    else:
        y = draw(targets, len(x), features, generator())
    bounded = not loss.from_logits and subject.options.get("predictions") in ("probabilities", "positive")
    for name in loss.pairs or (None,):
        last = registry.make("activations", name) if name else _Squashed() if bounded else None
        lowers_its_loss([Product(6), Product(features, last)], x, y, loss=subject.make(), optimizer=_Bounded())


@check("descends", "optimizers")
def descends(subject: Subject) -> None:
    """Steps against the gradient of Σ w² / 2 make w smaller, where slots are kept from step to step."""
    for shape in weight_shapes(subject.make(), 16):
        w = reals(generator(), *shape)
        after = after_steps(subject.make(), w, lambda step, now: now, 50)
        assert np.isfinite(after).all(), "the weights are not finite"
        assert np.square(after).sum() < np.square(w).sum(), f"50 steps do not make w of {shape} smaller"


@check("slots come back", "optimizers")
def slots_come_back(subject: Subject) -> None:
    """`update` returns the weight and as many slots as `used_slots` names; `per_step` gives finite numbers.

    An array of steps gives what the steps give one by one, in any order, for a rate that is a number or a schedule.
    """
    unit = subject.make()
    names = unit.used_slots()
    scalars = unit.per_step(1)
    assert all(np.isfinite(float(value)) for step in (1, 2, 1000) for value in unit.per_step(step).values()), (
        "per_step gives a number that is not finite"
    )
    assert list(unit.per_step(2)) == list(scalars), "per_step must give the same names in the same order each step"
    if not unit.per_weight:
        result = unit.update_function()(0.5, 0.25, *[0.1] * len(names), *map(float, scalars.values()))
        count = len(result) if isinstance(result, tuple) else 1
        assert count == 1 + len(names), f"update returns {count} values for 1 weight and {len(names)} slots"
    _takes_arrays_of_steps(unit)
    scheduled = subject.make()
    scheduled.learning_rate = _Falling()
    _takes_arrays_of_steps(scheduled)


def _takes_arrays_of_steps(unit: Any) -> None:
    steps = np.array([1.0, 2.0, 3.0, 10.0, 1000.0])
    one_by_one = {int(step): unit.per_step(int(step)) for step in steps[::-1]}
    try:
        at_once = unit.per_step(steps)
        rows = {name: np.broadcast_to(at_once[name], len(steps)) for name in at_once}
    except (TypeError, ValueError):
        return  # training calls it step by step
    assert list(rows) == list(one_by_one[1]), "per_step must give the same names for an array of steps"
    for name, row in rows.items():
        wanted = [one_by_one[int(step)][name] for step in steps]
        assert np.allclose(row, np.array(wanted, np.float64), rtol=1e-9, atol=0.0), (
            f"per_step must be a pure function of the step: {name} is {row} for an array of steps, {wanted} one by one"
        )


TAKEN = {
    "weight_decay": 0.2, "clipnorm": 1.5, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 2,
    "gradient_accumulation_steps": 2, "decay": 0.1,
}  # fmt: skip


@check("takes the common arguments", "optimizers")
def takes_the_common_arguments(subject: Subject) -> None:
    """Decay, clipping, averages and accumulation go around the rule as `nbdl.Optimizer` says, in float64."""
    if set(subject.arguments) & set(COMMON):
        return
    unit = subject.entry.target(**subject.arguments, **TAKEN)
    rng, size, steps = generator(), 16, 7
    w, gradients = reals(rng, size), [reals(rng, size) for _ in range(steps)]
    found = after_steps(unit, w, lambda step, now: gradients[step - 1], steps)
    if unit.per_weight:  # its scalar function is not the whole rule
        return
    wanted = _by_hand(unit, w.astype(np.float64), gradients)
    moved = np.abs(wanted - w).max()
    assert_close(
        found - w,
        wanted - w,
        f"the way of {steps} steps with {TAKEN}",
        1e-4,
        1e-5 + float(np.abs(w).max()) * 2e-7 / moved,
    )
    numbers = np.arange(1, 9)
    at_once = unit.scalars(numbers)
    for name, row in at_once.items():
        each = [unit.scalars(int(number))[name] for number in numbers]
        assert np.allclose(np.broadcast_to(row, len(each)), each, rtol=1e-9), f"{name} is {row}, {each} one by one"


def _by_hand(unit: Any, w: Array, gradients: list[Array]) -> Array:
    """The weights after these steps, by the rule's scalar function in Python and TAKEN in NumPy."""
    rule, every = reference_function(unit.update_function()), TAKEN["gradient_accumulation_steps"]
    slots = [np.full(w.shape, unit.first_value(name)) for name in unit.used_slots()]
    total, average = np.zeros_like(w), w
    for step, gradient in enumerate(gradients, 1):
        total, updates = total + gradient, (step - 1) // every
        if step % every == 0:
            g = total / every
            g, total = g * min(1.0, TAKEN["clipnorm"] / np.sqrt(np.square(g).sum())), np.zeros_like(w)
            start = w - w * TAKEN["weight_decay"] * unit.rate(step // every)
            scalars = [np.float64(value) for value in unit.per_step(step // every).values()]
            results = [rule(*one, *scalars) for one in zip(start, g, *slots, strict=True)]
            w, *slots = np.array(results, np.float64).reshape(w.size, -1).T
        momentum = TAKEN["ema_momentum"] if updates else 0.0
        average = momentum * average + (1.0 - momentum) * w
        if (updates + 1) % TAKEN["ema_overwrite_frequency"] == 0:
            w = average
    return w


@check("any batches, one figure", "metrics")
def any_batches_one_figure(subject: Subject) -> None:
    """The figure over all rows does not depend on the batches that they came in, a short last one included."""
    unit = subject.make()
    (probe,) = subject.probes
    rows = 23
    sources = list(metric_data(subject.options, rows, 3, generator()))
    figures = []
    for parts in ([rows], [10, 10, 3], [7, 7, 7, 2], [1] * rows):
        sums = probe.log_named(probe.run("compiled", sources, parts=parts).log, "sums").astype(np.float64).sum(axis=0)
        figures.append(unit.result(sums, rows))
    assert np.isfinite(figures).all(), f"the figure is not finite: {figures[0]}"
    assert_close(np.array(figures), np.full(len(figures), figures[0]), "the figure, by batches", 1e-5)


@check("a rate for each step", "schedules")
def a_rate_for_each_step(subject: Subject) -> None:
    """Steps from 0 on get a finite rate that is not negative, the same each time, and in an array the same."""
    unit = subject.make()
    rates = {step: float(unit(step)) for step in (1000, 7, 0, 1, 2)}
    try:
        at_once = np.broadcast_to(np.asarray(unit(np.array(list(rates), np.float64)), np.float64), len(rates))
    except (TypeError, ValueError):
        at_once = np.array(list(rates.values()))  # training calls it step by step
    assert np.allclose(at_once, list(rates.values()), rtol=1e-9, atol=0.0), (
        f"a schedule must be a pure function of the step: {at_once} for an array of steps, {rates} one by one"
    )
    for step in (0, 1, 2, 10, 1000, 100_000):
        rate = float(unit(step))
        assert np.isfinite(rate), f"the rate of step {step} is {rate}"
        assert rate >= 0.0, f"the rate of step {step} is {rate}"
        assert float(unit(step)) == rate, f"step {step} gets another rate the second time"
