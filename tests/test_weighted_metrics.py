"""compile's weighted_metrics: rows count by their sample_weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbdl import Sequential, load_model
from nbdl.layers import Dense
from nbdl.metrics import Precision

RNG = np.random.default_rng(3)
X = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 50)
Y = np.eye(3, dtype=np.float32)[LABELS]
WEIGHTS = RNG.uniform(0.0, 3.0, 50)


def net(metrics: Any, weighted: Any) -> Sequential:
    model = Sequential([Dense(3, input_dim=4, activation="softmax")], seed=1)
    model.compile("SGD", "categorical_crossentropy", metrics=metrics, weighted_metrics=weighted)
    return model


def right(model: Sequential) -> Any:
    return model.predict(X).argmax(1) == LABELS


def test_rows_count_by_their_weights_or_alike() -> None:
    model = net(["accuracy"], ["accuracy", "mse"])
    figures = model.evaluate(X, Y, sample_weight=WEIGHTS, return_dict=True)
    assert list(figures) == ["loss", "accuracy", "weighted_accuracy", "mse"]
    assert figures["accuracy"] == pytest.approx(right(model).mean())
    assert figures["weighted_accuracy"] == pytest.approx((right(model) * WEIGHTS).sum() / WEIGHTS.sum(), rel=1e-6)
    squares = ((model.predict(X) - Y) ** 2).mean(axis=1)
    assert figures["mse"] == pytest.approx((squares * WEIGHTS).sum() / WEIGHTS.sum(), rel=1e-5)


def test_metrics_of_several_sums_are_weighted_too() -> None:
    model = net([], [Precision()])
    chosen = model.predict(X) > 0.5
    wanted = ((chosen * Y) * WEIGHTS[:, None]).sum() / (chosen * WEIGHTS[:, None]).sum()
    assert model.evaluate(X, Y, sample_weight=WEIGHTS)[1] == pytest.approx(wanted, rel=1e-5)


def test_without_weights_they_are_the_plain_ones() -> None:
    model = net(["accuracy"], "accuracy")
    history = model.fit(X, Y, batch_size=8, epochs=2, verbose=0).history
    np.testing.assert_allclose(history["weighted_accuracy"], history["accuracy"], rtol=1e-6)


def test_class_weights_count_in_training() -> None:
    model = net(None, ["accuracy"])
    history = model.fit(X, Y, batch_size=50, class_weight={0: 1.0, 1: 0.0, 2: 0.0}, verbose=0, shuffle=False).history
    again = net(None, ["accuracy"])
    assert history["accuracy"][0] == pytest.approx(right(again)[LABELS == 0].mean(), rel=1e-6)


def test_weights_of_nothing_give_zero() -> None:
    assert net(None, ["accuracy"]).evaluate(X, Y, sample_weight=np.zeros(50))[1] == 0.0


def test_they_come_back_from_a_file(tmp_path: Path) -> None:
    model = net(["accuracy"], ["accuracy", "mse", Precision(0.3)])
    model.save(tmp_path / "model.nbdl")
    again = load_model(tmp_path / "model.nbdl")
    assert again.metrics_names == model.metrics_names
    assert again.evaluate(X, Y, sample_weight=WEIGHTS) == model.evaluate(X, Y, sample_weight=WEIGHTS)
