"""Losses: Keras's numbers, targets that are refused, own losses and metrics as plain functions."""

from __future__ import annotations

import copy
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit

import nbdl
from nbdl import Sequential, hookimpl
from nbdl.errors import ConfigError, DataError
from nbdl.layers import Dense
from nbdl.plugins.registrar import registrar
from nbdl.testing.probe import Probe
from nbdl.units.registry import registry

DATA = {
    "y_real": [[0.5, -1.2, 2.0], [1.5, 0.3, -0.7]],
    "p_real": [[0.1, -2.0, 2.5], [-1.0, 0.35, 1.4]],
    "y_pos": [[0.5, 1.2, 2.0], [1.5, 0.0, 0.7]],
    "p_pos": [[0.1, 2.0, 2.5], [1.0, 0.35, 1.4]],
    "y_sign": [[1, -1, 1], [-1, -1, 1]],
    "y_01": [[1, 0, 1], [0, 0, 1]],
    "y_hot": [[0, 1, 0], [0, 0, 1]],
    "y_dist": [[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]],
    "p_prob": [[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]],
    "p_un": [[0.2, 0.9, 0.3], [0.6, 0.3, 0.4]],
    "lab": [[1], [2]],
    "lab4": [[1], [2], [0], [1]],
    "p4": [[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.8, 0.1, 0.1], [0.3, 0.3, 0.4]],
}

# What Keras 3.15.1 gives: the loss, and its derivative by the first row's predictions.
KERAS = [
    ("mean_squared_error", {}, "y_real", "p_real", 1.952083, [-0.1333333, -0.2666667, 0.1666667]),
    ("mean_absolute_error", {}, "y_real", "p_real", 1.058333, [-0.1666667, -0.1666667, 0.1666667]),
    ("mean_absolute_percentage_error", {}, "y_real", "p_real", 109.1667, [-33.33334, -13.88889, 8.333334]),
    ("mean_squared_logarithmic_error", {}, "y_pos", "p_pos", 0.07915422, [-0.09398633, 0.03446166, 0.01468102]),
    ("mean_squared_logarithmic_error", {}, "y_pos", "p_real", 0.2983649, [-0.09398633, 0, 0.01468102]),
    ("hinge", {}, "y_sign", "p_real", 0.375, [-0.1666667, 0, 0]),
    ("hinge", {}, "y_01", "p_real", 0.375, [-0.1666667, 0, 0]),
    ("squared_hinge", {}, "y_sign", "p_real", 0.43875, [-0.3, 0, 0]),
    ("squared_hinge", {}, "y_01", "p_real", 0.43875, [-0.3, 0, 0]),
    ("categorical_hinge", {}, "y_hot", "p_real", 2.75, [0, -0.5, 0.5]),
    ("binary_crossentropy", {}, "y_01", "p_prob", 1.180351, [-0.8333334, 0.3333333, -0.5555555]),
    ("binary_crossentropy", {"label_smoothing": 0.2}, "y_01", "p_prob", 1.113868, [-0.7291667, 0.2666667, -0.4761905]),
    ("binary_crossentropy", {"from_logits": True}, "y_01", "p_real", 0.3778793, [-0.07917014, 0.01986715, -0.01264303]),
    ("binary_crossentropy", {"from_logits": True, "label_smoothing": 0.2}, "y_01", "p_real",
     0.4887126, [-0.06250347, 0.003200486, 0.004023631]),
    ("binary_focal_crossentropy", {}, "y_01", "p_prob", 0.6700555, [-0.9625168, 0.1988579, -0.5531492]),
    ("binary_focal_crossentropy", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5}, "y_01", "p_prob",
     0.2762475, [-0.2868499, 0.1682684, -0.173159]),
    ("binary_focal_crossentropy", {"from_logits": True, "label_smoothing": 0.1}, "y_01", "p_real",
     0.08197699, [-0.03935189, 0.001409545, -0.0005674412]),
    ("categorical_crossentropy", {}, "y_hot", "p_un", 0.810244, [0.3571428, -0.1984127, 0.3571428]),
    ("categorical_crossentropy", {"label_smoothing": 0.3}, "y_hot", "p_prob", 1.424703, [0.25, -0.3, 0.3333333]),
    ("categorical_crossentropy", {"from_logits": True}, "y_dist", "p_real",
     2.443534, [-0.008832943, -0.3449588, 0.3537918]),
    ("categorical_crossentropy", {"from_logits": True, "label_smoothing": 0.3}, "y_hot", "p_real",
     2.323534, [-0.008832943, -0.3949588, 0.4037918]),
    ("categorical_focal_crossentropy", {}, "y_hot", "p_un", 0.07765923, [0.02950299, -0.01639055, 0.02950299]),
    ("categorical_focal_crossentropy", {"alpha": 0.5, "gamma": 1.5, "label_smoothing": 0.1}, "y_hot", "p_prob",
     0.5383365, [0.1386797, -0.1500488, 0.1576281]),
    ("categorical_focal_crossentropy", {"from_logits": True, "gamma": 3.0}, "y_hot", "p_real",
     0.5587212, [0.0113859, -0.1368947, 0.1255088]),
    ("sparse_categorical_crossentropy", {}, "lab", "p_un", 0.810244, [0.3571428, -0.1984127, 0.3571428]),
    ("sparse_categorical_crossentropy", {"from_logits": True}, "lab", "p_real",
     2.481034, [0.04116706, -0.4949588, 0.4537918]),
    ("sparse_categorical_crossentropy", {"ignore_class": 1}, "lab4", "p4", 1.262864, [0, 0, 0]),
    ("sparse_categorical_crossentropy", {"ignore_class": 2, "from_logits": True}, "lab4", "p4",
     0.9208755, [0.0964777, -0.2031021, 0.1066243]),
    ("kl_divergence", {}, "y_dist", "p_prob", 0.2158482, [-0.25, -0.7, -0.3333333]),
    ("kl_divergence", {}, "y_hot", "p_prob", 1.497863, [-2.5e-07, -1, -1.666667e-07]),
    ("categorical_generalized_cross_entropy", {"q": 0.5}, "lab", "p_un", 0.4188612, [0, -0.5270463, 0]),
    ("poisson", {}, "y_pos", "p_pos", 0.9335673, [-0.6666659, 0.06666666, 0.03333333]),
    ("cosine_similarity", {}, "y_real", "p_real", -0.08546641, [-0.02796807, -0.01650658, -0.01208654]),
    ("log_cosh", {}, "y_real", "p_real", 0.620896, [-0.06332485, -0.1106728, 0.07701954]),
    ("huber", {}, "y_real", "p_real", 0.6877083, [-0.06666667, -0.1333333, 0.08333334]),
    ("huber", {"delta": 0.3}, "y_real", "p_real", 0.2777084, [-0.05, -0.05, 0.05]),
]  # fmt: skip


def data(name: str) -> np.ndarray:
    return np.array(DATA[name], np.float32)


def test_every_loss_is_compared_with_keras() -> None:
    assert {name for name, *_ in KERAS} == set(names())


def names() -> list[str]:
    return [entry.name for entry in registry.entries("losses") if entry.owner.distribution == "nbdl"]


@pytest.mark.parametrize(("name", "arguments", "y", "p", "value", "slope"), KERAS)
def test_the_numbers_are_keras(name: str, arguments: Any, y: str, p: str, value: float, slope: list[float]) -> None:
    loss = registry.get("losses", name).target(**arguments)
    sources = [data(y), data(p)]
    values = Probe("values", lambda r, t: loss.values(r, *t), sources).run("compiled").output
    gradient = Probe("gradient", lambda r, t: loss.gradient(r, *t), sources).run("compiled").output
    rows = int((data(y) != arguments["ignore_class"]).sum()) if "ignore_class" in arguments else len(values)
    assert values.sum() / rows == pytest.approx(value, rel=2e-6)
    assert gradient[0] / rows == pytest.approx(slope, rel=5e-6, abs=2e-8)


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("mean_squared_error", "MSE"), ("mean_absolute_error", "mae"), ("mean_absolute_percentage_error", "MAPE"),
        ("mean_squared_logarithmic_error", "msle"), ("kl_divergence", "KLD"), ("cosine_similarity", "cosine"),
        ("kl_divergence", "kullback_leibler_divergence"), ("cosine_similarity", "cosine_proximity"),
        ("log_cosh", "logcosh"), ("huber", "huber_loss"), ("binary_crossentropy", "bce"),
        ("categorical_crossentropy", "CategoricalCrossentropy"), ("kl_divergence", "KLDivergence"),
    ],
)  # fmt: skip
def test_older_and_shorter_names(name: str, alias: str) -> None:
    assert registry.get("losses", alias).name == name


def test_small_errors_keep_their_digits() -> None:
    y, p = np.zeros((1, 1), np.float32), np.full((1, 1), 1e-3, np.float32)
    found = Probe("values", lambda r, t: registry.make("losses", "log_cosh").values(r, *t), [y, p]).run("compiled")
    assert found.output[0, 0] == pytest.approx(5e-7, rel=1e-3)


# -- targets and arguments that are refused -----------------------------------------------------------------


def model(outputs: int = 3, last: str | None = None, loss: Any = "mse", metrics: Any = ()) -> Sequential:
    made = Sequential([Dense(outputs, activation=last, input_dim=4)], seed=1)
    made.compile(loss=loss, optimizer="sgd", metrics=list(metrics))
    return made


X = np.random.default_rng(1).normal(size=(12, 4)).astype(np.float32)
LABELS = np.arange(12) % 3
HOT = np.eye(3, dtype=np.float32)[LABELS]


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("hinge", HOT * 3, "'hinge' takes targets from -1 to 1, y goes from 0 to 3; label two classes -1 and 1"),
        ("squared_hinge", HOT - 2, "label two classes -1 and 1, or 0 and 1"),
        ("msle", HOT - 1, "takes targets not below 0, y goes from -1 to 0"),
        ("poisson", -HOT, "takes targets not below 0"),
        ("kld", 2 * HOT, "takes targets from 0 to 1, y goes from 0 to 2"),
        ("bce", 2 * HOT - 1, r"from -1 and 1 make \(y \+ 1\) / 2"),
        ("binary_focal_crossentropy", 2 * HOT, "takes targets from 0 to 1"),
        ("categorical_focal_crossentropy", LABELS, "'categorical_focal_crossentropy' needs one-hot targets"),
        ("categorical_hinge", 2 * HOT, "'categorical_hinge' needs one-hot .* adds up to 2"),
    ],
)
def test_targets_that_cannot_be_meant(loss: str, y: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        model(loss=loss).fit(X, y, verbose=0)


def test_an_ignored_label_need_not_be_a_class() -> None:
    loss = nbdl.losses.sparse_categorical_crossentropy
    y = np.where(LABELS == 2, 255, LABELS)
    with pytest.raises(DataError, match="labels must be integers from 0 to 2"):
        model(loss=loss(from_logits=True)).fit(X, y, verbose=0)
    made = model(loss=loss(from_logits=True, ignore_class=255))
    kept = y != 255
    assert made.evaluate(X, y) == pytest.approx(made.evaluate(X[kept], y[kept]), rel=1e-6)
    assert made.evaluate(X, np.full(12, 255)) == 0.0
    after = [model(loss=loss(from_logits=True, ignore_class=255)) for _ in range(2)]
    after[0].fit(X, y, batch_size=12, epochs=3, shuffle=False, verbose=0)
    after[1].fit(X[kept], y[kept], batch_size=8, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(after[0].get_weights()[0], after[1].get_weights()[0], rtol=1e-5, atol=1e-6)


def test_only_rows_with_that_label_are_ignored_by_softmax_too() -> None:
    y = np.where(LABELS == 2, -1, LABELS)
    made = model(last="softmax", loss=nbdl.losses.sparse_categorical_crossentropy(ignore_class=-1))
    kept = y >= 0
    assert made.evaluate(X, y) == pytest.approx(made.evaluate(X[kept], y[kept]), rel=1e-6)


def test_figures_with_ignored_rows_do_not_depend_on_how_rows_are_cut() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(9000, 4)).astype(np.float32), np.arange(9000) % 3
    y[:4500] = -1
    loss = nbdl.losses.sparse_categorical_crossentropy(from_logits=True, ignore_class=-1)
    made = model(loss=loss, metrics=[loss])
    wanted, figures = made.evaluate(x[4500:], y[4500:]), made.evaluate(x, y)
    assert figures == pytest.approx(wanted, rel=1e-6)
    assert figures[0] == pytest.approx(figures[1], rel=1e-6)
    batches = [(x[start : start + 90], y[start : start + 90]) for start in range(0, 9000, 90)]
    assert made.evaluate(batches) == pytest.approx(wanted, rel=1e-6)
    made.optimizer.learning_rate = 0.0
    logged = made.fit(x, y, batch_size=90, verbose=0).history["loss"]
    assert logged[0] == pytest.approx(wanted[0], rel=1e-6)


@pytest.mark.parametrize(("name", "last"), [("bce", "sigmoid"), ("categorical_crossentropy", "softmax")])
def test_logits_and_their_activation_are_one_formula(name: str, last: str) -> None:
    loss = registry.get("losses", name).target
    weights = []
    for activation, logits in ((last, False), (None, True)):
        made = model(last=activation, loss=loss(from_logits=logits, label_smoothing=0.1))
        made.fit(X, HOT, epochs=3, verbose=0)
        weights.append([*made.get_weights(), np.array(made.evaluate(X, HOT))])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("binary_crossentropy", "sigmoid"), ("binary_focal_crossentropy", "sigmoid"),
        ("categorical_crossentropy", "softmax"), ("categorical_focal_crossentropy", "softmax"),
        ("sparse_categorical_crossentropy", "softmax"),
    ],
)  # fmt: skip
def test_probabilities_are_no_logits(name: str, last: str) -> None:
    made = model(last=last, loss=registry.get("losses", name).target(from_logits=True))
    y = LABELS if name.startswith("sparse") else HOT
    with pytest.raises(ConfigError, match=f"{name}.*from_logits=True.*'dense_1' ends in {last}: leave out"):
        made.fit(X, y, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"label_smoothing": 1.5}, ConfigError, "label_smoothing is from 0 to 1, got 1.5"),
        ({"reduction": "sum"}, TypeError, "mean over the rows"),
        ({"axis": 0}, TypeError, "axis= is not there: it is the last one"),
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nbdl.losses.binary_crossentropy(**arguments)


# -- own functions ------------------------------------------------------------------------------------------


def quartic(y: float, p: float, scale: float = 2.0) -> float:
    return scale * (p - y) ** 4


def d_quartic(y: float, p: float, scale: float = 2.0) -> float:
    return 4.0 * scale * (p - y) ** 3


def farther(y: float, p: float, limit: float = 0.5) -> float:
    return 1.0 if abs(p - y) > limit else 0.0


def test_own_functions_train_and_report() -> None:
    made = model(loss=(quartic, d_quartic), metrics=[farther, "mae"])
    before = made.evaluate(X, HOT, return_dict=True)
    errors = made.predict(X) - HOT
    assert before["loss"] == pytest.approx(2 * np.mean(errors**4), rel=1e-5)
    assert before["farther"] == pytest.approx(np.mean(abs(errors) > 0.5))
    history = made.fit(X, HOT, batch_size=4, epochs=5, validation_data=(X, HOT), verbose=0).history
    assert set(history) == {"loss", "farther", "mae", "val_loss", "val_farther", "val_mae"}
    assert history["val_loss"][-1] < before["loss"]


def test_own_functions_are_those_of_the_registered_unit() -> None:
    def square(y: float, p: float) -> float:
        return (y - p) * (y - p)

    def slope(y: float, p: float) -> float:
        return 2.0 * (p - y)

    weights = []
    for loss in ("mse", (square, slope)):
        made = model(loss=loss)
        made.fit(X, HOT, epochs=3, verbose=0)
        weights.append(made.get_weights()[0])
    np.testing.assert_array_equal(*weights)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda y, p: math.lgamma(y - p), r"math.lgamma, whose derivative is not known.* give the derivative too"),
        ((quartic, d_quartic, d_quartic), "3 function"),
        (lambda y, p, *rest: y - p, r"takes \*rest; give plain parameters"),
        (lambda y, p, **more: y - p, r"takes \*\*more; give plain parameters"),
        ((quartic, farther), "same own arguments"),
        ((quartic, lambda y: y), "at least 2"),
        ((math.hypot, d_quartic), "plain Python functions are wanted"),
        ((lambda y, p, k: k, lambda y, p, k: k), "arguments after y and p need defaults"),
    ],
)
def test_functions_that_make_no_loss(loss: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model(loss=loss)


def test_the_derivative_of_one_function_follows_from_its_code() -> None:
    weights = []
    for loss in (quartic, (quartic, d_quartic)):
        made = model(loss=loss)
        made.fit(X, HOT, epochs=3, verbose=0)
        weights.append(made.get_weights()[0])
    np.testing.assert_allclose(*weights, rtol=1e-5)
    assert type(copy.deepcopy(made).loss) is type(made.loss)


def test_the_same_functions_are_the_same_unit() -> None:
    first, second = model(loss=(quartic, d_quartic)), model(loss=(quartic, d_quartic))
    assert type(first.loss) is type(second.loss)


def test_functions_of_numba_count_as_their_python_code() -> None:
    weights = []
    for loss, activation in ((quartic, swish), (njit(quartic), njit(swish)), ((njit(quartic), njit(d_quartic)), swish)):
        made = Sequential([Dense(3, activation=activation, input_dim=4)], seed=1)
        made.compile("sgd", loss)
        made.fit(X, HOT, epochs=1, verbose=0)
        weights.append(made.get_weights()[0])
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_allclose(weights[0], weights[2], rtol=1e-5)


def swish(x: float) -> float:
    return x / (1.0 + math.exp(-x))


def test_a_metric_of_one_argument_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"compile's metrics.*at least 2"):
        model(metrics=[lambda y: y])


class Own:
    """Hooks that give the functions names."""

    @hookimpl
    def register_losses(self, register: Any) -> None:
        register("quartic_test_loss", quartic, d_quartic)

    @hookimpl
    def register_metrics(self, register: Any) -> None:
        register("farther_test_metric", farther)


@pytest.mark.parametrize("given", [{"loss": (quartic, d_quartic)}, {"metrics": [farther]}])
def test_a_file_names_only_what_is_registered(given: dict[str, Any], tmp_path: Path) -> None:
    made = model(**given)
    with pytest.warns(UserWarning, match=r"(quartic|farther).* not registered.*nbdl\.register"):
        made.save(tmp_path / "model.nbdl")
    again = nbdl.load_model(tmp_path / "model.nbdl")
    assert again.compiled is None
    np.testing.assert_array_equal(again.predict(X), made.predict(X))


def test_copies_keep_functions_and_go_on() -> None:
    made = model(loss=(quartic, d_quartic), metrics=[farther])
    made.fit(X, HOT, epochs=2, verbose=0)
    again = copy.deepcopy(made)
    for one in (made, again):
        one.fit(X, HOT, epochs=2, verbose=0)
    np.testing.assert_array_equal(made.get_weights()[0], again.get_weights()[0])
    assert made.evaluate(X, HOT) == again.evaluate(X, HOT)


def wrong_way(y: float, p: float, scale: float = 2.0) -> float:
    return -d_quartic(y, p, scale)


def test_a_slope_that_is_not_the_functions_is_noticed() -> None:
    with pytest.warns(UserWarning, match="wrong_way is not the derivative of quartic"):
        model(loss=(quartic, wrong_way))


def test_registered_functions_come_back_from_a_file(tmp_path: Path) -> None:
    registry.load()
    with suppress(InterruptedError), registrar.owned(registrar.owner, ""):
        nbdl.register(Own())
        made = model(loss=(quartic, d_quartic), metrics=[farther])
        made.save(tmp_path / "model.nbdl")
        again = nbdl.load_model(tmp_path / "model.nbdl")
        assert again.loss.unit_name == "quartic_test_loss"
        assert again.evaluate(X, HOT) == made.evaluate(X, HOT)
        raise InterruptedError  # which takes back what was registered


# -- losses as metrics --------------------------------------------------------------------------------------


def test_a_loss_is_a_metric_by_name_class_and_instance(tmp_path: Path) -> None:
    huber = nbdl.losses.huber
    made = model(metrics=["mae", huber, nbdl.losses.log_cosh()])
    figures = made.evaluate(X, HOT, return_dict=True)
    errors = abs(made.predict(X) - HOT)
    assert list(figures) == ["loss", "mae", "huber", "log_cosh"]
    assert figures["mae"] == pytest.approx(errors.mean(), rel=1e-5)
    assert figures["huber"] == pytest.approx(np.where(errors <= 1, errors**2 / 2, errors - 0.5).mean(), rel=1e-5)
    made = model(metrics=[huber(delta=0.1)])
    made.save(tmp_path / "model.nbdl")
    again = nbdl.load_model(tmp_path / "model.nbdl")
    assert again.evaluate(X, HOT, return_dict=True) == made.evaluate(X, HOT, return_dict=True)


def test_a_metric_and_the_loss_want_the_same_targets() -> None:
    made = model(last="softmax", loss="categorical_crossentropy", metrics=["sparse_categorical_crossentropy"])
    with pytest.raises(ConfigError, match=r"'sparse_categorical_crossentropy' compares targets of shape \(1,\)"):
        made.evaluate(X, HOT)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda a: None, "got NoneType"),
        (lambda a: "1", "got str"),
        (lambda a: [a], "got list"),
        (lambda a: (a, a), "got tuple"),
        (lambda a: (b for b in (a,)), "got generator"),
        (lambda a: undefined * a, "and fails: name 'undefined' is not defined"),  # type: ignore[name-defined]  # noqa: F821
        (lambda a: a.missing, "and fails: .* has no attribute 'missing'"),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_functions_that_return_no_number_are_refused_by_name(function: Any, said: str, place: int) -> None:
    """Of a pair, as loss or as activation."""
    pair: list[Any] = [lambda y, p: (p - y) ** 2, lambda y, p: 2.0 * (p - y)]
    pair[place] = lambda y, p: function(p)
    with pytest.raises(ConfigError, match=f"compile's loss: <lambda> must return a number, {said}"):
        nbdl.Sequential([nbdl.layers.Dense(1)]).compile("sgd", tuple(pair))
    pair = [lambda x: 2.0 * x, lambda x, y: 2.0]
    pair[place] = function if place == 0 else lambda x, y: function(x)
    with pytest.raises(ConfigError, match=f"Dense's activation: <lambda> must return a number, {said}"):
        nbdl.layers.Dense(1, activation=tuple(pair))
