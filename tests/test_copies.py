"""Copies of models: deepcopy, pickle, joblib and clone_model; classes, attributes and references stay."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Sequential, optimizers
from nbdl.errors import ConfigError
from nbdl.layers import Activation, Dense, Dropout, Input
from nbdl.models import clone_model

X = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
Y = X[:, :1]


class Scaled(Sequential):
    """A model with a constructor, attributes and methods of its own."""

    def __init__(self, scale: float) -> None:
        super().__init__(seed=3)
        self.scale = scale
        self.hidden = Dense(5, activation="tanh", input_dim=4)
        for layer in (self.hidden, Dropout(0.2), Dense(1)):
            self.add(layer)
        self.rule = optimizers.Adam(0.01)
        self.compile(self.rule, "mse", metrics=["mae"])
        self.notes = {"first": [self.hidden], "me": self}

    def scaled(self, x: Any) -> np.ndarray:
        return self.scale * self.predict(x)


def with_joblib(model: Any) -> Any:
    joblib = pytest.importorskip("joblib")
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


WAYS: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": with_joblib,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_subclass_stays_what_it_is(way: str) -> None:
    model = Scaled(3.0)
    model.fit(X, Y, epochs=2, verbose=0)
    made = WAYS[way](model)
    assert type(made) is Scaled
    assert np.array_equal(made.scaled(X), model.scaled(X))
    assert made.hidden is made.layers[0] is made.notes["first"][0]
    assert made.layers[0] is not model.layers[0]
    assert made.notes["me"] is made
    assert made.rule is made.optimizer
    assert made.rule is not model.rule
    assert made.rule.iterations == model.rule.iterations == 2
    for one in (made, model):
        one.fit(X, Y, epochs=2, verbose=0)
    assert np.array_equal(made.predict(X), model.predict(X))
    assert made.rule.iterations == 4


@pytest.mark.parametrize("way", WAYS)
def test_a_plain_model_keeps_its_attributes(way: str) -> None:
    model = Sequential([Input((4,)), Dense(1)], seed=1)
    model.note = ["read me", model.layers[0]]  # type: ignore[attr-defined]
    made = WAYS[way](model)
    assert made.note == ["read me", made.layers[0]]
    assert made.get_config() == model.get_config()


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_is_not_built_is_copied(way: str) -> None:
    made = WAYS[way](Sequential([Dense(2)], name="later", seed=1))
    assert (made.name, made.built, len(made.layers)) == ("later", False, 1)
    assert WAYS[way](Sequential()).layers == []


def test_a_layer_used_twice_is_copied_once() -> None:
    shared = Dense(4)
    model = Sequential([Input((4,)), shared, shared], seed=1)
    made = copy.deepcopy(model)
    assert made.layers[0] is made.layers[1]
    assert np.array_equal(made.predict(X), model.predict(X))


@pytest.mark.parametrize("way", WAYS)
def test_a_copied_layer_has_the_values(way: str) -> None:
    model = Sequential([Input((4,)), Dense(3), Dense(1)], seed=1)
    kernel = model.get_weights()[0]
    layer = WAYS[way](model.layers[0])
    assert layer.built
    layer.weights[0].assign(kernel + 1)
    assert np.array_equal(model.get_weights()[0], kernel)
    layer.name = "another"
    other = Sequential([Input((4,)), layer], seed=2)
    assert np.array_equal(other.get_weights()[0], kernel + 1)
    assert [weight.name for weight in other.weights] == ["another/kernel", "another/bias"]
    assert repr(other.weights[0]) == "<Weight another/kernel, shape=(4, 3)>"


def test_weights_of_one_last_name_are_told_apart() -> None:
    class Heads(nbdl.Layer):
        def build(self, b: Any, shape: Any) -> Any:
            b.weight("query/kernel", (2, 2), "glorot_uniform")
            b.weight("key/kernel", (2, 2), "glorot_uniform")
            return shape

        def forward(self, r: Any, x: Any) -> Any:
            return x, None

    model = Sequential([Heads(input_dim=2)])
    before = model.get_weights()
    model.add(Dense(1))
    for weights in (model.get_weights(), copy.deepcopy(model).get_weights()):
        for value, wanted in zip(weights, before, strict=False):
            np.testing.assert_array_equal(value, wanted)


def test_what_pickle_cannot_find_is_named() -> None:
    class Local(Sequential):
        pass

    assert type(copy.deepcopy(Local([Dense(1)]))) is Local
    with pytest.raises((pickle.PicklingError, AttributeError), match="Local"):
        pickle.dumps(Local([Dense(1)]))
    model = Sequential([Dense(1)])
    model.function = lambda: 1  # type: ignore[attr-defined]
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(model)


def test_functions_of_a_models_own_are_copied() -> None:
    layer = Dense(2, activation=(lambda x: 2.0 * x, lambda x, y: 2.0), input_dim=4)
    model = Sequential([layer], seed=1)
    assert np.array_equal(copy.deepcopy(model).predict(X), model.predict(X))
    with pytest.raises(ConfigError, match=r"nbdl\.register"):
        pickle.dumps(model)


# -- clone_model --------------------------------------------------------------------------------------------


def test_a_clone_is_a_new_model() -> None:
    model = Scaled(2.0)
    clone = clone_model(model)
    assert type(clone) is Sequential
    assert (clone.compiled, clone.input_shape) == (None, (4,))
    assert clone.get_config() == model.get_config() | {"seed": clone.seed}
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
    late = Sequential([Dense(2)])
    late.build((None, 3))
    assert clone_model(late).built
    assert clone_model(Sequential([Dense(2)])).layers[0].name == "dense_1"


def test_a_clone_of_other_layers() -> None:
    model = Sequential([Input((4,)), Dense(3), Dense(3)])
    clone = clone_model(model, clone_function=lambda layer: Activation("relu", name=f"new_{layer.name}"))
    assert [layer.name for layer in clone.layers] == ["new_dense_1", "new_dense_2"]
    assert clone.input_shape == (4,)
    with pytest.raises(ConfigError, match="input_tensors"):
        clone_model(model, [1])  # type: ignore[arg-type]


# -- methods that nothing calls -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["test_step", "predict_step", "call", "compute_loss", "build_from_config"])
def test_a_method_of_kerass_model_that_nothing_calls_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"Mine.{name}: nbdl never calls"):
        type("Mine", (Sequential,), {name: lambda self: None})
    mixin = type("Mixin", (), {name: lambda self: None})
    with pytest.raises(ConfigError, match="never calls"):
        type("Mine", (mixin, Sequential), {})
    with pytest.raises(ConfigError, match="never calls"):
        setattr(Sequential(), name, lambda: None)


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (Dense, "call"),
        (nbdl.Layer, "compute_output_shape"),
        (nbdl.losses.Huber, "call"),
        (nbdl.metrics.Precision, "update_state"),
        (optimizers.Adam, "update_step"),
        (nbdl.regularizers.L1L2, "__call__"),
        (nbdl.constraints.NonNeg, "__call__"),
    ],
)
def test_a_method_of_kerass_units_that_nothing_calls_is_refused(base: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=f"Mine.{name}: nbdl never calls '{name}'; "):
        type("Mine", (base,), {name: lambda self, *given: None})


def test_methods_that_are_called_may_be_written() -> None:
    class Mine(Sequential):
        def fit(self, *given: Any, **more: Any) -> Any:
            return super().fit(*given, **more)

        def step(self) -> int:
            return 1

    assert Mine().step() == 1
