"""Constraints and the orthogonal regularizer: Keras's numbers, what training keeps, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbdl import Sequential
from nbdl.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from nbdl.errors import ConfigError
from nbdl.layers import Dense
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.regularizers import OrthogonalRegularizer
from nbdl.testing.probe import Probe, logged
from nbdl.testing.units import fixed, with_values
from nbdl.units.registry import registry

W = np.array([[3, 0.5, 0], [-4, 0.5, 0], [0, -1, 0]], np.float32)
V = np.array([3, -4, 0], np.float32)


def projected(constraint: Any, w: np.ndarray) -> np.ndarray:
    weights = [fixed("w", np.asarray(w, np.float32))]

    def record(r: Recorder, t: Any) -> Tensor | None:
        logged(r, "w", constraint.project(r, weights[0].tensor))
        return None

    return np.asarray(with_values(Probe("", record, [], weights)).run("compiled").log[0].reshape(w.shape))


# What Keras 3.15.1 gives.
KERAS: list[tuple[Any, np.ndarray, Any]] = [
    (MaxNorm(2.0), W, [[1.2, 0.5, 0], [-1.6, 0.5, 0], [0, -1, 0]]),
    (MaxNorm(2.0), V, [1.2, -1.6, 0]),
    (MaxNorm(2.0, axis=1), W, [[1.972788, 0.328798, 0], [-1.984556, 0.248069, 0], [0, -1, 0]]),
    (MaxNorm(2.0, axis=[0, 1]), W, [[1.165543, 0.194257, 0], [-1.554057, 0.194257, 0], [0, -0.388514, 0]]),
    (UnitNorm(), W, [[0.6, 0.408248, 0], [-0.8, 0.408248, 0], [0, -0.816496, 0]]),
    (UnitNorm(), V, [0.6, -0.8, 0]),
    (UnitNorm(axis=1), W, [[0.986394, 0.164399, 0], [-0.992278, 0.124035, 0], [0, -1, 0]]),
    (MinMaxNorm(1.5, 2.0), W, [[1.2, 0.612372, 0], [-1.6, 0.612372, 0], [0, -1.224745, 0]]),
    (MinMaxNorm(1.5, 2.0), V, [1.2, -1.6, 0]),
    (MinMaxNorm(1.5, 2.0, rate=0.5), W, [[2.1, 0.556186, 0], [-2.8, 0.556186, 0], [0, -1.112372, 0]]),
    (MinMaxNorm(1.5, 2.0, axis=1), W, [[1.972788, 0.328798, 0], [-1.984556, 0.248069, 0], [0, -1.5, 0]]),
    (NonNeg(), W, [[3, 0.5, 0], [0, 0.5, 0], [0, 0, 0]]),
]


@pytest.mark.parametrize(("constraint", "w", "wanted"), KERAS)
def test_the_numbers_are_keras(constraint: Any, w: np.ndarray, wanted: Any) -> None:
    np.testing.assert_allclose(projected(constraint, w), wanted, atol=2e-6)


@pytest.mark.parametrize(("axis", "kept"), [(0, 0), (2, 2), (-1, 2), ([0, 1], (0, 1)), ([1, 2], (1, 2))])
def test_weights_of_three_axes(axis: Any, kept: Any) -> None:
    w = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    found = projected(UnitNorm(axis=axis), w)
    np.testing.assert_allclose(found, w / np.sqrt((w**2).sum(axis=kept, keepdims=True)), rtol=1e-5)


@pytest.mark.parametrize("axis", [1, [0, 2], 5, []])
def test_axes_that_are_not_at_an_end(axis: Any) -> None:
    with pytest.raises(ConfigError, match=r"UnitNorm: axis is the first axis .* for a weight of shape \(2, 3, 4\)"):
        projected(UnitNorm(axis=axis), np.ones((2, 3, 4)))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("max_norm", {"max_value": -1.0}, "max_value is not negative"),
        ("min_max_norm", {"min_value": 2.0}, "0 ≤ min_value ≤ max_value, got 2.0 and 1.0"),
        ("min_max_norm", {"rate": 2.0}, "rate is from 0 to 1"),
    ],
)
def test_arguments_out_of_range(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.get("constraints", name).target(**arguments)


def test_names_of_keras_1() -> None:
    assert registry.get("constraints", "maxnorm").target(m=3).max_value == 3.0
    for old, new in (("nonneg", "non_neg"), ("unitnorm", "unit_norm"), ("MinMaxNorm", "min_max_norm")):
        assert registry.get("constraints", old).name == new


# -- in training -----------------------------------------------------------------------------------------------

X = np.random.default_rng(2).normal(size=(60, 6)).astype(np.float32)
Y = np.stack([X[:, 0] * 3 - X[:, 1], np.abs(X[:, 2]) * 5], axis=1)


def trained(**constraints: Any) -> list[np.ndarray]:
    made = Sequential([Dense(7, activation="relu", input_dim=6, **constraints), Dense(2)], seed=1)
    made.compile("adam", "mse")
    made.optimizer.learning_rate = 0.05
    made.fit(X, Y, epochs=8, batch_size=13, verbose=0)
    return made.get_weights()


def test_training_keeps_norms_and_signs() -> None:
    free = trained()
    assert np.linalg.norm(free[0], axis=0).max() > 1.2
    assert np.linalg.norm(free[1]) > 0.3
    kernel, bias, *_ = trained(kernel_constraint=MaxNorm(0.8), bias_constraint=MaxNorm(0.1))
    assert np.linalg.norm(kernel, axis=0).max() == pytest.approx(0.8, rel=1e-5)
    assert np.linalg.norm(bias) == pytest.approx(0.1, rel=1e-5)
    kernel, bias, *_ = trained(kernel_constraint="unit_norm", bias_constraint="non_neg")
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1.0, rtol=1e-5)
    assert bias.min() >= 0.0


def test_orthogonality_is_learned() -> None:
    def cosines(kernel: np.ndarray) -> float:
        units = kernel / np.linalg.norm(kernel, axis=1, keepdims=True)
        return float(np.abs(units @ units.T - np.eye(len(units))).mean())

    assert cosines(trained(kernel_regularizer=OrthogonalRegularizer(3.0))[0]) < 0.5 * cosines(trained()[0])


# -- the orthogonal regularizer --------------------------------------------------------------------------------

SMALL = np.array([[1, 2, 0.5], [-1, 0.5, 2]], np.float32)


def recorded(regularizer: Any, w: np.ndarray) -> tuple[float, np.ndarray]:
    """The penalty, and its gradient."""
    weights = [fixed("w", np.asarray(w, np.float32)), fixed("g", np.zeros_like(w, np.float32), False)]

    def record(r: Recorder, t: Any) -> Tensor | None:
        logged(r, "penalty", regularizer.penalty(r, weights[0].tensor))
        gradient = r.map(lambda g: g, weights[1].tensor)
        logged(r, "gradient", regularizer.gradient(r, weights[0].tensor, gradient))
        return None

    log = with_values(Probe("", record, [], weights)).run("compiled").log[0]
    return float(log[0]), log[1:].reshape(w.shape)


# What Keras 3.15.1 gives, derivatives by JAX.
@pytest.mark.parametrize(
    ("mode", "penalty", "gradient"),
    [
        ("rows", 0.0952381, [[-0.1133787, 0.0113379, 0.1814059], [0.1133787, 0.1814059, 0.0113379]]),
        ("columns", 0.2499299, [[0.0, -0.00048745, 0.0019498], [0.0, 0.0019498, -0.00048745]]),
    ],
)
def test_orthogonality_is_that_of_keras(mode: str, penalty: float, gradient: Any) -> None:
    found, slope = recorded(OrthogonalRegularizer(0.5, mode), SMALL)
    assert found == pytest.approx(penalty, rel=2e-6)
    np.testing.assert_allclose(slope, gradient, atol=2e-7)


def test_one_row_is_orthogonal_and_zeros_are_too() -> None:
    assert recorded(OrthogonalRegularizer(), SMALL[:1])[0] == 0.0
    found, slope = recorded(OrthogonalRegularizer(), np.zeros((3, 2)))
    assert found == 0.0
    assert not slope.any()


def test_what_the_orthogonal_regularizer_refuses() -> None:
    for arguments, message in (
        ({"factor": -1.0}, "factor is a number of at least 0"),
        ({"mode": "both"}, "mode is 'rows' or 'columns', got 'both'"),
    ):
        with pytest.raises(ConfigError, match=message):
            OrthogonalRegularizer(**arguments)
    with pytest.raises(ConfigError, match=r"is for matrices; this weight has shape \(7,\)"):
        trained(bias_regularizer="orthogonal_regularizer")


def constrained(device: str = "cpu") -> Sequential:
    model = Sequential(
        [
            Dense(6, input_dim=5, activation="tanh", kernel_constraint=MaxNorm(0.8), bias_constraint="non_neg"),
            Dense(3, activation="softmax", kernel_constraint=UnitNorm(axis=1)),
        ],
        seed=1,
    )
    model.compile("adam", "categorical_crossentropy", device=device)
    return model


def test_a_projection_is_written_where_the_weight_lies() -> None:
    found = [o for o in constrained().program("train").operations if o.phase == "constrain"]
    assert all(o.outputs[0].space == "weight" for o in found if o.layer == "dense_1/bias")
    copies = [o for o in found if o.kind == "map" and o.title == "map"]
    assert not copies, "a projection is copied into the weight by an operation of its own"


def test_constraints_are_the_same_on_a_gpu() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 5)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 20)]
    cpu, gpu = constrained(), constrained("cuda")
    for model in (cpu, gpu):
        model.fit(x, y, batch_size=8, epochs=3, verbose=0)
    for one, other in zip(cpu.get_weights(), gpu.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.linalg.norm(cpu.get_weights()[0], axis=0).max() <= 0.8 + 1e-5
    np.testing.assert_allclose(np.linalg.norm(cpu.get_weights()[2], axis=1), 1.0, atol=1e-5)
