"""What Keras users read from models and layers: `Input` among the layers, attributes before `build` and `compile`."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Sequential, load_model
from nbdl.errors import ConfigError, MissingError
from nbdl.layers import Activation, Dense, Dropout, Input, InputLayer

X = np.arange(12, dtype=np.float32).reshape(3, 4) / 12
OLD = Path(__file__).parent / "formats" / "0.1.0"


def small() -> Sequential:
    """A built model whose input shape an Input tells."""
    return Sequential([Input((4,)), Dense(3, activation="tanh"), Dense(1)], seed=1)


# -- Input --------------------------------------------------------------------------------------------------


def test_an_input_is_none_of_the_layers() -> None:
    model = small()
    assert [type(layer) for layer in model.layers] == [Dense, Dense]
    assert model.get_layer(index=0) is model.layers[0]
    model.layers[0].trainable = False
    assert [weight.name for weight in model.trainable_weights] == ["dense_2/kernel", "dense_2/bias"]
    assert len(model.layers[0].get_weights()) == 2
    with pytest.raises(ConfigError, match="dense_1, dense_2"):
        model.get_layer("input_1")


def test_an_input_stays_when_layers_go() -> None:
    model = small()
    last = model.pop()
    model.pop()
    assert (model.layers, model.input_shape, model.weights) == ([], (4,), [])
    with pytest.raises(ConfigError, match="no layers"):
        model.pop()
    model.add(last)
    assert model.output_shape == (1,)


def test_an_input_survives_its_config() -> None:
    model = small()
    again = Sequential.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert len(again.layers) == 2
    assert [one["name"] for one in model.get_config()["layers"]] == ["Input", "Dense", "Dense"]


def test_an_input_is_not_in_the_summary() -> None:
    lines: list[str] = []
    small().summary(print_fn=lines.append)
    assert not any("Input" in line for line in lines)


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (lambda: [Input((4,)), Input((4,))], r"inputs of shape \(4,\) already"),
        (lambda: [Input((4,)), Dense(3), Input((3,))], r"inputs of shape \(4,\) already"),
        (lambda: [Dense(3, input_dim=4), Input((3,))], r"inputs of shape \(4,\) already"),
        (lambda: [Dense(3), Input((3,))], "before all layers"),
    ],
)
def test_a_model_has_one_input(layers: Callable[[], list[Any]], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Sequential(layers())


@pytest.mark.parametrize(
    ("name", "predictions"),
    [
        ("input", [[0.0922374352812767], [0.10420079529285431], [0.09732998162508011]]),
        ("inputs", [[0.09458374232053757], [0.10864320397377014], [0.10381002724170685]]),
    ],
)
def test_files_of_older_versions_with_inputs_load(name: str, predictions: list[list[float]], tmp_path: Path) -> None:
    model = load_model(OLD / f"{name}.nbdl")
    assert not any(isinstance(layer, Input) for layer in model.layers)
    np.testing.assert_allclose(model.predict(X), predictions, rtol=1e-6)
    model.save(tmp_path / "again.nbdl")
    assert np.array_equal(load_model(tmp_path / "again.nbdl").predict(X), model.predict(X))


@pytest.mark.parametrize(
    "made",
    [
        lambda: Input(4),
        lambda: Input((4,), 32),
        lambda: Input(batch_shape=(None, 4)),
        lambda: InputLayer(input_shape=(4,)),
        lambda: InputLayer(batch_input_shape=(32, 4)),
        lambda: Dense(2, batch_input_shape=(None, 4)),
    ],
)
def test_spellings_of_an_input_shape(made: Callable[[], Any]) -> None:
    layer = made()
    assert layer.input_shape == (4,)
    assert type(layer).from_config(layer.get_config()).input_shape == (4,)


def test_a_shape_with_the_rows_begins_with_them() -> None:
    with pytest.raises(ConfigError, match=r"\(None, 4\)"):
        Dense(2, batch_input_shape=(4,))
    with pytest.raises(TypeError, match="only one of"):
        Dense(2, batch_input_shape=(None, 4), input_dim=4)


# -- before build and compile -------------------------------------------------------------------------------


def test_a_model_that_is_not_built() -> None:
    model = Sequential([Dense(3)])
    assert (model.built, model.loss, model.metrics, model.metrics_names) == (False, None, [], [])
    for name in ("weights", "trainable_weights", "non_trainable_weights", "variables", "trainable_variables",
                 "non_trainable_variables"):  # fmt: skip
        assert getattr(model, name) == []
        assert getattr(model.layers[0], name) == []
    assert model.get_weights() == model.layers[0].get_weights() == []
    for name in ("optimizer", "output_shape"):
        assert not hasattr(model, name)
        assert getattr(model, name, 7) == 7
    assert getattr(model.layers[0], "output_shape", 7) == 7
    assert not model.layers[0].built


@pytest.mark.parametrize(
    "wanted",
    [
        lambda model, path: model.count_params(),
        lambda model, path: model.set_weights([]),
        lambda model, path: model.save_weights(path),
        lambda model, path: model.save(path),
        lambda model, path: model.layers[0].count_params(),
    ],
)
def test_what_needs_weights_says_so(wanted: Callable[[Sequential, Path], Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="input"):
        wanted(Sequential([Dense(3)]), tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_missing_attribute_says_what_to_do() -> None:
    model = Sequential([Dense(3)])
    with pytest.raises(MissingError, match=r"compile\("):
        _ = model.optimizer
    with pytest.raises(MissingError, match="input_dim"):
        _ = model.output_shape


def test_the_summary_of_a_model_that_is_not_built() -> None:
    lines: list[str] = []
    Sequential([Dense(3)]).summary(print_fn=lines.append)
    assert lines[4].split() == ["dense_1", "(Dense)", "?", "unbuilt"]


@pytest.mark.parametrize("wanted", ["fit", "evaluate", "predict", "__call__", "train_on_batch", "as_njit", "explain"])
def test_a_model_without_layers_does_nothing(wanted: str) -> None:
    model = Sequential()
    model.compile("sgd", "mse")
    given = {"as_njit": [], "explain": [], "predict": [X], "__call__": [X]}.get(wanted, [X, X])
    with pytest.raises(ConfigError, match="no layers"):
        getattr(model, wanted)(*given)
    with pytest.raises(ConfigError, match="no layers"):
        model.build((None, 4))
    assert model.input_shape is None


def test_a_model_without_layers_has_a_file(tmp_path: Path) -> None:
    Sequential(name="nothing").save(tmp_path / "empty.nbdl")
    assert load_model(tmp_path / "empty.nbdl").layers == []


# -- once built ---------------------------------------------------------------------------------------------


def test_shapes_of_layers() -> None:
    model = small()
    assert [layer.output_shape for layer in model.layers] == [(3,), (1,)]
    assert all(layer.built for layer in model.layers)
    assert model.compute_output_shape((None, 4)) == (None, 1)
    assert Sequential([Dense(3)]).compute_output_shape((32, 4)) == (None, 3)
    layer = Dense(3)
    assert layer.compute_output_shape((None, 4)) == (None, 3)
    assert not layer.built
    with pytest.raises(ConfigError, match=r"\(None, 4\)"):
        layer.compute_output_shape(4)


def test_weights_as_keras_shows_them() -> None:
    weight = small().trainable_variables[0]
    assert (weight.path, weight.shape, weight.dtype) == ("dense_1/kernel", (4, 3), "float32")
    weight.assign(np.ones((4, 3)))
    assert np.array_equal(weight.numpy(), np.ones((4, 3)))
    assert np.asarray(weight).sum() == 12
    with pytest.raises(ConfigError, match="shape"):
        weight.assign(np.ones(3))


def test_layers_outlive_their_model(tmp_path: Path) -> None:
    model = small()
    kernel = model.get_weights()[0]
    model.save(tmp_path / "model.nbdl")
    del model
    layer = load_model(tmp_path / "model.nbdl").layers[0]
    gc.collect()
    assert np.array_equal(layer.get_weights()[0], kernel)
    assert layer.count_params() == 15
    layer.set_weights([kernel + 1, np.zeros(3)])
    assert np.array_equal(layer.weights[0].numpy(), kernel + 1)


def test_a_layer_that_is_taken_out_keeps_its_weights() -> None:
    model = small()
    layer = model.pop()
    kernel = layer.get_weights()[0]
    other = Sequential([Input((3,)), layer], seed=2)
    assert np.array_equal(other.get_weights()[0], kernel)


def test_metrics_are_the_units() -> None:
    model = Sequential([Input((4,)), Dropout(0.5), Activation("relu")])
    model.compile("sgd", "mse", metrics=["mae", nbdl.metrics.Accuracy(name="hits")])
    assert [metric.unit_name for metric in model.metrics] == ["mean_absolute_error", "accuracy"]
    assert model.metrics_names == ["loss", "mae", "hits"]


def test_a_weight_is_set_to_numbers_of_its_shape() -> None:
    weight = Sequential([Dense(2, input_dim=1)]).weights[0]
    weight.assign([[1, 2]])
    for wrong in ([1.0, 2.0], [["a", "b"]], None):
        with pytest.raises(ConfigError, match=weight.name):
            weight.assign(wrong)
    np.testing.assert_array_equal(weight.numpy(), [[1.0, 2.0]])


def test_layers_of_a_built_model_tell_the_shape_of_their_inputs() -> None:
    model = Sequential([Dense(3), Dense(2)])
    assert [layer.input_shape for layer in model.layers] == [None, None]
    model.build((None, 4))
    assert [layer.input_shape for layer in model.layers] == [(4,), (3,)]
    assert [layer.input_shape for layer in copy.deepcopy(model).layers] == [(4,), (3,)]
    for layer in model.layers:  # it was not given, so neither configs nor files have it
        assert "input_shape" not in layer.get_config()
        assert type(layer).from_config(layer.get_config()).input_shape is None
    assert Sequential.from_config(model.get_config()).layers[0].get_config() == model.layers[0].get_config()
    model.pop()
    model.add(Dense(5))
    assert model.layers[1].input_shape == (3,)


# -- what is missing ----------------------------------------------------------------------------------------


def missing() -> list[Any]:
    """The attributes that `scripts/parity/missing.md` lists, by model or layer."""
    page = (Path(__file__).parent.parent / "scripts" / "parity" / "missing.md").read_text(encoding="utf-8")
    found = []
    for part in page.split("\n## ")[1:]:
        kind, *lines = part.splitlines()
        for line in lines[4:]:
            names, _, reason = line.strip("| ").partition(" | ")
            found += [
                pytest.param(kind, name, reason, id=f"{kind}.{name}")
                for name in names.replace("`", "").split(", ")
                if name and "(" not in name
            ]
    return found


@pytest.mark.parametrize(("kind", "name", "reason"), missing())
def test_what_is_missing_from_keras_says_what_to_use(kind: str, name: str, reason: str) -> None:
    x = Input(shape=(4,))
    dense = Dense(3)
    model = nbdl.Model(x, dense(x))
    model.compile("adam", "mse")
    with pytest.raises(AttributeError) as caught:
        getattr(model if kind == "Model" else dense, name)
    assert reason
    assert str(caught.value).endswith(reason)
