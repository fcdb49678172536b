"""Every registered unit × every check that applies to it; and the standard units against slow NumPy."""

from __future__ import annotations

import ast
import inspect
import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import naive
import numpy as np
import pytest
from naive.metrics import accuracy, categorical_accuracy
from naive.training import TwoLayers

from nbdl import Optimizer, Sequential
from nbdl.hookspecs import KINDS
from nbdl.layers import Dense
from nbdl.testing import Check, parametrize_with_checks
from nbdl.testing.probe import forced
from nbdl.testing.suite import checks, entries, select
from nbdl.units.entry import Entry, Owner
from nbdl.units.registry import registry


def with_truth(entry: Entry) -> Entry:
    """A unit as if it were registered with the NumPy truth that the tests have of it."""
    truth = naive.TRUTHS.get((entry.kind, entry.name))
    return entry if truth is None else replace(entry, options={**entry.options, "truth": truth})


@parametrize_with_checks(map(with_truth, registry.entries()))
def test_unit(entry: Entry, check: Check) -> None:
    check(entry)


@pytest.mark.parametrize("entry", list(entries("nbdl")), ids=lambda entry: f"{entry.kind}/{entry.name}")
def test_standard_units_have_a_truth(entry: Entry) -> None:
    compared = {kind for check in checks() for kind in check.kinds if check.name == "is its formula"}
    own = getattr(entry.target, "functions", ())  # of scalar functions Python itself makes one, in float64
    assert entry.kind not in compared or own or (entry.kind, entry.name) in naive.TRUTHS


def test_truths_are_of_units_that_exist() -> None:
    for kind, name in naive.TRUTHS:
        assert registry.get(kind, name).name == name


def test_every_kind_is_checked() -> None:
    of_its_own = {kind for check in checks() for kind in check.kinds if len(check.kinds) < len(KINDS)}
    assert of_its_own == {*KINDS, "distributions"}


@pytest.mark.parametrize("check", checks(), ids=lambda check: f"{check.name} {check.kinds[0]}")
def test_checks_say_what_they_ask_for(check: Check) -> None:
    assert check.description.strip()


def test_the_suite_names_no_unit() -> None:
    units = entries(kinds=tuple(kind for kind in KINDS if kind != "templates"))  # which are called as kinds are
    names = {name.lower() for entry in units for name in (entry.name, *entry.aliases)}
    names -= {"uniform", "constant"}  # an operation, and a place for tensors
    folder = Path(inspect.getfile(Check)).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value.lower() not in names, f"{path.name}:{node.lineno} names {node.value!r}"


# -- whole training steps ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "batch"), [(23, 10), (700, 300)])
@pytest.mark.parametrize("schedule", ["", "tiles", "blocks"])
def test_training_is_the_naive_training(rows: int, batch: int, schedule: str) -> None:
    with forced(schedule, parallel=True) if schedule else nullcontext():
        train_and_compare(rows, batch)


def train_and_compare(rows: int, batch: int) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    y = np.eye(3)[rng.integers(0, 3, rows)]
    weights = rng.uniform(0.5, 2.0, rows)
    model = Sequential(
        [Dense(7, activation="tanh", input_dim=5, kernel_regularizer="l2"), Dense(3, activation="softmax")], seed=1
    )
    model.compile(optimizer="Adam", loss="categorical_crossentropy", metrics=["accuracy"])
    truth = TwoLayers(model.get_weights())
    before = [weight.copy() for weight in truth.weights]
    figures = model.evaluate(x, y, return_dict=True)
    assert figures["loss"] == pytest.approx(truth.loss(x, y, 0.01), rel=1e-5)
    assert figures["accuracy"] == categorical_accuracy(y, truth.forward(x)[1])
    model.fit(x, y, batch_size=batch, epochs=4, shuffle=False, sample_weight=weights, verbose=0)
    for _ in range(4):
        for start in range(0, rows, batch):
            part = slice(start, start + batch)
            truth.step(x[part].astype(np.float64), y[part], weights[part], l2=0.01)
    for found, wanted, first in zip(model.get_weights(), truth.weights, before, strict=True):
        moved = np.abs(wanted - first).max()
        np.testing.assert_allclose(found, wanted, atol=2e-3 * moved)
    np.testing.assert_allclose(model.predict(x), truth.forward(x)[1], rtol=1e-4)


@pytest.mark.parametrize("name", ["accuracy"])
def test_accuracy_takes_what_the_targets_ask_for(name: str) -> None:
    from nbdl.program.functions import same
    from nbdl.program.recorder import Recorder
    from nbdl.testing.probe import Probe

    rng = np.random.default_rng(5)
    p3, p1 = rng.uniform(size=(20, 3)).astype(np.float32), rng.uniform(size=(20, 1)).astype(np.float32)
    labels = rng.integers(0, 3, (20, 1)).astype(np.float32)
    ones = np.eye(3, dtype=np.float32)[labels[:, 0].astype(int)]
    for y, p in ((labels, p3), (ones, p3), ((p1[::-1] > 0.5).astype(np.float32), p1)):
        unit = registry.make("metrics", name)

        def record(r: Recorder, t: object, unit: object = unit) -> None:
            r.sum(same, unit.update(r, *t), into=r.log("sums"))

        probe = Probe(name, record, [np.ascontiguousarray(y), p])
        sums = probe.run("compiled", parts=[8, 8, 4]).log.sum(axis=0)
        assert unit.result(sums, 20) == pytest.approx(accuracy(y, p))


# -- what training relies on --------------------------------------------------------------------------------


class Forgetful(Optimizer):
    """Its rate depends on how often it was asked."""

    def __init__(self, learning_rate: float = 0.1) -> None:
        self.learning_rate, self.asked = learning_rate, 0

    def per_step(self, step: int) -> dict[str, float]:
        self.asked += 1
        return {"rate": self.rate(step) / self.asked}

    def update_function(self) -> object:
        return descend


class Scheduled(Forgetful):
    """Right for a number; with a schedule an array of steps gets the first step's rate."""

    def per_step(self, step: int) -> dict[str, float]:
        rate = self.rate(step)
        return {"rate": rate[0] if np.ndim(rate) else rate}


class Single(Forgetful):
    """Takes one step at a time, and says so."""

    def per_step(self, step: int) -> dict[str, float]:
        return {"rate": self.rate(step) / math.sqrt(step)}


def descend(w: float, g: float, rate: float) -> float:
    return w - rate * g


@pytest.mark.parametrize(("unit", "right"), [(Forgetful, False), (Scheduled, False), (Single, True)])
def test_per_step_of_many_steps_is_checked(unit: type, right: bool) -> None:
    (check,) = select("slots come back")
    entry = Entry("optimizers", unit.__name__, unit, Owner("here", "here", ""), __name__)
    if right:
        check(entry)
    else:
        with pytest.raises(AssertionError, match="pure function of the step"):
            check(entry)


@pytest.mark.parametrize(
    ("loss", "reported"), [(None, []), ("mse", []), ("binary_crossentropy", ["mean_squared_error"])]
)
def test_the_recipe_for_values_reports_what_the_loss_does_not_say(loss: str | None, reported: list[str]) -> None:
    from nbdl.recipe import Request, Settings

    recipe = registry.get("recipes", "dense_regressor").target
    plan = recipe(Request("regression", 3, 1, 20, (), False, Settings(loss=loss)))
    assert plan.metrics == reported
    model = Sequential(plan.layers)
    model.compile(optimizer=plan.optimizer, loss=plan.loss, metrics=plan.metrics)
    assert model.metrics_names == ["loss", *reported]
