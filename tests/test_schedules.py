"""Schedules: Keras's numbers, one rate for each step, whoever else sets the rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Schedule, Sequential
from nbdl.errors import ConfigError
from nbdl.layers import Dense
from nbdl.model.load import load_model
from nbdl.optimizers import SGD, Adam
from nbdl.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseSquareRootDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)
from nbdl.units.callback import Callback
from nbdl.units.registry import registry

STEPS = [0, 1, 2, 3, 7, 8, 10, 14, 21, 49, 50, 1000]
# Rates of these steps by Keras 3.15, which computes them in float32.
KERAS: list[tuple[str, dict[str, Any], list[float]]] = [
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9},
        [
            0.1,
            0.0985061,
            0.0970346,
            0.095585,
            0.09,
            0.0886555,
            0.0860265,
            0.081,
            0.0729,
            0.0478297,
            0.0471152,
            2.90545e-08,
        ],
    ),
    (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9, "staircase": True},
        [0.1, 0.1, 0.1, 0.1, 0.09, 0.09, 0.09, 0.081, 0.0729, 0.0478297, 0.0478297, 3.18006e-08],
    ),
    (
        "PiecewiseConstantDecay",
        {"boundaries": [2, 10], "values": [0.3, 0.2, 0.1]},
        [0.3, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1],
    ),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 20},
        [0.1, 0.095005, 0.09001, 0.085015, 0.065035, 0.06004, 0.05005, 0.03007, 0.0001, 0.0001, 0.0001, 0.0001],
    ),
    (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "end_learning_rate": 0.01, "power": 0.5, "cycle": True},
        [0.1, 0.0933238, 0.0860639, 0.0780336, 0.01, 0.0689188, 0.058107, 0.01, 0.01, 0.01, 0.0394594, 0.0128446],
    ),
    (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9},
        [
            0.1,
            0.0886076,
            0.0795455,
            0.072165,
            0.0526316,
            0.0492958,
            0.04375,
            0.0357143,
            0.027027,
            0.0136986,
            0.0134615,
            0.000771775,
        ],
    ),
    (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.9, "staircase": True},
        [0.1, 0.1, 0.1, 0.1, 0.0526316, 0.0526316, 0.0526316, 0.0357143, 0.027027, 0.0136986, 0.0136986, 0.000776398],
    ),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 20},
        [0.1, 0.0993844, 0.0975528, 0.0945503, 0.0726995, 0.0654508, 0.05, 0.0206107, 0, 0, 0, 0],
    ),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1, "warmup_target": 0.3, "warmup_steps": 3},
        [0.1, 0.166667, 0.233333, 0.3, 0.274217, 0.260459, 0.226289, 0.143881, 0.0366074, 0.03, 0.03, 0.03],
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 7},
        [0.1, 0.0950484, 0.0811745, 0.061126, 0.1, 0.0987464, 0.0890916, 0.05, 0.1, 0.1, 0.0999213, 0.0962608],
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 1.0, "m_mul": 0.9, "alpha": 0.1},
        [
            0.1,
            0.0977975,
            0.0914058,
            0.0814503,
            0.0285497,
            0.0185942,
            0.091,
            0.0630152,
            0.081116,
            0.011445,
            0.0631441,
            0.0100024,
        ],
    ),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 1.5, "m_mul": 0.9, "alpha": 0.1},
        [
            0.1,
            0.0977975,
            0.0914058,
            0.0814503,
            0.0285497,
            0.0185942,
            0.091,
            0.0775998,
            0.0234002,
            0.0752907,
            0.0747257,
            0.0193607,
        ],
    ),
]


@pytest.mark.parametrize(("name", "arguments", "wanted"), KERAS, ids=[f"{name} {args}" for name, args, _ in KERAS])
def test_rates_are_those_of_keras(name: str, arguments: dict[str, Any], wanted: list[float]) -> None:
    schedule = registry.get("schedules", name).target(**arguments)
    assert [float(schedule(step)) for step in STEPS] == pytest.approx(wanted, rel=2e-5, abs=1e-7)
    assert np.broadcast_to(schedule(np.array(STEPS, float)), len(STEPS)) == pytest.approx(wanted, rel=2e-5, abs=1e-7)


def test_the_lectures_schedule() -> None:
    schedule = InverseSquareRootDecay(0.3)
    assert [schedule(step) for step in (0, 3, 8)] == pytest.approx([0.3, 0.15, 0.1])


def test_the_numbers_cover_every_schedule() -> None:
    known = {entry.name for entry in registry.entries("schedules") if entry.owner.distribution == "nbdl"}
    assert known - {name for name, _, _ in KERAS} == {"InverseSquareRootDecay"}


@pytest.mark.parametrize("first", [1, 3, 7, 10, 100, 1000])
@pytest.mark.parametrize("factor", [1.0, 1.1, 1.5, 2.0, 3.0])
def test_every_restart_comes_on_its_step(first: int, factor: float) -> None:
    schedule, begins = CosineDecayRestarts(1.0, first, t_mul=factor), 0.0
    for period in range(6):
        if begins == int(begins):
            assert float(schedule(int(begins))) == pytest.approx(1.0, abs=1e-6)
            if first > 1:
                assert float(schedule(int(begins) + 1)) < 1.0
        begins += first * factor**period


# -- in training ------------------------------------------------------------------------------------------


def model_with(rate: Any, optimizer: Any = SGD) -> Sequential:
    model = Sequential([Dense(1, input_dim=2)], seed=1)
    model.compile(optimizer=optimizer(rate), loss="mean_squared_error")
    return model


X = np.array([[1.0, 2.0], [0.5, -1.0], [-1.0, 0.3], [0.2, 0.7]] * 5, np.float32)
Y = X.sum(axis=1, keepdims=True)


def fitted(rate: Any, optimizer: Any = SGD, **options: Any) -> Sequential:
    model = model_with(rate, optimizer)
    model.fit(X, Y, **{"batch_size": 2, "epochs": 3, "verbose": 0, **options})
    return model


def test_the_rate_changes_from_step_to_step() -> None:
    """Rates of the table are those of the steps from 0: a step of rate 0 changes nothing, the next one does."""
    model = model_with(PiecewiseConstantDecay([0], [0.1, 0.0]))
    model.fit(X, Y, batch_size=2, shuffle=False, verbose=0)
    other = model_with(0.1)
    other.fit(X[:2], Y[:2], batch_size=2, shuffle=False, verbose=0)
    assert np.array_equal(model.get_weights()[0], other.get_weights()[0])


@pytest.mark.parametrize("optimizer", [SGD, Adam])
def test_a_plain_function_does_the_same(optimizer: Any) -> None:
    by_schedule = fitted(ExponentialDecay(0.1, 2, 0.5), optimizer)
    by_function = fitted(lambda step: 0.1 * 0.5 ** (step / 2), optimizer)
    assert np.array_equal(by_schedule.get_weights()[0], by_function.get_weights()[0])
    assert not np.array_equal(by_schedule.get_weights()[0], fitted(0.1, optimizer).get_weights()[0])


def test_a_plain_function_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"SGD: its learning_rate is .*Schedule"):
        fitted(lambda step: 0.1).save(tmp_path / "model.nbdl")


def test_a_plain_function_gets_steps_one_by_one() -> None:
    seen: list[Any] = []

    def rate(step: Any) -> float:
        seen.append(step)
        return 0.1 if step < 10 else 0.01

    fitted(rate)
    assert {type(step) for step in seen} == {int}
    assert {*range(30)} <= set(seen)


class Counted(Schedule):
    """Says how often it was called."""

    calls = 0

    def __call__(self, step: Any) -> Any:
        type(self).calls += 1
        return 0.1 / (step + 1)


def test_a_schedule_is_asked_for_many_steps_at_once() -> None:
    rates = SGD(Counted()).rate(np.arange(1.0, 5001.0))
    assert Counted.calls == 1
    assert rates[:3].tolist() == [0.1, 0.05, 0.1 / 3]


def test_going_on_goes_on_with_the_schedule(tmp_path: Path) -> None:
    model = fitted(CosineDecay(0.0, 30, alpha=0.1, warmup_target=0.1, warmup_steps=5), Adam)
    model.save(tmp_path / "model.nbdl")
    again = load_model(tmp_path / "model.nbdl")
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for one in (model, again):
        one.fit(X, Y, batch_size=2, epochs=4, initial_epoch=3, verbose=0)
    assert np.array_equal(model.get_weights()[0], again.get_weights()[0])
    whole = fitted(CosineDecay(0.0, 30, alpha=0.1, warmup_target=0.1, warmup_steps=5), Adam, epochs=4)
    assert np.array_equal(model.get_weights()[0], whole.get_weights()[0])


def test_schedules_are_found_where_keras_has_them() -> None:
    from nbdl import optimizers

    assert optimizers.schedules.ExponentialDecay is ExponentialDecay


def test_names_are_kept() -> None:
    schedule = ExponentialDecay(0.1, 10, 0.5, name="falling")
    assert (schedule.name, schedule.get_config()["name"]) == ("falling", "falling")
    assert ExponentialDecay.from_config(schedule.get_config()).name == "falling"


# -- who sets the rate ------------------------------------------------------------------------------------


class Setting(Callback):
    """Sets the rate before each epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        assert self.model.optimizer.learning_rate is not None
        self.model.optimizer.learning_rate = 0.01 * (epoch + 1)


def test_a_callback_sets_a_number_and_not_a_schedule() -> None:
    model = fitted(0.1, callbacks=[Setting()])
    assert model.optimizer.learning_rate == 0.03
    falling = PiecewiseConstantDecay([9, 19], [0.01, 0.02, 0.03])
    assert np.array_equal(model.get_weights()[0], fitted(falling).get_weights()[0])
    with pytest.raises(ConfigError, match=r"SGD: its learning_rate is ExponentialDecay\(.*schedule"):
        fitted(ExponentialDecay(0.1, 10, 0.5), callbacks=[Setting()])


def test_a_schedule_can_be_set_at_any_time() -> None:
    model = model_with(0.1)
    model.optimizer.lr = ExponentialDecay(0.1, 10, 0.5)
    model.optimizer.learning_rate = InverseTimeDecay(0.1, 10, 0.5)
    assert model.optimizer.rate(11) == pytest.approx(0.1 / 1.5)
    with pytest.raises(ConfigError, match=r"cannot become 0\.5"):
        model.optimizer.lr = 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), "decay_steps is positive"),
        (lambda: InverseTimeDecay(0.1, -1, 0.5), "decay_steps is positive"),
        (lambda: PolynomialDecay(0.1, 0), "decay_steps is positive"),
        (lambda: CosineDecay(0.1, 0), "decay_steps is positive"),
        (lambda: CosineDecay(0.1, 5, warmup_target=0.2, warmup_steps=-1), "warmup_steps is not negative"),
        (lambda: CosineDecayRestarts(0.1, 0), "first_decay_steps is positive"),
        (lambda: CosineDecayRestarts(0.1, 5, t_mul=0.5), "t_mul is 1 or more"),
        (lambda: PiecewiseConstantDecay([1, 2], [0.1, 0.2]), "2 boundaries take 3 values, got 2"),
        (lambda: PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "boundaries increase"),
    ],
)
def test_arguments_that_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_rate_that_is_no_number_is_refused_before_a_step() -> None:
    model = model_with(nbdl.schedules.ExponentialDecay(0.1, 1, 1e300))
    with pytest.raises(ConfigError, match="learning_rate is not a finite number"):
        model.fit(X, Y, batch_size=2, verbose=0)
