"""Warnings of models that cannot learn."""

from __future__ import annotations

import math
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from nbdl import Activation, Layer, Loss, Sequential, elementwise_pair, losses
from nbdl.activations import Relu
from nbdl.cli.app import app
from nbdl.errors import CannotLearnWarning, ConfigError, DataError, DivergenceError
from nbdl.layers import Activation as ActivationLayer
from nbdl.layers import (
    Dense,
    Dropout,
    Flatten,
    LayerNormalization,
    ReLU,
    RMSNormalization,
    Softmax,
    UnitNormalization,
)
from nbdl.units.elementwise import elementwise

X = np.random.default_rng(0).normal(size=(12, 4))
ONE = (X[:, 0] > 0.0).astype(float)
THREE = np.eye(3)[np.arange(12) % 3]


def said(layers: list[Layer], loss: Any) -> list[str]:
    """What `compile` warns of where the shapes are known, and `fit` where they are not; the same, and once."""
    found = []
    for shape in (None, 4):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always", CannotLearnWarning)
            model = Sequential([type(one).from_config(one.get_config()) for one in layers])
            if shape is not None:
                model.build(shape)
            model.compile("sgd", loss)
            assert bool(seen) <= (shape is not None)
            y = THREE if layers[0].units == 3 else ONE[:, None]
            y = np.ones((12, 1)) if loss == "categorical_crossentropy" and y.shape[1] == 1 else y
            for _ in range(2):
                with suppress(DivergenceError):
                    model.fit(X, y, verbose=0)
        found.append([str(one.message) for one in seen])
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("layers", "loss", "words"),
    [
        ([Dense(1, activation="softmax")], "binary_crossentropy", "'softmax' over a single output"),
        ([Dense(1, activation="softmax")], "mse", "'softmax' over a single output"),
        ([Dense(1), Softmax()], "mse", "'softmax' over a single output"),
        ([Dense(1, activation="sparsemax")], "mse", "'sparsemax' over a single output"),
        ([Dense(1)], "binary_crossentropy", "lie between -inf and inf.*'sigmoid', or the loss from_logits=True"),
        ([Dense(3)], "categorical_crossentropy", "takes probabilities.*'softmax', or the loss from_logits=True"),
        ([Dense(3, activation="relu")], "categorical_crossentropy", "after 'relu', lie between 0 and inf"),
        ([Dense(3), ReLU()], "kl_divergence", "after 'relu', lie between 0 and inf"),
        ([Dense(1, activation="tanh")], "binary_focal_crossentropy", "after 'tanh', lie between -1 and 1"),
        ([Dense(1), ActivationLayer("relu"), Flatten()], "binary_crossentropy", "after 'relu'"),
        ([Dense(1, activation="sigmoid")], "categorical_crossentropy", "compares the outputs of a row"),
        ([Dense(3), Softmax(), Dropout(0.2)], "categorical_crossentropy", "Dropout 'dropout_1' sets some .* to 0"),
        ([Dense(1, activation="sigmoid"), Dropout(0.2), Flatten()], "binary_crossentropy", "sets some .* to 0"),
        ([Dense(3, activation="softmax"), Softmax()], "categorical_crossentropy", "'softmax' to the outputs of Dense"),
        ([Dense(1, activation="sigmoid"), ActivationLayer("sigmoid")], "binary_crossentropy", "lie between 0 and 1"),
        ([Dense(1), UnitNormalization()], "mse", "UnitNormalization .* compares the features .* only one"),
        ([Dense(1), RMSNormalization(), Dense(1)], "mse", "RMSNormalization .* compares the features .* only one"),
        ([Dense(1), LayerNormalization()], "mse", "LayerNormalization .* compares the features .* only one"),
        ([Dense(1, activation="sigmoid")], "hinge", "by the sign, .* after 'sigmoid', are never negative"),
        ([Dense(1, activation="relu")], "squared_hinge", "by the sign, .* after 'relu', are never negative"),
    ],
)
def test_models_that_cannot_learn(layers: list[Layer], loss: str, words: str) -> None:
    (text,) = said(layers, loss)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(text)


@pytest.mark.parametrize(
    ("layers", "loss"),
    [
        ([Dense(1, activation="sigmoid")], "binary_crossentropy"),
        ([Dense(1)], losses.BinaryCrossentropy(from_logits=True)),
        ([Dense(1, activation="hard_sigmoid")], "binary_crossentropy"),
        ([Dense(1, activation=Relu(max_value=1.0))], "binary_crossentropy"),
        ([Dense(3, activation="softmax")], "binary_crossentropy"),
        ([Dense(3, activation="sigmoid")], "categorical_crossentropy"),
        ([Dense(3), Softmax()], "categorical_crossentropy"),
        ([Dense(1)], "hinge"),
        ([Dense(1, activation="tanh")], "squared_hinge"),
        ([Dense(1, activation="sigmoid"), Dropout(0.0)], "binary_crossentropy"),
        ([Dense(1), Dropout(0.2)], losses.BinaryCrossentropy(from_logits=True)),
        ([Dense(3, activation="softmax"), Dense(3, activation="softmax")], "categorical_crossentropy"),
        ([Dense(3, activation="relu"), Softmax()], "categorical_crossentropy"),
        ([Dense(3), LayerNormalization()], "mse"),
        ([Dense(1, activation="relu")], "mse"),
    ],
)
def test_models_that_can(layers: list[Layer], loss: Any) -> None:
    assert said(layers, loss) == []


def test_a_model_without_a_trainable_weight_is_warned_of_in_fit() -> None:
    model = Sequential([Dense(2, input_dim=4), Dense(1)], trainable=False)
    model.compile("sgd", "mse")
    for train in (lambda: model.fit(X, ONE, verbose=0), lambda: model.train_on_batch(X, ONE)):
        with pytest.warns(CannotLearnWarning, match="none of its weights is trainable"):
            train()
    model.layers[1].trainable = True
    with warnings.catch_warnings():
        warnings.simplefilter("error", CannotLearnWarning)
        model.evaluate(X, ONE, verbose=0)
        model.fit(X, ONE, verbose=0)


def f(x: float) -> float:
    return 2.0 * x if x > 0.0 else 0.0


def df(x: float, y: float) -> float:
    return 2.0 if x > 0.0 else 0.0


def test_units_of_third_parties_say_what_they_give_and_take() -> None:
    twice: Any = elementwise("activations", "twice", (f, df))()
    assert twice.output_range == (0.0, 2e4)

    class Odds(Loss):
        predictions = "probabilities"
        pairs = {"sigmoid": elementwise_pair(lambda y, z: z, lambda y, z: z)}

        def values(self, r: Any, y: Any, p: Any) -> Any:
            return r.mean(lambda y, p: (y - p) * (y - p), y, p)

    class Bounded(Layer):
        output_range = (0.0, 1.0)

        def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
            return x, None

    with pytest.warns(CannotLearnWarning, match=r"after 'twice', lie between 0 and inf.*'sigmoid'"):
        Sequential([Dense(1, activation=twice, input_dim=2)]).compile("sgd", Odds())
    with warnings.catch_warnings():
        warnings.simplefilter("error", CannotLearnWarning)
        Sequential([Dense(1, input_dim=2), Bounded()]).compile("sgd", Odds())
    assert Activation().output_range is None
    assert Dense(1).output_range == (-math.inf, math.inf)


class Passing(Layer):
    """A third party's layer that gives what it takes; what it says of itself is set by each test."""

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return x, None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return dy


def saying(**traits: Any) -> Layer:
    layer: Layer = type("Passing", (Passing,), traits)()
    return layer


def test_a_layer_of_integers_says_their_limit() -> None:
    model = Sequential([saying(moves_only=True), saying(input_limit=5), Dense(1)])
    model.compile("sgd", "mse")
    model.fit([[0], [4]], [0, 1], verbose=0)
    with pytest.raises(DataError, match="the first layer takes integers from 0 to 4"):
        model.fit([[0], [5]], [0, 1], verbose=0)
    with pytest.raises(ConfigError, match="takes integers, which a layer before it does not give"):
        Sequential([saying(), saying(input_limit=5)]).build(1)


@pytest.mark.parametrize("rescales", [True, False])
def test_a_layer_says_that_it_rescales_its_inputs(rescales: bool) -> None:
    model = Sequential([saying(moves_only=True), saying(rescales=rescales), Dense(1)])
    model.compile("sgd", "mse")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.predict(np.linspace(0, 255, 32).astype(np.uint8).reshape(2, 16), verbose=0)
    assert any("pixels that are not scaled" in str(one.message) for one in seen) is not rescales


@pytest.mark.parametrize(
    ("traits", "words"),
    [
        ({"compares_features": True}, "compares the features of a row with one another"),
        ({"zeroes": True}, "sets some of the outputs to 0 while training"),
        ({"moves_only": True}, "the outputs of Dense 'd' lie between -inf and inf"),
    ],
)
def test_a_third_partys_layer_is_warned_of_by_what_it_says(traits: dict[str, Any], words: str) -> None:
    with pytest.warns(CannotLearnWarning, match=words):
        Sequential([Dense(1, input_dim=2, name="d"), saying(**traits)]).compile("sgd", "binary_crossentropy")


def test_a_layer_may_stand_for_an_activation_or_an_input() -> None:
    layer = saying(activates_only=True)
    layer.activation = Relu()
    assert Dense(1, activation=layer).activation is layer.activation
    with pytest.raises(ConfigError, match="does more than apply an activation"):
        Dense(1, activation=saying())
    entrance = saying(declares_input=True)
    entrance.set_input_shape(3)
    assert Sequential([entrance, Dense(1)]).input_shape == (3,)


@pytest.mark.parametrize(
    ("function", "found"),
    [(lambda x: x**0.5, (0.0, 100.0)), (lambda x: x if x > 0.0 else math.nan, (1e-3, 1e4)), (lambda x: "", None)],
)
def test_a_function_is_tried_where_it_has_values(function: Any, found: Any) -> None:
    made: Any = elementwise("activations", "partial", (function, df))()
    assert made.output_range == (None if found is None else pytest.approx(found))


def test_the_command_line_says_so(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b,y\n" + "".join(f"{a:.3f},{b:.3f},{a + b:.3f}\n" for a, b, *_ in np.tile(X, (5, 1))))
    arguments = ["train", str(table), "--target", "y", "--arch", "2-8:relu-1:softmax", "--epochs", "1", "-o"]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = CliRunner().invoke(app, [*arguments, str(tmp_path / "m.nbdl")])
    assert result.exit_code == 0, result.output
    assert "This model cannot learn as it should" in " ".join(result.output.split())
