"""Keras's arguments: those that change nothing here are taken, the others are refused with what to do instead."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import nbdl
from nbdl import Sequential, load_model
from nbdl.callbacks import ModelCheckpoint
from nbdl.errors import ConfigError, FileFormatError, PluginError
from nbdl.layers import Dense, Input
from nbdl.units.arguments import Range

X = np.ones((8, 4), np.float32)
Y = np.zeros((8, 1), np.float32)


def compiled() -> Sequential:
    model = Sequential([Input((4,)), Dense(1)], seed=1)
    model.compile("sgd", "mse")
    return model


HARMLESS: dict[str, Callable[[Sequential, Path], Any]] = {
    "load": lambda m, p: load_model(filepath=_saved(m, p), custom_objects=None, safe_mode=True),
    "call": lambda m, p: m(X, training=False, mask=None),
    "save": lambda m, p: m.save(filepath=p, overwrite=True, include_optimizer=True, save_format=None, zipped=None),
    "save_model": lambda m, p: nbdl.models.save_model(m, filepath=p, overwrite=True, signatures=None, options=None),
    "save_weights": lambda m, p: m.save_weights(p, overwrite=True),
    "load_weights": lambda m, p: m.load_weights(_saved(m, p), by_name=True, skip_mismatch=False),
    "compile": lambda m, p: m.compile("sgd", "mse", loss_weights=None, run_eagerly=False, jit_compile="auto"),
    "compile 2": lambda m, p: m.compile("sgd", "mse", sample_weight_mode=None, target_tensors=None),
    "fit": lambda m, p: m.fit(X, Y, verbose=0, workers=1, use_multiprocessing=False, max_queue_size=10),
    "fit 4": lambda m, p: m.fit(X, Y, verbose=0, workers=4, use_multiprocessing=True, max_queue_size=3),
    "fit 5": lambda m, p: m.fit(X, Y, verbose=0, nb_worker=4, pickle_safe=True, max_q_size=3),
    "compile 3": lambda m, p: m.compile("sgd", "mse", steps_per_execution=2, jit_compile=True, auto_scale_loss=False),
    "compile 4": lambda m, p: m.compile("sgd", "mse", None, ["mae"], None, False, 32, False, True),
    "optimizer": lambda m, p: nbdl.optimizers.SGD(0.1, jit_compile=False),
    "fit 0": lambda m, p: m.fit(X, Y, verbose=0, show_accuracy=False),
    "evaluate": lambda m, p: m.evaluate(X, Y, verbose=0, workers=1, use_multiprocessing=False),
    "predict": lambda m, p: m.predict(X, verbose=0, workers=1, max_queue_size=10),
    "summary": lambda m, p: m.summary(positions=None, expand_nested=True, show_trainable=False, print_fn=[].append),
    "add": lambda m, p: m.add(Dense(1), rebuild=True),
    "pop": lambda m, p: m.pop(rebuild=True),
    "summary 3": lambda m, p: m.summary(None, None, None),
    "name": lambda m, p: Sequential(name=None).name.lower(),
    "clone": lambda m, p: nbdl.models.clone_model(m, call_function=None, recursive=False),
    "to_categorical": lambda m, p: nbdl.utils.to_categorical(x=[0, 1], num_classes=2),
    "reset_metrics": lambda m, p: m.reset_metrics(),
    "json 3": lambda m, p: nbdl.models.model_from_json(json_string=m.to_json()),
    "json": lambda m, p: nbdl.models.model_from_json(m.to_json(), custom_objects=None),
    "config": lambda m, p: Sequential.from_config(m.get_config(), custom_objects={}),
    "layer": lambda m, p: Dense(3, dtype="float32", weights=None, batch_input_shape=(None, 4)),
    "input": lambda m, p: Input((4,), dtype="float32", sparse=False, ragged=False, optional=False),
}


def _saved(model: Sequential, path: Path) -> Path:
    model.save(path)
    return path


@pytest.mark.parametrize("what", HARMLESS)
def test_what_changes_nothing_is_taken(what: str, tmp_path: Path) -> None:
    HARMLESS[what](compiled(), tmp_path / "model.nbdl")


REFUSED: list[tuple[Callable[[Sequential], Any], type[Exception], str]] = [
    (lambda m: m(X, training=True), ConfigError, "fit and train_on_batch"),
    (lambda m: m(X, mask=X), ConfigError, "masks"),
    (lambda m: m.compile("sgd", "mse", class_mode="categorical"), TypeError, "class_mode= is an older argument"),
    (lambda m: m.fit(X, Y, show_accuracy=True), TypeError, r"metrics=\['accuracy'\]"),
    (lambda m: m.evaluate(X, Y, show_accuracy=True), TypeError, r"metrics=\['accuracy'\]"),
    (lambda m: m.save("model.nbdl", include_optimizer=False), TypeError, "compile=False"),
    (lambda m: m.save("model.nbdl", save_format="h5"), TypeError, "format of its own"),
    (lambda m: m.load_weights("model.nbdl", skip_mismatch=True), TypeError, "all weights must fit"),
    (lambda m: load_model("model.nbdl", custom_objects={"f": Dense}), ConfigError, r"nbdl\.register"),
    (lambda m: m.summary(lin_length=3), TypeError, "Did you mean 'line_length'"),
    (lambda m: Dense(784, 128), ConfigError, r"Dense\(128, input_dim=784\)"),
    (lambda m: Dense(3, weights=[X]), TypeError, "set_weights"),
    (lambda m: m.reset_states(), AttributeError, "leave the call out"),
    (lambda m: m.layers[0].add_weight, AttributeError, r"b\.weight"),
    (lambda m: m.optimizer.apply_gradients, AttributeError, "per_step and update"),
    (lambda m: m.summary(show_trainable=True), TypeError, r"show_trainable= is not there: layer\.trainable"),
    (lambda m: m.summary(layer_range=["a", "b"]), TypeError, "the table has all layers"),
    (lambda m: m.compile("sgd", "mse", run_eagerly=True), TypeError, "NUMBA_DISABLE_JIT"),
    (lambda m: m.save("model.nbdl", signatures=3), TypeError, "signatures= is not there: leave it out"),
    (lambda m: Dense(3, autocast=False), TypeError, "autocast= is not there: leave it out, or give True"),
    (lambda m: m.summary(positions=[0.5]), ConfigError, "line_length"),
    (lambda m: m.to_yaml(), AttributeError, "to_json"),
]


@pytest.mark.parametrize(("wanted", "kind", "text"), REFUSED)
def test_what_cannot_be_had_is_explained(wanted: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        wanted(compiled())


@pytest.mark.parametrize(
    "loss", ["mse", ["mse"], ("mse",), {"out": "mse"}, [["mse"]], [nbdl.losses.MeanSquaredError()]]
)
@pytest.mark.parametrize(
    "metrics",
    ["mae", ["mae"], ("mae",), [["mae"]], {"out": "mae"}, {"out": ["mae"]}, nbdl.metrics.MeanAbsoluteError("mae")],
)
def test_the_one_output_may_be_in_a_list_or_a_dict(loss: Any, metrics: Any) -> None:
    model = compiled()
    model.compile("sgd", loss, metrics=metrics, weighted_metrics=metrics, loss_weights={"out": 1.0})
    assert model.metrics_names == ["loss", "mae", "weighted_mae"]
    assert model.loss is not None
    assert model.loss.unit_name == "mean_squared_error"


def test_configs_are_no_outputs() -> None:
    model = compiled()
    model.compile("sgd", {"name": "huber", "config": {"delta": 2.0}}, metrics={"name": "mae", "config": {}})
    assert model.metrics_names == ["loss", "mean_absolute_error"]


OF_OUTPUTS: list[tuple[dict[str, Any], str]] = [
    ({"loss": ["mse", "mae"]}, "one output, so one loss"),
    ({"loss": {"a": "mse", "b": "mae"}}, "one output, so one loss"),
    ({"loss": []}, "compile needs a loss"),
    ({"loss": {}}, "compile needs a loss"),
    ({"loss": [None]}, "compile needs a loss"),
    ({"loss": "mse", "metrics": 5}, "expected a name.* got 5"),
    ({"loss": "mse", "metrics": [None]}, r"f\(y, p\), got None"),
    ({"loss": "mse", "metrics": ["mae", ["mse"]]}, "compile's metrics: a model has one output"),
    ({"loss": "mse", "metrics": {"a": "mae", "b": "mae"}}, "compile's metrics: a model has one output"),
    ({"loss": "mse", "weighted_metrics": [["mae"], ["mse"]]}, "compile's weighted_metrics: a model has one output"),
    ({"loss": "mse", "metrics": [lambda y, p, *rest: y - p]}, r"takes \*rest; give plain parameters"),
    ({"loss": "mse", "metrics": [lambda y, p, **more: y - p]}, r"takes \*\*more; give plain parameters"),
]


@pytest.mark.parametrize(("arguments", "message"), OF_OUTPUTS)
def test_what_is_of_several_outputs_or_nothing_is_explained(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compiled().compile("sgd", **arguments)


def test_weights_of_losses_by_output_are_refused() -> None:
    model = compiled()
    model.compile("sgd", "mse", loss_weights={"out": 0.5})
    half = model.evaluate(X, Y)
    model.compile("sgd", "mse")
    assert half == pytest.approx(0.5 * model.evaluate(X, Y))


@pytest.mark.parametrize("shape", [None, 4.5, "4", [4.5], (None, 4), [None], object()])
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    with pytest.raises(ConfigError, match="a shape is one or more positive integers"):
        Input(shape=shape)


def test_a_number_of_numpy_is_a_shape() -> None:
    assert Input(shape=np.int64(4)).input_shape == Input(shape=np.array([4])).input_shape == (4,)
    model = Sequential([Dense(1)])
    model.build(np.int64(4))
    assert model.input_shape == (4,)
    with pytest.raises(ConfigError, match="build: a shape is"):
        Sequential([Dense(1)]).build(4.5)


def test_options_of_a_third_party_keep_their_values() -> None:
    class Loader(nbdl.Callback):
        def __init__(self, **options: Any) -> None:
            self.options = options

    assert Loader(workers=4, jit_compile=True).options == {"workers": 4, "jit_compile": True}


class Grouped(nbdl.Layer):
    """A third party's layer, with all that a unit may say of its arguments."""

    renamed: ClassVar = {"output_dim": "units"}
    positions = ("units", "groups", "share")
    ignored: ClassVar = {"groups": (1, None), "trace": (False, ...)}
    instead: ClassVar = {"groups": "not there: all columns are one group"}
    ranges: ClassVar = {"share": Range(0.0, 1.0), "units": Range(1, wanted="is an integer from 1 on", whole=True)}
    none_means_default = ("share",)

    def __init__(self, units: int, share: float = 0.5) -> None:
        self.units, self.share = units, share


class Shared(Grouped):
    ignored: ClassVar = {"shuffled": (True,)}


@pytest.mark.parametrize("unit", [Grouped, Shared])
def test_a_third_party_says_what_keras_arguments_mean(unit: type[Grouped]) -> None:
    made = unit(3, 1, None, trace="all", name="g")  # type: ignore[call-arg, arg-type]
    assert made.get_config() == {"units": 3, "name": "g", "share": 0.5, "trainable": True, "activity_regularizer": None}
    assert made.groups == 1  # type: ignore[attr-defined]
    assert unit(output_dim=3, groups=None, weights=None, axis=-1).units == 3  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="groups= is not there: all columns are one group"):
        unit(3, groups=2)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="groups is not there"):
        type("Bare", (unit,), {"positions": ("units",)})(3).groups  # noqa: B018
    with pytest.raises(ConfigError, match=r"share lies between 0 and 1, got 1\.5"):
        unit(3, share=1.5)
    with pytest.raises(ConfigError, match="units is an integer from 1 on, got 0"):
        unit(0)


def test_what_a_base_class_says_holds_too() -> None:
    assert Shared(3, shuffled=True).units == 3  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="shuffled= is not there: leave it out, or give True"):
        Shared(3, shuffled=False)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'shuffled'"):
        Grouped(3, shuffled=True)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["ignored", "instead", "ranges"])
def test_what_is_said_of_arguments_is_a_mapping(name: str) -> None:
    with pytest.raises(PluginError, match=rf"Wrong\.{name} maps names of arguments .* got \('groups',\)"):
        type("Wrong", (nbdl.Layer,), {name: ("groups",)})


@pytest.mark.parametrize("values", [None, False, (), "auto"])
def test_what_is_ignored_is_a_tuple_of_values(values: Any) -> None:
    with pytest.raises(PluginError, match="ignored names a tuple of values, Keras's default first, for 'groups'"):
        type("Wrong", (nbdl.Layer,), {"ignored": {"groups": values}})


def test_load_without_compile(tmp_path: Path) -> None:
    model = compiled()
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.nbdl")
    loaded = load_model(tmp_path / "model.nbdl", compile=False)
    assert (loaded.compiled, loaded.training_state, loaded.loss) == (None, None, None)
    assert np.array_equal(loaded.predict(X), model.predict(X))
    assert load_model(tmp_path / "model.nbdl").optimizer.iterations == 1


def test_weights_are_not_overwritten_where_that_is_said(tmp_path: Path) -> None:
    model = compiled()
    model.save_weights(tmp_path / "weights.npz", overwrite=False)
    with pytest.raises(ConfigError, match="overwrite=True"):
        model.save_weights(tmp_path / "weights.npz", overwrite=False)


def test_reset_metrics_begins_anew() -> None:
    model = compiled()
    first = model.train_on_batch(X, Y + 1, reset_metrics=False)
    model.reset_metrics()
    assert model.train_on_batch(X, Y + 1, reset_metrics=False) < first
    tested = model.test_on_batch(X, Y, reset_metrics=False)
    model.reset_metrics()
    assert model.test_on_batch(X, Y + 5, reset_metrics=False) == model.test_on_batch(X, Y + 5) != tested


def _keras_files(folder: Path) -> list[Path]:
    old, new = folder / "old.h5", folder / "new.keras"
    old.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with zipfile.ZipFile(new, "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "{}")
    return [old, new]


def test_keras_files_are_named_as_such(tmp_path: Path) -> None:
    for path in _keras_files(tmp_path):
        for load in (load_model, compiled().load_weights):
            with pytest.raises(FileFormatError, match=r"Keras.*set_weights"):
                load(path)


@pytest.mark.parametrize(
    ("save", "text"),
    [
        (lambda m: m.save("model.keras"), r"use model\.nbdl"),
        (lambda m: m.save("model.H5"), r"use model\.nbdl"),
        (lambda m: m.save_weights("model.weights.h5"), r"use model\.weights\.npz"),
        (lambda m: ModelCheckpoint("best.hdf5"), r"use \.nbdl"),
    ],
)
def test_keras_file_names_are_refused(save: Callable[[Sequential], Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        save(compiled())
