"""Units by themselves: their config with defaults, arguments as attributes, names, pickles and copies."""

from __future__ import annotations

import copy
import inspect
import io
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Sequential, activations, constraints, initializers, load_model, losses, metrics, optimizers
from nbdl import regularizers as regularizing
from nbdl.errors import ConfigError
from nbdl.layers import ELU, Activation, Dense, LeakyReLU, PReLU, ReLU, Softmax
from nbdl.units.constructor import lacking
from nbdl.units.entry import Entry
from nbdl.units.registry import registry

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def units() -> Iterator[Any]:
    """Every unit that is a class, with the arguments of its examples and with its defaults."""
    for entry in registry.entries():
        if isinstance(entry.target, type):
            given = [*entry.options.get("examples", ())]
            if not any(one.default is one.empty for one in _arguments(entry)):
                given.append({})
            yield from (pytest.param(entry, one, id=f"{entry.kind}/{entry.name}{one or ''}") for one in given)


def _arguments(entry: Entry) -> list[inspect.Parameter]:
    parameters = inspect.signature(entry.target).parameters.values()
    return [one for one in parameters if one.name not in lacking(entry.target)]


@pytest.mark.parametrize(("entry", "given"), list(units()))
def test_every_unit_is_copied_and_has_its_arguments(entry: Entry, given: dict[str, Any]) -> None:
    unit = entry.target(**given)
    for made in (pickle.loads(pickle.dumps(unit)), copy.copy(unit), copy.deepcopy(unit)):
        assert type(made) is type(unit)
        assert repr(made) == repr(unit)
        assert made.get_config() == unit.get_config()
    again = type(unit).from_config(unit.get_config())
    assert again.get_config() == unit.get_config()
    for argument in _arguments(entry):
        assert getattr(unit, argument.name, unit) is not unit, argument.name
        plain = argument.default is None or isinstance(argument.default, str | int | float | bool)
        if plain and argument.name not in ("input_shape", "input_dim"):
            assert argument.name in unit.get_config()


def test_arguments_are_attributes() -> None:
    assert (ReLU(6.0).max_value, ReLU().negative_slope, ReLU().threshold) == (6.0, 0.0, 0.0)
    assert (LeakyReLU(0.1).negative_slope, LeakyReLU(alpha=0.1).alpha, ELU(2.0).alpha) == (0.1, 0.1, 2.0)
    assert (regularizing.L1(0.1).l1, regularizing.L1L2(0.1, 0.2).l2, losses.Huber(2.0).delta) == (0.1, 0.2, 2.0)
    assert (losses.Huber().delta, losses.BinaryFocalCrossentropy().gamma, Softmax().activation.axis) == (1.0, 2.0, -1)
    assert metrics.Precision(thresholds=0.3).thresholds == 0.3
    with pytest.raises(AttributeError, match="no attribute 'deltas'"):
        _ = losses.Huber().deltas


def test_names_of_units() -> None:
    assert (optimizers.Adam().name, optimizers.AdamW().name, optimizers.SGD(name="mine").name) == (
        "adam", "adamw", "mine",
    )  # fmt: skip
    assert (losses.mse().name, losses.mse(name="mine").name) == ("mean_squared_error", "mine")
    assert (metrics.BinaryAccuracy().name, metrics.BinaryAccuracy(name="hits").name) == ("binary_accuracy", "hits")
    model = Sequential([Dense(1, input_dim=3)])
    model.compile("sgd", "mse", metrics=["mae", metrics.mae(), metrics.mae(name="mine"), losses.mae()])
    assert model.metrics_names == ["loss", "mae", "mean_absolute_error", "mine", "mean_absolute_error_1"]


def test_files_hold_what_was_given() -> None:
    assert Dense(3).get_config()["use_bias"] is True
    model = Sequential([Dense(3, activation="relu", input_dim=3, name="first")], seed=1)
    assert model.get_config()["layers"] == [
        {"name": "Dense", "config": {"units": 3, "activation": "relu", "name": "first", "input_shape": [3]}}
    ]


def test_a_config_with_defaults_is_the_same_program() -> None:
    """The formula of softmax and its loss in one is taken where the arguments are the defaults, given or not."""
    given = Dense.from_config(Dense(2, activation=activations.Softmax(axis=-1), input_dim=3).get_config())
    programs = []
    for layer in (Dense(2, activation="softmax", input_dim=3), given):
        model = Sequential([layer], seed=1)
        model.compile("sgd", "categorical_crossentropy")
        text: list[str] = []
        model.explain(print_fn=text.append)
        programs.append([line.split()[1:] for line in text])
    assert programs[0] == programs[1]


# -- activations that are layers or functions ---------------------------------------------------------------


def f(x: float) -> float:
    return 0.1 * x * x


def df(x: float, y: float) -> float:
    return 0.2 * x


@pytest.mark.parametrize("layer", [LeakyReLU(0.1), ReLU(6.0), Activation("tanh"), Softmax(), ELU()])
def test_a_layer_as_an_activation(layer: Any, tmp_path: Path) -> None:
    inside = Sequential([Dense(4, activation=layer, input_dim=3), Dense(2)], seed=1)
    after = Sequential([Dense(4, input_dim=3), type(layer).from_config(layer.get_config()), Dense(2)], seed=1)
    assert np.array_equal(inside.predict(X), after.predict(X))
    inside.save(tmp_path / "model.nbdl")
    assert np.array_equal(load_model(tmp_path / "model.nbdl").predict(X), inside.predict(X))
    assert Dense.from_config(inside.layers[0].get_config()).get_config() == inside.layers[0].get_config()


@pytest.mark.parametrize("layer", [PReLU(), Dense(3), ReLU(activity_regularizer="l2")])
def test_a_layer_that_does_more_is_no_activation(layer: Any) -> None:
    with pytest.raises(ConfigError, match="next layer"):
        Dense(4, activation=layer)


def test_functions_as_an_activation() -> None:
    x, y = X, X[:, :2]
    nbdl.register("small_square", f, df)
    results = []
    for activation in ((f, df), "small_square"):
        model = Sequential([Dense(4, activation=activation, input_dim=3), Dense(2)], seed=1)
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=2, verbose=0)
        results.append(model.predict(x))
    assert np.array_equal(*results)
    model.layers[1].activation = (lambda x: 2.0 * x, lambda x, y: 2.0)
    assert model.layers[1].activation.name == "<lambda>"


def test_functions_of_one_model_are_not_saved(tmp_path: Path) -> None:
    model = Sequential([Activation((lambda x: 3.0 * x, lambda x, y: 3.0), input_shape=(3,))])
    with pytest.raises(ConfigError, match=r"nbdl\.register"):
        model.save(tmp_path / "model.nbdl")


def square(x: float) -> float:
    return x * x


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (lambda x: 2.0 * math.gamma(x), r"math.gamma, whose derivative is not known.* as a pair activation=\(f, df\)"),
        (lambda: 1.0, r"a function f\(x\) of numbers is wanted"),
        ((square,), "1 function"),
        ((square, square), "at least 2"),
        ((np.tanh, df), "plain Python functions"),
        (128, r"Dense\(128, input_dim=4\)"),
    ],
)
def test_what_is_no_activation(given: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Dense(4, given)


def test_a_plain_function_is_an_activation() -> None:
    layer = Dense(4, activation=square)
    assert layer.activation.functions[0] is square
    assert pickle.loads(pickle.dumps(layer)).activation.functions == layer.activation.functions
    rows = np.random.default_rng(0).normal(size=(32, 3))
    weights = []
    for activation in (square, (square, lambda x, y: 2.0 * x), lambda x: x * x):
        model = Sequential([Dense(4, activation=activation, input_dim=3), Dense(1)], seed=1)
        model.compile("sgd", "mse")
        model.fit(rows, rows.sum(1), epochs=3, verbose=0)
        weights.append(model.get_weights()[0])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6)
    np.testing.assert_array_equal(weights[0], weights[2])


def test_a_function_that_is_registered_is_its_unit() -> None:
    found = Dense(2, activation=registry.get("activations", "tanh").target.functions[0])
    assert found.activation.unit_name == "tanh"


def test_a_wrong_derivative_is_warned_of_at_the_users_line() -> None:
    with pytest.warns(UserWarning, match="not the derivative") as caught:
        Dense(2, activation=(square, df))
    assert caught[0].filename == __file__


# -- pickles of this session's units ------------------------------------------------------------------------


def test_units_of_this_session_are_pickled_by_their_functions() -> None:
    unit = nbdl.register("another_square", square, lambda x, y: 2.0 * x)()
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(unit)
    again = pickle.loads(pickle.dumps(Dense(2, activation=(f, df)))).activation
    assert again.functions == (f, df)


def test_a_subclass_of_a_unit_of_functions_is_pickled_as_itself() -> None:
    again = pickle.loads(pickle.dumps(Doubled(name="mine")))
    assert type(again) is Doubled
    assert again.name == "mine"


class Doubled(losses.mse):  # type: ignore[misc]
    """A loss in a module."""


def test_a_unit_that_is_not_there_is_named() -> None:
    content = pickle.dumps(constraints.NonNeg()).replace(b"non_neg", b"non_nog")
    with pytest.raises(ConfigError, match="unknown constraint 'non_nog'"):
        pickle.loads(content)


def test_joblib_takes_units() -> None:
    joblib = pytest.importorskip("joblib")
    buffer = io.BytesIO()
    joblib.dump(Dense(2, kernel_regularizer="l2"), buffer)
    buffer.seek(0)
    assert joblib.load(buffer).kernel_regularizer.unit_name == "l2"
    assert initializers.Zeros().get_config() == {}


# -- serialize and deserialize ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "unit"),
    [
        (losses, losses.Huber(2.0)),
        (losses, losses.mse()),
        (metrics, metrics.Precision(thresholds=0.3)),
        (optimizers, optimizers.Adam(0.1)),
        (optimizers, optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))),
        (optimizers.schedules, optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
        (regularizing, regularizing.L1L2(0.1, 0.2)),
        (constraints, constraints.MaxNorm(1.5)),
        (initializers, initializers.Constant(2.0)),
        (nbdl.layers, Dense(3, activation=LeakyReLU(0.1), kernel_regularizer="l2")),
        (activations, activations.relu(max_value=6.0)),
    ],
)
def test_serialize_and_back(module: Any, unit: Any) -> None:
    config = module.serialize(unit)
    assert config.keys() == {"class_name", "config"}
    assert config["class_name"][0].isupper()
    for again in (module.deserialize(config), module.get(config)):
        assert type(again) is type(unit)
        assert again.get_config() == unit.get_config()


def test_serialize_in_keras_forms() -> None:
    assert activations.serialize(activations.relu()) == activations.serialize("relu") == "relu"
    assert losses.serialize("mse")["class_name"] == "MeanSquaredError"
    assert losses.deserialize("mse").unit_name == "mean_squared_error"
    given = {"class_name": "Dense", "config": {"units": 2, "kernel_initializer": {"class_name": "Ones", "config": {}}}}
    assert nbdl.layers.deserialize(given).kernel_initializer.unit_name == "ones"
    function = {"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}
    assert activations.deserialize(function).unit_name == "relu"
    assert nbdl.layers.serialize(None) is None
    with pytest.raises(ConfigError, match=r"nbdl\.register"):
        losses.deserialize("mse", custom_objects={"mse": square})


@pytest.mark.parametrize(
    "unit",
    [
        nbdl.losses.MeanSquaredError, nbdl.losses.mean_squared_error, nbdl.losses.BinaryCrossentropy,
        nbdl.metrics.MeanSquaredError, nbdl.metrics.BinaryCrossentropy, nbdl.activations.relu, nbdl.layers.Dense,
        type(nbdl.regularizers.L2(0.1)), type(nbdl.activations.get("gelu")), Doubled,
    ],
)  # fmt: skip
def test_classes_of_units_are_pickled_by_name(unit: Any) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(unit, protocol)) is unit
    assert copy.copy(unit) is copy.deepcopy(unit) is unit
    assert pickle.loads(pickle.dumps({unit: [unit]})) == {unit: [unit]}


def test_classes_of_this_sessions_functions_are_pickled_by_these() -> None:
    unit = type(Dense(2, activation=(f, df)).activation)
    assert pickle.loads(pickle.dumps(unit)).functions == (f, df)
