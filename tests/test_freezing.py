"""Frozen layers, and penalties on layers' outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbdl import Sequential, load_model
from nbdl.layers import Activation, ActivityRegularization, Dense, Dropout, Flatten

RNG = np.random.default_rng(3)
X = RNG.normal(size=(20, 5)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 20)]


def net(**options: Any) -> Sequential:
    model = Sequential(
        [
            Dense(7, input_dim=5, activation="tanh", kernel_regularizer="l2", **options),
            Dense(3, activation="softmax"),
        ],
        seed=1,
    )
    model.compile("Adam", "categorical_crossentropy")
    return model


def changed(model: Sequential, **options: Any) -> list[bool]:
    """Which weights an epoch changes."""
    before = model.get_weights()
    model.fit(X, Y, batch_size=8, verbose=0, **options)
    return [not np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True)]


# -- frozen -------------------------------------------------------------------------------------------------


def test_freezing_acts_at_once_and_so_does_its_end() -> None:
    model = net()
    assert changed(model) == [True] * 4
    model.layers[0].trainable = False
    assert changed(model) == [False, False, True, True]
    model.layers[0].trainable = True
    assert changed(model) == [True] * 4
    model.trainable = False
    assert changed(model) == [False] * 4
    assert not model.trainable
    model.trainable = True
    assert changed(model) == [True] * 4


def test_a_layer_may_be_made_frozen() -> None:
    model = net(trainable=False)
    assert changed(model) == [False, False, True, True]
    assert [weight.name for weight in model.trainable_weights] == ["dense_2/kernel", "dense_2/bias"]
    assert [weight.name for weight in model.non_trainable_weights] == ["dense_1/kernel", "dense_1/bias"]
    assert model.layers[0].trainable_weights == []
    assert len(model.layers[0].non_trainable_weights) == 2


def test_the_last_layer_may_be_frozen_and_gradients_go_through_it() -> None:
    model = net()
    model.layers[1].trainable = False
    assert changed(model) == [True, True, False, False]


def test_a_frozen_layer_costs_no_gradient() -> None:
    model = net()
    products = [o for o in model.program("train").operations if o.kind == "gemm"]
    model.layers[0].trainable = False
    fewer = [o for o in model.program("train").operations if o.kind == "gemm"]
    assert (len(products), len(fewer)) == (5, 3)


def test_the_penalty_of_a_frozen_weight_is_not_part_of_the_loss() -> None:
    model = net()
    whole = model.evaluate(X, Y)
    model.layers[0].trainable = False
    kernel = model.layers[0].get_weights()[0]
    assert whole - model.evaluate(X, Y) == pytest.approx(0.01 * float((kernel**2).sum()), rel=1e-4)


def test_freezing_is_saved_and_counted() -> None:
    model = net()
    model.layers[0].trainable = False
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "Trainable params: 24" in lines
    assert "Non-trainable params: 42" in lines
    again = Sequential.from_config(model.get_config())
    assert [layer.trainable for layer in again.layers] == [False, True]
    model.layers[0].trainable = True
    assert model.layers[0].get_config()["trainable"] is True
    assert "trainable" not in model.get_config()["layers"][0]["config"]


def test_a_frozen_and_thawed_layer_trains_as_if_saved_in_between(tmp_path: Any) -> None:
    straight, saved = net(), net()
    for model in (straight, saved):
        model.layers[0].trainable = False
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    saved.save(tmp_path / "half.nbdl")
    saved = load_model(tmp_path / "half.nbdl")
    for model in (straight, saved):
        model.layers[0].trainable = True
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0)
    for one, other in zip(straight.get_weights(), saved.get_weights(), strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_callback_may_freeze_from_the_next_epoch_on() -> None:
    from nbdl import Callback

    class Freeze(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                self.model.layers[0].trainable = False
                self.kernel = self.model.get_weights()[0]

    model, freeze = net(), Freeze()
    first = model.get_weights()[0]
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[freeze])
    assert not np.array_equal(first, freeze.kernel)
    assert np.array_equal(model.get_weights()[0], freeze.kernel)


def test_frozen_on_a_gpu_too() -> None:
    model = net(trainable=False)
    model.device = "cuda"
    assert changed(model) == [False, False, True, True]


# -- penalties on outputs -----------------------------------------------------------------------------------


def test_an_activity_penalty_is_the_mean_over_the_rows() -> None:
    plain, penal = net(), net(activity_regularizer="l2")
    penal.set_weights(plain.get_weights())
    hidden = np.tanh(X @ plain.get_weights()[0] + plain.get_weights()[1])
    wanted = 0.01 * (hidden.astype(np.float64) ** 2).sum() / len(X)
    assert penal.evaluate(X, Y) - plain.evaluate(X, Y) == pytest.approx(wanted, rel=1e-4)


# Keras 3.15 on JAX gave these losses of three epochs from the same weights: batches of 8, SGD with rate 0.01.
KERAS = [1.2973650, 1.2833879, 1.2699425]


def penalised() -> Sequential:
    rng = np.random.default_rng(0)
    model = Sequential(
        [
            Dense(7, input_dim=5, activation="tanh", activity_regularizer="l2", kernel_regularizer="l1"),
            ActivityRegularization(l1=0.03),
            Dense(3, activation="softmax", activity_regularizer="l2"),
        ],
        seed=1,
    )
    model.compile("SGD", "categorical_crossentropy")
    model.build()
    model.set_weights([rng.normal(0, 0.4, weight.shape) for weight in model.get_weights()])
    return model


def test_activity_penalties_train_as_in_keras() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 5)).astype(np.float32)
    y = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 20)]
    history = penalised().fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], KERAS, rtol=1e-6)


@pytest.mark.parametrize("last", ["softmax", "linear", "sigmoid"])
def test_the_gradient_of_an_activity_penalty_is_its_slope(last: str) -> None:
    """Whether the last activation and the loss are one formula or not: a step of SGD follows the loss's slope."""
    loss = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}.get(last, "mse")
    layers = [Dense(4, input_dim=5, activation="tanh"), Dense(3, activation=last, activity_regularizer="l2")]
    model = Sequential([*layers, Flatten(activity_regularizer="l1")], seed=2)
    model.compile("SGD", loss)
    model.optimizer.learning_rate = rate = 0.01
    start = model.get_weights()
    model.fit(X, Y, batch_size=len(X), verbose=0)
    for number, (old, new) in enumerate(zip(start, model.get_weights(), strict=True)):
        place = (0,) * old.ndim
        slope, h = float((old[place] - new[place]) / rate), 1e-2
        sides = []
        for sign in (1, -1):
            moved = [array.copy() for array in start]
            moved[number][place] += sign * h
            model.set_weights(moved)
            sides.append(model.evaluate(X, Y))
        assert slope == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=2e-2, abs=2e-4)


def test_any_layer_takes_an_activity_penalty_and_keeps_it_in_its_config() -> None:
    layer = Dropout(0.5, activity_regularizer={"name": "l1", "config": {"l1": 0.5}})
    assert Dropout.from_config(layer.get_config()).activity_regularizer.get_config() == {"l1": 0.5}
    assert Dropout(0.5).get_config()["activity_regularizer"] is None
    assert "activity_regularizer" not in Dropout(0.5).stored_config()
    assert ActivityRegularization(l1=0.1).stored_config() == {"l1": 0.1}
    later = Activation("relu")
    later.activity_regularizer = "l2"
    again = Activation.from_config(later.get_config())
    assert again.activity_regularizer is not None
    assert again.activity_regularizer.unit_name == "l2"
