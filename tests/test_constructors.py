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
from nbdl.registry import Entry, registry

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
        (lambda: Sequential().compile("sgd", "mse", [0.5]), "loss_weights= is not needed"),
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
    for wrong in ("no", "a", 1.5, 1, [True]):
        with pytest.raises((ConfigError, TypeError), match=name):
            entry.target(**{**needed, name: wrong})


def test_numpy_booleans_are_taken() -> None:
    assert Dense(2, use_bias=np.bool_(False)).use_bias is False
    assert Dense(2, trainable=np.True_).trainable is True


@pytest.mark.parametrize("wrong", ["no", 1.5, 1])
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


def test_units_of_third_parties_are_checked_too() -> None:
    class Half(Layer):
        def __init__(self, half: bool = True, times: int = 2, share: float = 0.5, mode: str = "a") -> None:
            self.half = half

    class Untold(Metric):
        def __init__(self, strict=False) -> None:  # type: ignore[no-untyped-def]
            self.strict = strict

    cases: list[tuple[Any, dict[str, Any], str]] = [
        (Half, {"half": "no"}, "Half: half is True or False, got 'no'"),
        (Half, {"times": 1.5}, "Half: times is an integer, got 1.5"),
        (Half, {"times": True}, "Half: times is an integer, got True"),
        (Half, {"share": "1"}, "Half: share is a number, got '1'"),
        (Half, {"mode": 3}, "Half: mode is text, got 3"),
        (Untold, {"strict": "no"}, "Untold: strict is True or False, got 'no'"),
    ]
    for unit, arguments, message in cases:
        with pytest.raises(ConfigError, match=message):
            unit(**arguments)
    assert Half(np.bool_(True), np.int64(3), np.float32(0.5)).half


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
