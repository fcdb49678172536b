"""Arguments: Keras's order, names and defaults; what is refused, with its name."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Layer, Metric, Sequential, initializers, layers, losses, metrics, optimizers
from nbdl.errors import ConfigError
from nbdl.layers import Dense
from nbdl.optimizers import schedules
from nbdl.units.entry import Entry
from nbdl.units.registry import registry

ROOT = Path(__file__).parents[1]


def script() -> Any:
    found = importlib.util.spec_from_file_location("constructors", ROOT / "scripts" / "constructors.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    importlib.import_module("sys").modules["constructors"] = module
    found.loader.exec_module(module)
    return module


COMPARISON = script()
RECORDED = json.loads(COMPARISON.RECORDED.read_text("utf-8"))


# -- Keras's order ----------------------------------------------------------------------------------------


def test_every_constructor_is_keras_or_has_a_reason() -> None:
    found = list(COMPARISON.differences(RECORDED))
    assert [one for one in found if not one.reason] == []
    used = {(kind, name, one) for kind, name, one in COMPARISON.REASONS}
    seen = {
        (kind, name, argument)
        for one in found
        for kind in (one.kind, "*")
        for name in (one.name, "*")
        for argument in (one.argument, "*")
    }
    assert used <= seen, "a reason without a difference"


def test_every_unit_that_keras_has_is_compared() -> None:
    compared = sum(COMPARISON.ours(kind, name) is not None for kind, names in RECORDED.items() for name in names)
    assert compared > 190


def test_another_order_is_found() -> None:
    planted = {"layers": {"Dense": [["units", "(required)"], ["use_bias", True]]}}
    (found,) = COMPARISON.differences(planted)
    assert (found.argument, found.what, found.reason) == ("use_bias", "argument 2 is activation", "")


def test_places_are_those_of_keras() -> None:
    dense = Dense(4, None, True, "zeros", "zeros", None, None, None, "non_neg")
    assert (dense.kernel_constraint is not None, dense.bias_constraint) == (True, None)
    assert metrics.BinaryCrossentropy("mine").name == "mine"
    assert not metrics.BinaryCrossentropy("mine").from_logits
    assert metrics.MeanSquaredError("mine").name == "mine"
    assert metrics.BinaryAccuracy("mine", None, 0.3).threshold == 0.3
    assert metrics.AUC(200, "ROC", "interpolation", "mine").name == "mine"
    assert schedules.CosineDecay(0.1, 100, 0.0, "mine", 0.3).warmup_target == 0.3
    assert optimizers.SGD(0.1, 0.9, True, None, 2.0).clipnorm == 2.0
    assert isinstance(losses.CosineSimilarity(-1), losses.CosineSimilarity)
    assert layers.Flatten("channels_last").data_format is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Flatten("channels_first"), "data_format= is not there"),
        (lambda: losses.MeanSquaredError("sum"), "reduction= is not there"),
        (lambda: layers.Dropout(0.5, (2, 1)), "noise_shape= is not there"),
        (lambda: layers.Dense(1, *[None] * 20), "takes 13 arguments by position"),
        (lambda: layers.Dense(1, None, activation="relu"), "multiple values for argument 'activation'"),
    ],
)
def test_what_nbdl_lacks_is_refused_by_name(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.Dropout(0.5, None, 42),
        lambda: initializers.GlorotUniform(42),
        lambda: initializers.RandomNormal(0.0, 1.0, 42),
    ],
)
def test_a_seed_has_its_place_and_is_not_used(make: Callable[[], Any]) -> None:
    with pytest.warns(UserWarning, match="seed=42 is not used"):
        made = make()
    assert getattr(made, "stddev", 1.0) == 1.0


def test_metrics_in_the_place_of_older_keras() -> None:
    model = Sequential([Dense(1, input_dim=2)])
    model.compile("sgd", "mse", [])
    assert model.metrics_names == ["loss"]
    for arguments in ((["mae"],), (None, ["mae"]), ("mae",), ([], ["mae"])):
        model.compile("sgd", "mse", *arguments)
        assert model.metrics_names == ["loss", "mae"]
    with pytest.raises(ConfigError, match="metrics are given twice"):
        model.compile("sgd", "mse", ["mae"], ["mse"])


def test_losses_as_metrics_are_copied_and_saved(tmp_path: Path) -> None:
    model = Sequential([Dense(1, input_dim=2)])
    model.compile("sgd", "mse", [metrics.MeanSquaredError("first"), metrics.BinaryCrossentropy("second")])
    model.save(tmp_path / "model.nbdl")
    for unit in model.metrics:
        assert pickle.loads(pickle.dumps(unit)).name == unit.name


def test_the_second_argument_of_a_model_freezes_it() -> None:
    assert not Sequential([Dense(2, input_dim=3)], False).trainable
    with pytest.raises(ConfigError, match="Sequential: trainable is True or False, got 'mine'"):
        Sequential([], "mine")


# -- types ------------------------------------------------------------------------------------------------


def booleans() -> Iterator[Any]:
    for entry in registry.entries():
        if isinstance(entry.target, type):
            for one in inspect.signature(entry.target).parameters.values():
                if isinstance(one.default, bool) or one.annotation in ("bool", "bool | None"):
                    yield pytest.param(entry, one.name, id=f"{entry.kind}/{entry.name}/{one.name}")


@pytest.mark.parametrize(("entry", "name"), list(booleans()))
def test_a_boolean_is_true_or_false(entry: Entry, name: str) -> None:
    needed = next(iter(entry.options.get("examples", [{}])), {})
    for wrong in ("no", "a", 1.5, 2, [True]):
        with pytest.raises((ConfigError, TypeError), match=name):
            entry.target(**{**needed, name: wrong})


def test_numpy_booleans_are_taken() -> None:
    assert Dense(2, use_bias=np.bool_(False)).use_bias is False
    assert Dense(2, trainable=np.True_).trainable is True


def test_0_and_1_are_booleans() -> None:
    assert Dense(2, use_bias=0).use_bias is False
    assert Dense(2, trainable=np.int64(0)).trainable is False
    assert optimizers.SGD(nesterov=1, momentum=0.9).get_config()["nesterov"] is True
    assert losses.BinaryCrossentropy(from_logits=1).from_logits is True
    model = Sequential([Dense(1, input_dim=1)], trainable=1)
    model.compile("sgd", "mse")
    x = np.ones((4, 1))
    model.fit(x, x, shuffle=0, verbose=0)
    assert list(model.evaluate(x, x, return_dict=1)) == ["loss"]
    model.layers[0].trainable = 0
    assert not model.trainable_weights


def test_whole_numbers_are_integers() -> None:
    assert nbdl.callbacks.EarlyStopping(patience=3.0).get_config()["patience"] == 3
    assert type(Dense(np.float64(2.0)).units) is int
    model = Sequential([Dense(1, input_dim=1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 1))
    assert len(model.fit(x, x, 2.0, 3.0, validation_data=(x, x), validation_freq=3.0, verbose=0).epoch) == 3
    with pytest.raises(ConfigError, match="epochs is an integer"):
        model.fit(x, x, epochs=1.5)


def test_a_level_of_output_may_be_a_boolean(capfd: pytest.CaptureFixture[str]) -> None:
    model = Sequential([Dense(1, input_dim=1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 1))
    for quiet in (False, np.False_, 0):
        model.fit(x, x, verbose=quiet)
        model.evaluate(x, x, verbose=quiet)
        model.predict(x, verbose=quiet)
    assert capfd.readouterr() == ("", "")
    model.evaluate(x, x, verbose=True)
    model.predict(x, verbose=np.True_)
    assert "Evaluated" in (printed := capfd.readouterr().out)
    assert "Predicted" in printed
    for wrong in ("yes", "", "1"):
        for method in (model.fit, model.evaluate):
            with pytest.raises(ConfigError, match='verbose is 0, 1, 2, True, False or "auto"'):
                method(x, x, verbose=wrong)
        with pytest.raises(ConfigError, match="verbose is 0"):
            model.predict(x, verbose=wrong)


def test_callbacks_take_booleans_for_their_output() -> None:
    callbacks = nbdl.callbacks
    for made in (
        callbacks.EarlyStopping(verbose=True),
        callbacks.ModelCheckpoint("m.nbdl", verbose=True),
        callbacks.ReduceLROnPlateau(verbose=np.True_),
        callbacks.LearningRateScheduler(lambda epoch: 0.1, verbose=True),
    ):
        assert made.verbose is True
    with pytest.raises(ConfigError, match="verbose is"):
        callbacks.EarlyStopping(verbose="yes")


def test_a_model_is_stopped_by_a_boolean() -> None:
    model = Sequential([Dense(1, input_dim=1)])
    for name in ("stop_training", "stop_evaluating", "stop_predicting"):
        setattr(model, name, 1)
        assert getattr(model, name) is True
        with pytest.raises(ConfigError, match=f"{name} of a model is True or False, got 'no'"):
            setattr(model, name, "no")


@pytest.mark.parametrize("wrong", ["no", 1.5, 2])
def test_booleans_of_methods(wrong: Any) -> None:
    model = Sequential([Dense(1, input_dim=1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 1))
    with pytest.raises(ConfigError, match="return_dict is True or False"):
        model.evaluate(x, x, return_dict=wrong)
    with pytest.raises(ConfigError, match="return_dict is True or False"):
        model.train_on_batch(x, x, return_dict=wrong)
    with pytest.raises(ConfigError, match="derivatives is True or False"):
        model.as_njit(derivatives=wrong)
    with pytest.raises(ConfigError, match="shuffle is"):
        model.fit(x, x, shuffle=wrong, verbose=0)
    with pytest.raises(ConfigError, match="trainable is True or False"):
        model.layers[0].trainable = wrong


def test_booleans_of_units_of_third_parties_are_checked_too() -> None:
    class Half(Layer):
        def __init__(self, half: bool = True, times: int = 2, share: float = 0.5, mode: str = "a") -> None:
            self.given = half, times, share, mode

    class Untold(Metric):
        def __init__(self, strict=False) -> None:  # type: ignore[no-untyped-def]
            self.strict = strict

    for unit, name in ((Half, "half"), (Untold, "strict")):
        for wrong in ("no", 1.5, [True]):
            with pytest.raises(ConfigError, match=f"{unit.__name__}: {name} is True or False, got "):
                unit(**{name: wrong})
    assert Half(np.bool_(True), np.int64(3), np.float32(0.5)).given == (True, 3, 0.5, "a")
    path = Path("folder")
    for given in ((1, 3.0, True, path), (0, True, 1, b"a"), (False, [1, 2], None, None)):
        assert Half(*given).given == given  # type: ignore[arg-type]  # an annotation is no promise


def test_the_object_has_any_name() -> None:
    class Scaled(Layer):
        def __init__(s, n, wide=False) -> None:  # type: ignore[no-untyped-def]
            s.n, s.wide = n, wide

    class Told(nbdl.Callback):
        def __init__(this, n, self=2, **options) -> None:  # type: ignore[no-untyped-def]
            this.n, this.other = n, self

    for unit in (Scaled(3), Scaled(n=3), Told(3), Told(n=3)):
        assert (unit.n, unit.get_config()["n"]) == (3, 3)
    assert Told(3, 4).get_config()["self"] == 4
    assert list(inspect.signature(Scaled).parameters)[:2] == ["n", "wide"]
    with pytest.raises(TypeError, match=r"Its arguments are: n, wide"):
        Scaled(m=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.FBetaScore(beta=None), "beta is a number"),
        (lambda: metrics.FBetaScore(beta="1"), "beta is a number"),
        (lambda: metrics.FBetaScore(threshold="1.0"), "threshold is a number or None"),
        (lambda: metrics.Precision([None]), "thresholds is"),
        (lambda: metrics.TruePositives([None]), "thresholds is"),
        (lambda: metrics.TruePositives("0.5"), "thresholds is"),
        (lambda: initializers.Constant(np.ones(3)), "value is a number"),
        (lambda: losses.Huber("1"), "delta is a number"),
        (lambda: layers.LeakyReLU("a"), "negative_slope is a number"),
        (lambda: layers.Dense("4"), "units is an integer"),
        (lambda: layers.Dense(4.5), "units is an integer"),
        (lambda: layers.Dropout("0.5"), "rate is a number"),
        (lambda: layers.LayerNormalization(axis={"a": 1}), "axis"),
        (lambda: layers.UnitNormalization(axis={"a": 1}), "axis"),
        (lambda: layers.Reshape({"a": 1}), "Reshape"),
        (lambda: layers.Input(shape="4"), "shape"),
        (lambda: layers.Permute("12"), "Permute"),
        (lambda: layers.Normalization(mean="a", variance=1), "mean and variance are numbers"),
        (lambda: layers.Normalization(mean=[0, [1]], variance=[1, 1]), "mean and variance are numbers"),
        (lambda: nbdl.regularizers.L2("a"), "l2 is a number"),
        (lambda: nbdl.constraints.MaxNorm("a"), "max_value is a number"),
        (lambda: nbdl.callbacks.EarlyStopping(patience="3"), "patience is an integer"),
        (lambda: schedules.ExponentialDecay("a", 2, 3), "initial_learning_rate is a number"),
        (lambda: schedules.PiecewiseConstantDecay([1, "a"], [1.0, 2.0, 3.0]), "boundaries"),
        (lambda: metrics.TopKCategoricalAccuracy("5"), "k is an integer"),
        (lambda: metrics.R2Score(num_regressors="1"), "num_regressors is an integer"),
    ],
)
def test_an_argument_of_another_type_is_named(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_an_annotation_counts_more_than_a_default_of_true_or_false() -> None:
    class Mode(Layer):
        def __init__(self, mode: Any = False, flag=False) -> None:  # type: ignore[no-untyped-def]
            self.mode, self.flag = mode, flag

    assert Mode(mode="fast").mode == "fast"
    with pytest.raises(ConfigError, match="flag is True or False"):
        Mode(flag="fast")


def test_a_single_number_is_no_sequence() -> None:
    with pytest.raises(ConfigError, match="axis is an integer or a list of integers"):
        layers.LayerNormalization(axis=np.float64(1.5))


def test_a_subclass_of_a_loss_among_the_metrics_is_copied() -> None:
    unit = Squares(name="squares")
    for made in (copy.deepcopy(unit), pickle.loads(pickle.dumps(unit))):
        assert type(made) is Squares
        assert made.name == "squares"


class Squares(metrics.MeanSquaredError):
    """A subclass of what `nbdl.metrics` offers of a loss."""


@pytest.mark.parametrize("wrong", [-1, -1e-9, float("nan"), float("inf"), "a", True])
def test_factors_of_penalties_are_not_negative(wrong: Any) -> None:
    kinds = nbdl.regularizers
    for unit, name in ((kinds.L1, "l1"), (kinds.L2, "l2"), (kinds.L1L2, "l1"), (kinds.L1L2, "l2")):
        with pytest.raises(ConfigError, match=f"{name} is a number of at least 0, got"):
            unit(**{name: wrong})
    with pytest.raises(ConfigError, match="factor is a number of at least 0, got"):
        kinds.OrthogonalRegularizer(wrong)
    assert kinds.L1L2(0, np.float32(0.5)).get_config() == {"l1": 0, "l2": 0.5}
