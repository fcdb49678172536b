"""Optimizers: their rule, their slots, and what goes around every rule."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import numpy as np

from nbdl.program.language.plain import reference_function
from nbdl.testing.own import Falling
from nbdl.testing.probe import Array, assert_close
from nbdl.testing.subject import Subject, check
from nbdl.testing.units import after_steps, generator, reals, weight_shapes
from nbdl.units.optimizer import Optimizer


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
    scheduled.learning_rate = Falling()
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
    if taken := set(subject.arguments) & set(Optimizer.common):
        raise SkipTest(f"the example gives {', '.join(sorted(taken))} itself")
    unit = subject.entry.target(**subject.arguments, **TAKEN)
    rng, size, steps = generator(), 16, 7
    w, gradients = reals(rng, size), [reals(rng, size) for _ in range(steps)]
    found = after_steps(unit, w, lambda step, now: gradients[step - 1], steps)
    assert np.isfinite(found).all(), f"the weights are not finite after {steps} steps with {TAKEN}"
    if not unit.per_weight:  # else its scalar function is not the whole rule
        wanted = _by_hand(unit, w.astype(np.float64), gradients)
        atol = 1e-5 + float(np.abs(w).max()) * 2e-7 / np.abs(wanted - w).max()
        assert_close(found - w, wanted - w, f"the way of {steps} steps with {TAKEN}", 1e-4, atol)
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
