"""Graphs: models with branches, shared layers, several inputs and outputs, and models within models."""

from __future__ import annotations

import copy
import csv
import gc
import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, reject, settings
from on_disk import OnDisk
from random_graphs import Loss64, graphs

import nbdl
from nbdl import Model, Sequential
from nbdl.cli.app import app
from nbdl.errors import ConfigError, DataError, FileFormatError
from nbdl.layers import Add, Concatenate, Dense, Dropout, Embedding, Flatten, Input, Lambda, Multiply, Subtract
from nbdl.model.owner import job_of
from nbdl.network import forward

RNG = np.random.default_rng(0)
A = RNG.normal(size=(120, 6)).astype(np.float32)
B = RNG.normal(size=(120, 4)).astype(np.float32)
CLASSES = (A[:, 0] > 0).astype(int)
NUMBERS = (A[:, :1] * B[:, :1]).astype(np.float32)
CROSS = "sparse_categorical_crossentropy"


def two_towers(seed: int = 1) -> Model:
    """Two inputs, a layer that is used twice, and two outputs."""
    a, b = Input(shape=(6,), name="a"), Input(shape=(4,), name="b")
    h = Dense(5, activation="relu")(a)
    shared = Dense(5, activation="tanh", name="shared")
    first = shared(h)
    second = shared(Add()([h, first]))
    both = Concatenate()([second, Dense(3)(b)])
    outputs = [Dense(2, activation="softmax", name="cls")(both), Dense(1, name="reg")(Multiply()([both, both]))]
    return Model([a, b], outputs, seed=seed)


def compiled(model: Model, **more: Any) -> Model:
    model.compile(loss={"cls": CROSS, "reg": "mse"}, loss_weights={"reg": 0.5}, optimizer="adam", **more)
    return model


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# -- gradients ------------------------------------------------------------------------------------------------


def check_gradients(made: tuple[Model, Any, Any]) -> None:
    model, x, y = made
    loss, gradients = nbdl.value_and_gradient(model, x, y)
    exact = Loss64(model, x, y)
    weights = model.trainable_weights
    if weights:
        assert loss == pytest.approx(exact(weights[0], weights[0].value), rel=1e-5, abs=1e-6)
    for weight, gradient in zip(weights, gradients, strict=True):
        wanted = exact.gradient(weight)
        scale = max(1e-2, float(np.abs(wanted).max()))
        assert np.abs(gradient - wanted).max() < 2e-3 * scale, weight.name


@given(graphs())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_gradients_are_those_of_differences(made: tuple[Model, Any, Any]) -> None:
    check_gradients(made)


@pytest.mark.long
@given(graphs())
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_gradients_of_fifty_graphs(made: tuple[Model, Any, Any]) -> None:
    check_gradients(made)


def test_a_gradient_that_is_not_added_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def overwritten(r: Any, gradients: dict[int, Any], number: int, gradient: Any) -> None:
        gradients[number] = gradient

    a = Input(shape=(3,))
    h = Dense(3, activation="tanh")(a)
    model = Model(a, Dense(2)(Add()([h, Multiply()([h, h])])), seed=1)
    model.compile(loss="mse", optimizer="sgd")
    x, y = [A[:5, :3]], [B[:5, :2]]
    check_gradients((model, x, y))
    monkeypatch.setattr(forward, "add_gradient", overwritten)
    job_of(model).programs.clear()
    with pytest.raises(AssertionError):
        check_gradients((model, x, y))


def test_a_pair_s_gradient_and_those_of_other_readers_add_up() -> None:
    a = Input(shape=(6,))
    p = Dense(3, activation="softmax", name="p")(a)
    model = Model(a, [p, Dense(1, name="q")(p)], seed=2)
    model.compile(loss=["categorical_crossentropy", "mse"], optimizer="sgd")
    check_gradients((model, [A[:9]], [np.eye(3, dtype=np.float32)[[0, 1, 2] * 3], NUMBERS[:9]]))


# -- what a chain is --------------------------------------------------------------------------------------------


def test_a_chain_that_is_called_has_the_bits_of_a_sequential() -> None:
    a = Input(shape=(6,))
    layers = [Dense(8, activation="relu"), Dropout(0.3), Dense(2, activation="softmax")]
    x: Any = a
    for layer in layers:
        x = layer(x)
    called = Model(a, x, seed=3)
    chain = Sequential([Dense(8, activation="relu", input_dim=6), Dropout(0.3), Dense(2, activation="softmax")], seed=3)
    histories = []
    for model in (called, chain):
        model.compile(loss=CROSS, optimizer="adam", metrics=["accuracy"])
        histories.append(model.fit(A, CLASSES, epochs=3, verbose=0).history)
    assert histories[0] == histories[1]
    assert same(called.get_weights(), chain.get_weights())
    assert np.array_equal(called.predict(A), chain.predict(A))


def check_bits(made: tuple[Model, Any, Any]) -> None:
    """Train copies of a model on one and on two threads, where it is large enough for two."""
    model, x, y = made
    found = []
    for threads in (1, 2):
        one = copy.deepcopy(model)
        one.optimizer.learning_rate = 1e-6  # products of many columns have large gradients
        try:
            history = one.fit(x, y, batch_size=len(x[0]) // 2, epochs=2, verbose=0, threads=threads, shuffle=False)
        except nbdl.errors.DivergenceError:
            reject()
        (executor,) = job_of(one).programs.executors.values()
        assume(executor.parallel)
        found.append([*one.get_weights(), *history.history["loss"], *one.predict(x)])
    assert same(*found)


WIDE = {"widths": (150, 250), "rows": 512}


@given(graphs(**WIDE))
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_branches_have_the_same_bits_on_any_number_of_threads(made: tuple[Model, Any, Any]) -> None:
    check_bits(made)


@pytest.mark.long
@given(graphs(**WIDE))
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_fifty_graphs_have_the_same_bits_on_any_number_of_threads(made: tuple[Model, Any, Any]) -> None:
    check_bits(made)


# -- several inputs and outputs -----------------------------------------------------------------------------------


def test_data_comes_in_lists_tuples_dicts_and_batches() -> None:
    ways = (
        ([A, B], [CLASSES, NUMBERS]),
        ((A, B), (CLASSES, NUMBERS)),
        ({"b": B, "a": A}, {"reg": NUMBERS, "cls": CLASSES}),
    )
    curves = [
        compiled(two_towers()).fit(x, y, epochs=2, batch_size=30, shuffle=False, verbose=0).history for x, y in ways
    ]
    parts = [slice(start, start + 30) for start in range(0, 120, 30)]
    batches = [({"a": A[part], "b": B[part]}, [CLASSES[part], NUMBERS[part]]) for part in parts]
    curves.append(compiled(two_towers()).fit(batches, epochs=2, shuffle=False, verbose=0).history)
    assert all(curve == curves[0] for curve in curves)
    assert set(curves[0]) == {"loss", "cls_loss", "reg_loss"}
    total = [c + 0.5 * r for c, r in zip(curves[0]["cls_loss"], curves[0]["reg_loss"], strict=True)]
    assert curves[0]["loss"] == pytest.approx(total)


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_arrays_on_disk_are_read_in_slices(shuffle: Any) -> None:
    ways = (
        ([A, B], [CLASSES, NUMBERS]),
        ([OnDisk(A), B], [CLASSES, OnDisk(NUMBERS)]),
        ({"b": OnDisk(B), "a": OnDisk(A)}, {"reg": OnDisk(NUMBERS), "cls": OnDisk(CLASSES)}),
    )
    found = []
    for x, y in ways:
        model = compiled(two_towers())
        history = model.fit(x, y, epochs=2, verbose=0, shuffle=shuffle, validation_split=0.2, batch_size=20).history
        assert len(model.evaluate(x, y)) == 3
        found.append([*model.get_weights(), history["loss"], *model.predict(x)])
    assert same(found[0], found[1])
    assert same(found[0], found[2])
    with pytest.raises(DataError, match="120 and 119 rows"):
        compiled(two_towers()).fit([OnDisk(A), B[:-1]], [CLASSES, NUMBERS], verbose=0)


def test_a_step_of_ones_own_gets_the_slices_of_arrays_on_disk() -> None:
    class Own(Sequential):
        def train_step(self, data: Any) -> dict[str, Any]:
            x, y = data
            assert len(x) == len(y) <= 50
            return super().train_step(data)

    models = [kind([Dense(1, input_dim=6)], seed=1) for kind in (Own, Sequential)]
    for model in models:
        model.compile(loss="mse", optimizer="adam")
        model.fit(OnDisk(A), NUMBERS, batch_size=50, epochs=2, verbose=0)
    assert same(*(model.get_weights() for model in models))


def test_metrics_weights_and_evaluation_of_each_output() -> None:
    model = compiled(two_towers(), metrics={"cls": ["accuracy"], "reg": "mae"})
    assert model.metrics_names == ["loss", "cls_loss", "reg_loss", "cls_accuracy", "reg_mae"]
    model.fit([A, B], [CLASSES, NUMBERS], epochs=2, verbose=0, validation_split=0.25)
    figures = model.evaluate([A, B], [CLASSES, NUMBERS], return_dict=True)
    classes, numbers = model.predict([A, B])
    assert figures["cls_accuracy"] == pytest.approx((classes.argmax(1) == CLASSES).mean())
    assert figures["reg_mae"] == pytest.approx(np.abs(numbers - NUMBERS).mean(), rel=1e-5)
    half = (np.arange(120) % 2).astype(np.float32)
    weighted = model.evaluate([A, B], [CLASSES, NUMBERS], sample_weight={"reg": half}, return_dict=True)
    assert weighted["cls_loss"] == figures["cls_loss"]
    assert weighted["reg_loss"] == pytest.approx(float((half[:, None] * (numbers - NUMBERS) ** 2).mean()), rel=1e-5)
    assert same(model.predict_on_batch([A[:9], B[:9]]), [classes[:9], numbers[:9]])


def test_no_metrics_are_an_empty_list() -> None:
    assert compiled(two_towers(), metrics=[], weighted_metrics=[]).metrics == []


def test_a_sequential_passes_on_one_output() -> None:
    class Twice(nbdl.Layer):
        def build(self, b: Any, shape: Any) -> Any:
            return shape, shape

    for layers in ([Twice(input_dim=3), Dense(2)], [Dense(3, input_dim=3), Twice()]):
        with pytest.raises(ConfigError, match="gives 2 outputs, and a Sequential passes one on"):
            Sequential(layers).build()


def test_an_output_without_a_loss_is_only_predicted() -> None:
    model = two_towers()
    model.compile(loss={"cls": CROSS}, optimizer="sgd")
    before = [weight.numpy() for weight in model.get_layer("reg").weights]
    model.fit([A, B], {"cls": CLASSES}, epochs=1, verbose=0)
    assert same(before, [weight.numpy() for weight in model.get_layer("reg").weights])
    assert len(model.predict([A, B])) == 2


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (A, [CLASSES, NUMBERS], "a list of 2 arrays, or a dict by name, for a, b"),
        ([A], [CLASSES, NUMBERS], "got a list of 1"),
        ({"a": A}, [CLASSES, NUMBERS], "lacks b"),
        ({"a": A, "b": B, "c": B}, [CLASSES, NUMBERS], "has c"),
        ([A, B[:9]], [CLASSES, NUMBERS], "a has 120 rows, b has 9"),
        ([A, B], [CLASSES], "for cls, reg"),
        ([A, B], {"cls": CLASSES}, "lacks reg"),
        ([A, A], [CLASSES, NUMBERS], "b"),
    ],
)
def test_data_that_does_not_fit(x: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        compiled(two_towers()).fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": {"clss": CROSS}}, "no output 'clss'. Did you mean 'cls'"),
        ({"loss": [CROSS]}, "something for each of the outputs cls, reg"),
        ({"loss": {}}, "needs a loss"),
        ({"loss": {"cls": CROSS}, "metrics": {"reg": "mae"}}, "needs a loss for the output reg"),
        ({"loss": [CROSS, "mse"], "loss_weights": {"reg": True}}, "a number for each output"),
    ],
)
def test_a_compile_that_does_not_fit(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        two_towers().compile(**arguments)


# -- files and copies ---------------------------------------------------------------------------------------------


def test_a_graph_comes_back_from_files_and_copies(tmp_path: Path) -> None:
    model = compiled(two_towers(), metrics={"cls": "accuracy"})
    model.fit([A, B], [CLASSES, NUMBERS], epochs=1, verbose=0)
    model.save(tmp_path / "model.nbdl")
    others = [nbdl.load_model(tmp_path / "model.nbdl"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    predicted = model.predict([A, B])
    curve = model.fit([A, B], [CLASSES, NUMBERS], epochs=2, verbose=0).history
    for other in others:
        assert same(other.predict([A, B]), predicted)
        assert other.fit([A, B], [CLASSES, NUMBERS], epochs=2, verbose=0).history == curve
    again = Model.from_config(model.get_config())
    assert again.get_config() == model.get_config()
    clone = nbdl.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert same(clone.predict([A, B]), model.predict([A, B]))
    model.save_weights(tmp_path / "weights.npz")
    again.load_weights(tmp_path / "weights.npz")
    assert same(again.predict([A, B]), model.predict([A, B]))


def nested() -> Model:
    inner = Sequential([Dense(5, activation="tanh", input_dim=6), Dense(6)], name="block", seed=4)
    a = Input(shape=(6,))
    middle = Model(a, Add()([a, inner(a)]), name="residual", seed=5)
    x = Input(shape=(6,))
    return Model(x, Dense(1)(middle(inner(x))), seed=6)


def test_models_within_models(tmp_path: Path) -> None:
    model = nested()
    assert model.count_params() == 35 + 36 + 7
    names = sorted(model.network.named_weights())
    assert names[0] == "block/dense_1/bias"
    model.compile(loss="mse", optimizer="adam")
    model.fit(A, NUMBERS, epochs=2, verbose=0)
    model.save(tmp_path / "model.nbdl")
    for other in (nbdl.load_model(tmp_path / "model.nbdl"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.predict(A), model.predict(A))
    inner = model.layers[1]
    assert isinstance(inner, Sequential)
    inner.trainable = False
    assert len(model.trainable_weights) == 2


def test_a_damaged_graph_in_a_file_is_refused() -> None:
    config = two_towers().get_config()
    for change in (
        {"outputs": [[99, 0]]},
        {"inputs": [[0, 5]]},
        {"calls": [{"layer": 99, "inputs": [[0, 0]]}]},
        {"calls": [{"inputs": [[0, 0]]}]},
    ):
        with pytest.raises(FileFormatError, match="not a model's config"):
            Model.from_config({**config, **change})


# -- shared weights -----------------------------------------------------------------------------------------------


def test_callbacks_take_a_model_over_the_layers_of_others(tmp_path: Path) -> None:
    inner = Sequential([Dense(3, input_dim=6)], seed=1)
    a = Input(shape=(6,))
    model = Model(a, Dense(1)(inner(a)), seed=1)
    inner.compile(loss="mse", optimizer="sgd")  # it has weights in a block of its own
    model.compile(loss="mse", optimizer="adam")
    callbacks = [
        nbdl.callbacks.ModelCheckpoint(tmp_path / "{epoch}.nbdl", monitor="val_loss", save_best_only=True),
        nbdl.callbacks.EarlyStopping(restore_best_weights=True),
        nbdl.callbacks.ReduceLROnPlateau(),
        nbdl.callbacks.TerminateOnNaN(),
        nbdl.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    model.fit(A, NUMBERS, epochs=3, verbose=0, validation_split=0.2, callbacks=callbacks)
    assert len(model.network.store.blocks) == 2
    assert (tmp_path / "1.nbdl").exists()


def test_a_part_of_a_model_is_a_model_over_the_same_weights() -> None:
    chain = Sequential([Dense(5, activation="relu", input_dim=6, name="h"), Dense(2, activation="softmax")], seed=1)
    chain.compile(loss=CROSS, optimizer="sgd")
    part = Model(chain.input, chain.get_layer("h").output)
    before = part.predict(A)
    view = part.weights[0].value
    chain.fit(A, CLASSES, epochs=1, verbose=0)
    assert not np.array_equal(part.predict(A), before)
    assert np.shares_memory(view, chain.weights[0].value)
    kernel, bias = chain.get_weights()[:2]
    assert np.allclose(part.predict(A), np.maximum(A @ kernel + bias, 0.0), atol=1e-5)


def test_a_chain_that_grows_has_new_symbols_and_one_within_a_model_does_not_grow() -> None:
    chain = Sequential([Dense(5, input_dim=6), Dense(3)], name="chain", seed=1)
    first = chain.layers[0].output
    assert chain.output.shape == (None, 3)
    chain.add(Dense(2))
    assert chain.output.shape == (None, 2)
    assert chain.layers[0].output is not first
    a = Input(shape=(6,))
    outer = Model(a, Dense(1)(chain(a)), name="outer")
    for change in (chain.pop, lambda: chain.add(Dense(4))):
        with pytest.raises(ConfigError, match="'chain' is part of model 'outer'"):
            change()
    del outer
    gc.collect()
    chain.pop()


def test_two_models_train_layers_that_they_share() -> None:
    """A GAN's two steps: each changes its own half of the weights, through both halves."""
    maker = Sequential([Dense(6, activation="tanh", input_dim=3), Dense(4)], name="maker", seed=1)
    judge = Sequential([Dense(8, activation="relu", input_dim=4), Dense(1, activation="sigmoid")], name="judge", seed=2)
    judge.compile(loss="binary_crossentropy", optimizer="adam")
    z = Input(shape=(3,))
    both = Model(z, judge(maker(z)), seed=3)
    both.compile(loss="binary_crossentropy", optimizer="adam")
    noise = A[:, :3]
    for _ in range(3):
        judge.trainable = True
        before = maker.get_weights()
        judge.train_on_batch(np.concatenate([B, maker.predict(noise)]), np.repeat([1.0, 0.0], 120))
        assert same(before, maker.get_weights())
        judge.trainable = False
        before = judge.get_weights()
        both.train_on_batch(noise, np.ones(120))
        assert same(before, judge.get_weights())
        assert not same(maker.get_weights(), before[: len(maker.get_weights())])
    with pytest.raises(ConfigError, match="Set trainable = True before its own steps"):
        judge.train_on_batch(B, np.ones(120))
    assert len(both.network.store.blocks) == 2
    assert np.allclose(both.predict(noise), judge.predict(maker.predict(noise)), atol=1e-6)


def test_add_loss_adds_the_mean_of_a_symbol() -> None:
    a = Input(shape=(6,))
    h = Dense(3, name="h")(a)
    model = Model(a, Dense(6)(h), seed=1)
    model.add_loss(Lambda(lambda x: 0.5 * x * x)(h))
    model.compile(loss="mse", optimizer="sgd")
    kernel, bias, back, last = model.get_weights()
    hidden = A @ kernel + bias
    wanted = ((hidden @ back + last - A) ** 2).mean() + (0.5 * hidden**2).sum(axis=1).mean()
    assert model.evaluate(A, A) == pytest.approx(wanted, rel=1e-5)
    first = model.fit(A, A, epochs=1, verbose=0).history["loss"][0]
    assert model.fit(A, A, epochs=20, verbose=0).history["loss"][-1] < first
    with pytest.raises(ConfigError, match="Sequential has none"):
        Sequential([Dense(1, input_dim=2)]).add_loss(h)


# -- layers of one's own ------------------------------------------------------------------------------------------


class Halves(nbdl.Layer):
    """Two outputs: the first and the last half of the features."""

    def build(self, b: Any, shape: tuple[int, ...]) -> Any:
        self.half = shape[0] // 2
        return (self.half,), (shape[0] - self.half,)

    def forward(self, r: Any, x: Any) -> Any:
        return (r.slice(x, 0, self.half), r.slice(x, self.half, x.features)), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.concat(*dy)


def test_a_layer_with_several_outputs() -> None:
    a = Input(shape=(6,))
    left, right = Halves()(a)
    model = Model(a, [left, Dense(2)(right)], seed=1)
    model.compile(loss="mse", optimizer="sgd")
    found = model.predict(A)
    assert np.array_equal(found[0], A[:, :3])
    check_gradients((model, [A[:5]], [A[:5, :3], B[:5, :2]]))
    only = Model(a, Dense(1)(left), seed=1)
    only.compile(loss="mse", optimizer="sgd")
    check_gradients((only, [A[:5]], [NUMBERS[:5]]))


def test_integers_reach_the_layer_that_takes_them() -> None:
    words, numbers = Input(shape=(3,), name="words"), Input(shape=(6,), name="numbers")
    model = Model([words, numbers], Dense(1)(Concatenate()([Flatten()(Embedding(5, 2)(words)), numbers])), seed=1)
    model.compile(loss="mse", optimizer="sgd")
    rows = np.arange(360).reshape(120, 3) % 5
    model.fit([rows, A], NUMBERS, epochs=1, verbose=0)
    with pytest.raises(DataError, match="words goes from 1 to 5"):
        model.predict([rows + 1, A])


# -- what is refused ------------------------------------------------------------------------------------------------


def test_layers_of_several_inputs_are_functions_in_lower_case() -> None:
    from nbdl import layers

    x, y = Input(shape=(3,)), Input(shape=(3,))
    assert layers.add([x, y]).shape == (None, 3)
    assert layers.concatenate([x, y], axis=1).shape == (None, 6)
    assert layers.dot([x, y], axes=1, normalize=True).shape == (None, 1)
    assert Model([x, y], layers.multiply([x, layers.maximum([x, y])])).predict([A[:2, :3]] * 2).shape == (2, 3)
    with pytest.raises(TypeError, match="axis"):
        layers.add([x, y], axis=3)


def test_what_is_no_graph_is_refused() -> None:
    a, b = Input(shape=(6,)), Input(shape=(4,))
    x = Dense(3)(a)
    for wrong, message in (
        (lambda: Model(a, Dense(1)(b)), "not among the inputs"),
        (lambda: Model([a, a], x), "named twice"),
        (lambda: Model(a), "Model\\(inputs, outputs\\)"),
        (lambda: Model(a, A), "symbols are wanted"),
        (lambda: Dense(3)(A), "symbols are wanted"),
        (lambda: Dense(3)([a, b]), "takes one input, got 2"),
        (lambda: Add()([x]), "two inputs or more"),
        (lambda: Add()([x, b]), "rows of one shape"),
        (lambda: Subtract()([x, x, x]), "two inputs, got 3"),
        (lambda: x + x, r"Add\(\)"),
        (lambda: a(x), "declares an input"),
        (lambda: Concatenate()([a, Input(shape=(2, 2))]), "other axes"),
        (lambda: Concatenate(axis=0), "from 1 on"),
        (lambda: Lambda(lambda p, q: p * q)(a), "takes 2 inputs, got 1"),
        (lambda: Model(a, [Dense(1, name="n")(a), Dense(1, name="n")(a)]), "two layers are called"),
    ):
        with pytest.raises(ConfigError, match=message):
            wrong()


def test_a_lambda_of_ones_own_function_is_not_saved(tmp_path: Path) -> None:
    a = Input(shape=(6,))
    with pytest.raises(ConfigError, match="cannot be written"):
        Model(a, Lambda(lambda x: x * x)(a)).save(tmp_path / "model.nbdl")
    Model(a, Lambda("tanh")(a)).save(tmp_path / "model.nbdl")
    assert np.allclose(nbdl.load_model(tmp_path / "model.nbdl").predict(A), np.tanh(A), atol=1e-6)


# -- compiled code ----------------------------------------------------------------------------------------------------


def test_a_net_of_several_inputs_takes_them_side_by_side() -> None:
    model = two_towers()
    net = model.as_njit(derivatives=True)
    rows = np.concatenate([A, B], axis=1)
    assert (net.inputs, net.outputs) == (10, 3)
    assert np.array_equal(net(rows), np.concatenate(model.predict([A, B]), axis=1))
    step, one = 1e-2, rows[0].astype(np.float64)
    found = net.jacobian(rows[0])
    for column in range(10):
        ends = [net((one + sign * step * np.eye(10)[column]).astype(np.float32)) for sign in (1.0, -1.0)]
        assert np.allclose(found[:, column], (ends[0] - ends[1]) / (2.0 * step), atol=2e-3)
    assert same(model([A[0], B[0]]), [one[0] for one in model.predict([A[:1], B[:1]])])


# -- layers within layers -------------------------------------------------------------------------------------------


class Residual(nbdl.Layer):
    """x + tanh(x·W)·V, of two layers within."""

    def __init__(self, units: int) -> None:
        self.units = units
        self.up, self.down = Dense(units, activation="tanh", name="up"), None

    def build(self, b: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.down = Dense(shape[0])
        b.layer(self.down, b.layer(self.up, shape))
        return shape

    def forward(self, r: Any, x: Any) -> Any:
        h, up = self.up.applied(r, x)
        y, down = self.down.applied(r, h)
        return r.map(plus, x, y), (up, down)

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        up, down = saved
        return r.map(plus, dy, self.up.propagated(r, up, self.down.propagated(r, down, dy)))


def plus(a: float, b: float) -> float:
    return a + b


def test_layers_within_a_layer_have_names_gradients_and_places_in_files(tmp_path: Path) -> None:
    nbdl.register(Residual, kind="layers")
    model = Sequential([Residual(4, input_shape=(6,), name="block"), Dense(1)], seed=1)
    names = [weight.name for weight in model.weights]
    assert names[:4] == ["block/up/kernel", "block/up/bias", "block/dense_1/kernel", "block/dense_1/bias"]
    model.compile(loss="mse", optimizer="adam")
    check_gradients((model, [A[:6]], [NUMBERS[:6]]))
    model.fit(A, NUMBERS, epochs=1, verbose=0)
    model.save(tmp_path / "model.nbdl")
    assert np.array_equal(nbdl.load_model(tmp_path / "model.nbdl").predict(A), model.predict(A))
    model.layers[0].up.trainable = False
    assert next(weight.name for weight in model.trainable_weights) == "block/dense_1/kernel"
    before = model.layers[0].up.get_weights()
    model.fit(A, NUMBERS, epochs=1, verbose=0)
    assert same(before, model.layers[0].up.get_weights())


# -- steps of one's own -----------------------------------------------------------------------------------------------


def test_a_step_of_ones_own_is_that_of_fit() -> None:
    def made(kind: Any) -> Any:
        model = kind([Dense(8, activation="tanh", input_dim=6), Dropout(0.2), Dense(1)], seed=4)
        model.compile(loss="mse", optimizer="adam")
        return model

    class Own(Sequential):
        def train_step(self, data: Any) -> dict[str, float]:
            x, y = data
            loss, gradients = nbdl.value_and_gradient(self, x, y)
            self.optimizer.apply(gradients, self)
            return {"loss": loss}

    own, usual = made(Own), made(Sequential)
    how = {"epochs": 3, "batch_size": 50, "verbose": 0, "validation_split": 0.25}
    histories = [model.fit(A, NUMBERS, **how).history for model in (own, usual)]
    assert same(own.get_weights(), usual.get_weights())
    assert histories[0]["val_loss"] == histories[1]["val_loss"]
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-5)
    assert own.optimizer.iterations == 6


def test_a_step_of_ones_own_does_not_fit() -> None:
    class Again(Sequential):
        def train_step(self, data: Any) -> Any:
            return self.fit(*data, verbose=0)

    model = Again([Dense(1, input_dim=6)], seed=1)
    model.compile(loss="mse", optimizer="adam")
    with pytest.raises(ConfigError, match="fit was called within this model's train_step"):
        model.fit(A, NUMBERS, verbose=0)
    assert model.train_on_batch(A, NUMBERS) > 0.0


def test_a_step_of_ones_own_may_add_to_the_usual_one() -> None:
    class Watched(Sequential):
        def train_step(self, data: Any) -> dict[str, Any]:
            before = self.get_weights()
            figures = super().train_step(data)
            return {
                **figures,
                "moved": max(float(np.abs(a - b).max()) for a, b in zip(before, self.get_weights(), strict=True)),
            }

    weights = np.linspace(0.0, 2.0, len(A))
    made = [kind([Dense(4, "relu", input_dim=6), Dropout(0.2), Dense(1)], seed=1) for kind in (Watched, Sequential)]
    found = []
    for model in made:
        model.compile(loss="mse", optimizer=nbdl.optimizers.SGD(0.01), metrics=["mae"])
        found.append(model.fit(A, NUMBERS, sample_weight=weights, epochs=2, verbose=0).history)
    assert same(*(model.get_weights() for model in made))
    assert 0.0 < found[0].pop("moved")[0] < 1.0
    assert found[0] == {name: pytest.approx(values, rel=1e-5) for name, values in found[1].items()}


def test_gradients_that_do_not_fit_are_refused() -> None:
    model = Sequential([Dense(1, input_dim=6)], seed=1)
    loss, gradients = nbdl.value_and_gradient(model, A, NUMBERS, "mse")
    optimizer = nbdl.optimizers.SGD(0.1)
    before = model.get_weights()
    for wrong in (gradients[:1], [*gradients, gradients[0]], [gradients[0].T, gradients[1]]):
        with pytest.raises(ConfigError):
            optimizer.apply(wrong, model)
    with pytest.raises(nbdl.errors.DivergenceError, match="dense_1/kernel is not finite"):
        optimizer.apply([gradients[0] * np.nan, gradients[1]], model)
    assert same(before, model.get_weights())
    optimizer.apply(gradients, model)
    assert nbdl.value_and_gradient(model, A, NUMBERS, "mse")[0] < loss


# -- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model in two.nbdl, and its data in two.npz."""
    monkeypatch.chdir(tmp_path)
    model = compiled(two_towers(), metrics={"cls": ["accuracy"]})
    model.fit([A, B], [CLASSES, NUMBERS], epochs=1, verbose=0)
    model.save("two.nbdl")
    np.savez("two.npz", a=A, b=B, cls=CLASSES, reg=NUMBERS)
    return model


def command(*arguments: str, code: int = 0) -> str:
    """Run a command and return what it printed."""
    found = CliRunner().invoke(app, list(arguments), prog_name="nbdl")
    assert found.exit_code == code, (found.output, found.exception)
    return found.output


def test_the_command_line_evaluates_a_graph(saved: Model) -> None:
    found = json.loads(command("evaluate", "two.nbdl", "two.npz", "--json"))
    wanted = saved.evaluate([A, B], [CLASSES, NUMBERS], verbose=0, return_dict=True)
    assert found.pop("rows") == len(A)
    assert found == pytest.approx({name: float(value) for name, value in wanted.items()})


def test_the_command_line_predicts_with_a_graph(saved: Model) -> None:
    command("predict", "two.nbdl", "two.npz", "-o", "answers.csv")
    names, *rows = csv.reader(Path("answers.csv").read_text().splitlines())
    assert names == ["prediction_cls_1", "prediction_cls_2", "prediction_reg"]
    wanted = np.concatenate(saved.predict([A, B]), axis=1)
    np.testing.assert_allclose(np.array(rows, float), wanted, rtol=1e-6)
    assert "replaced earlier answers" in command("predict", "two.nbdl", "two.npz", "-o", "answers.csv")


def test_the_command_line_predicts_with_a_chain_that_knows_no_columns(saved: Model) -> None:
    chain = Sequential([Dense(1, input_dim=6)], seed=1)
    chain.save("chain.nbdl")
    np.savez("chain.npz", x=A)
    names, *rows = csv.reader(command("predict", "chain.nbdl", "chain.npz").splitlines())
    assert names == ["prediction"]
    np.testing.assert_allclose(np.array(rows, float), chain.predict(A), rtol=1e-6)
    assert "not compiled" in command("evaluate", "chain.nbdl", "chain.npz", code=2)


def test_the_command_line_tells_of_a_graph(saved: Model) -> None:
    shown = command("summary", "two.nbdl")
    assert "Connected to" in shown
    assert "sparse_categorical_crossentropy of cls, mean_squared_error of reg" in shown
    assert "gemm" in command("explain", "two.nbdl")
    assert "exported" in command("export", "two.nbdl", "--to", "c")


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, ("predict", "two.nbdl", "digits"), r"numpy.savez\(file, a=..., b=..., cls=..., reg=...\)"),
        (3, ("predict", "two.nbdl", "other.npz"), "has no array b. Arrays: a"),
        (3, ("evaluate", "two.nbdl", "inputs.npz"), "has no array cls, reg"),
        (3, ("evaluate", "two.nbdl", "missing.npz"), "no such file"),
        (3, ("evaluate", "two.nbdl", "text.npz"), "not a whole .npz file"),
        (2, ("predict", "two.nbdl", "two.npz", "--format", "csv"), "arrays are read as they are"),
        (2, ("predict", "two.nbdl", "two.npz", "--proba"), "know their classes"),
    ],
)
def test_data_that_the_command_line_cannot_give_a_graph(
    saved: Model, code: int, arguments: tuple[str, ...], message: str
) -> None:
    np.savez("other.npz", a=A)
    np.savez("inputs.npz", a=A, b=B)
    Path("text.npz").write_text("a,b\n1,2\n")
    assert re.search(message, " ".join(command(*arguments, code=code).split()))
