"""The workflow of Keras, as the lecture and Keras's own users write it: names, arguments, orders, numbers, messages."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Callback, Sequential, load_model, model_from_json, set_random_seed
from nbdl.callbacks import EarlyStopping, History
from nbdl.errors import ConfigError, DataError, DivergenceError, FileFormatError, UnknownNameError
from nbdl.layers import Activation, Dense, Dropout, Flatten, Input
from nbdl.model.owner import job_of
from nbdl.optimizers import SGD, Adam

FEATURES, CLASSES = 12, 4


def rows(count: int, features: int = FEATURES, classes: int = CLASSES, seed: int = 0) -> tuple[Any, Any]:
    """Inputs around one prototype per class, and one-hot targets."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    prototypes = np.random.default_rng(7).random((classes, features))
    x = prototypes[labels] + 0.1 * random.standard_normal((count, features))
    return x.astype(np.float32), np.eye(classes, dtype=np.float32)[labels]


def small(optimizer: Any = "adam", metrics: Any = ("accuracy",), seed: int = 3, **options: Any) -> Sequential:
    """A compiled little net."""
    model = Sequential(
        [Dense(9, activation="tanh", input_dim=FEATURES), Dense(CLASSES, activation="softmax")], seed=seed
    )
    model.compile(loss="categorical_crossentropy", optimizer=optimizer, metrics=list(metrics), **options)
    return model


def same_weights(a: Sequential, b: Sequential) -> bool:
    """To the bit."""
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


# -- the lecture's program ----------------------------------------------------------------------------------

KERAS_1 = """
from keras.models import Sequential
from keras.layers.core import Dense, Dropout, Activation
from keras.optimizers import SGD, Adam
from keras.utils import np_utils

y_train = np_utils.to_categorical(labels_train, nb_classes=10)
y_test = np_utils.to_categorical(labels_test, 10)

model = Sequential()
model.add(Dense(input_dim=28*28, output_dim=500))
model.add(Activation('sigmoid'))
model.add(Dense(output_dim=500))
model.add(Activation('sigmoid'))
model.add(Dense(output_dim=10))
model.add(Activation('softmax'))

model.compile(loss='categorical_crossentropy',
              optimizer='adam',
              metrics=['accuracy'])
model.fit(x_train, y_train, batch_size=100, nb_epoch=20)

score = model.evaluate(x_test, y_test)
print('Total loss on Testing Set:', score[0])
print('Accuracy of Testing Set:', score[1])
result = model.predict(x_test)
"""

KERAS_2 = """
from keras.models import Sequential
from keras.layers import Dense, Dropout, Activation
from keras.optimizers import SGD, Adam
from keras.utils import to_categorical

y_train = to_categorical(labels_train, num_classes=10)
y_test = to_categorical(labels_test, 10)

model = Sequential()
model.add(Dense(input_dim=28*28, units=500, activation='sigmoid'))
model.add(Dense(units=500, activation='sigmoid'))
model.add(Dense(units=10, activation='softmax'))

model.compile(loss='categorical_crossentropy', optimizer='adam', metrics=['accuracy'])
model.fit(x_train, y_train, batch_size=100, epochs=20)

score = model.evaluate(x_test, y_test)
print('Total loss on Testing Set:', score[0])
print('Accuracy of Testing Set:', score[1])
result = model.predict(x_test)
"""

PROGRAMS = {"keras 1": KERAS_1, "keras 2": KERAS_2}


def run_program(text: str, **names: Any) -> dict[str, Any]:
    """A Keras program, with nbdl in Keras's place."""
    exec(compile(text.replace("keras", "nbdl"), "<the lecture>", "exec"), names)
    return names


@pytest.mark.parametrize("spelling", PROGRAMS)
def test_the_lectures_program(spelling: str, capsys: pytest.CaptureFixture[str]) -> None:
    x_train, y_train = rows(500, 784, 10)
    x_test, y_test = rows(150, 784, 10, seed=1)
    set_random_seed(1)
    names = run_program(
        PROGRAMS[spelling],
        x_train=x_train, x_test=x_test, labels_train=y_train.argmax(1), labels_test=y_test.argmax(1),
    )  # fmt: skip
    assert names["score"][1] > 0.9
    assert names["result"].shape == (150, 10)
    assert names["model"].count_params() == 648_010
    printed = capsys.readouterr().out
    assert printed.count("Epoch ") == 20
    assert "Accuracy of Testing Set: " in printed


def test_both_spellings_are_the_same_net_to_the_bit() -> None:
    x, y = rows(200, 784, 10)
    data = {"x_train": x, "x_test": x, "labels_train": y.argmax(1), "labels_test": y.argmax(1)}
    results = []
    for text in (KERAS_1.replace("nb_epoch=20", "nb_epoch=2"), KERAS_2.replace("epochs=20", "epochs=2")):
        set_random_seed(5)
        results.append(run_program(text, **data)["result"])
    assert np.array_equal(*results)


@pytest.mark.parametrize("spelling", PROGRAMS)
def test_the_lectures_program_on_mnist(spelling: str) -> None:
    if not os.environ.get("NBDL_DATA"):
        pytest.skip("NBDL_DATA names no folder with MNIST")
    try:
        (x_train, labels_train), (x_test, labels_test) = nbdl.datasets.mnist.load_data()
    except DataError as error:
        pytest.skip(f"MNIST is not in NBDL_DATA: {error}")
    set_random_seed(1)
    names = run_program(
        re.sub(r"(nb_epoch|epochs)=20", r"\1=1", PROGRAMS[spelling]),
        x_train=x_train.reshape(60000, 784) / np.float32(255), labels_train=labels_train,
        x_test=x_test.reshape(10000, 784) / np.float32(255), labels_test=labels_test,
    )  # fmt: skip
    # Keras 3 on JAX, four seeds: 0.9268 to 0.9308; nbdl: 0.9271 to 0.9323.
    assert names["score"][1] > 0.92


SUMMARY = """\
Model: "sequential"
_________________________________________________________________
Layer (type)                 Output Shape              Param #
=================================================================
dense_1 (Dense)              (None, 500)               392500
_________________________________________________________________
activation_1 (Activation)    (None, 500)               0
_________________________________________________________________
dense_2 (Dense)              (None, 500)               250500
_________________________________________________________________
activation_2 (Activation)    (None, 500)               0
_________________________________________________________________
dense_3 (Dense)              (None, 10)                5010
_________________________________________________________________
activation_3 (Activation)    (None, 10)                0
=================================================================
Total params: 648,010
Trainable params: 648,010
Non-trainable params: 0
_________________________________________________________________
"""


def lecture_net() -> Sequential:
    """784-500-500-10, the Keras 1 way."""
    model = Sequential()
    model.add(Dense(input_dim=28 * 28, output_dim=500))
    model.add(Activation("sigmoid"))
    model.add(Dense(output_dim=500))
    model.add(Activation("sigmoid"))
    model.add(Dense(output_dim=10))
    model.add(Activation("softmax"))
    return model


def test_the_summary_of_the_lectures_net(capsys: pytest.CaptureFixture[str]) -> None:
    lecture_net().summary()
    assert capsys.readouterr().out == SUMMARY


def test_summary_goes_where_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []
    lecture_net().summary(print_fn=lines.append)
    assert "\n".join(lines) + "\n" == SUMMARY
    assert capsys.readouterr().out == ""


# -- building -----------------------------------------------------------------------------------------------


def test_a_list_or_one_by_one() -> None:
    listed = Sequential([Dense(5, input_dim=3), Dense(2)], seed=1)
    added = Sequential(seed=1)
    added.add(Dense(5, input_shape=(3,)))
    added.add(Dense(2))
    assert same_weights(listed, added)
    assert [layer.name for layer in listed.layers] == ["dense_1", "dense_2"]
    assert listed.output_shape == (2,)
    assert listed.input_shape == (3,)


def test_an_input_layer_or_build_gives_the_shape() -> None:
    with_input = Sequential([Input(shape=(3,)), Dense(5)], seed=1)
    built = Sequential([Dense(5)], seed=1)
    assert not built.built
    built.build((None, 3))
    assert built.built
    assert same_weights(with_input, built)


def test_the_shape_may_come_from_the_data() -> None:
    model = Sequential([Dense(CLASSES, activation="softmax")])
    model.compile(loss="categorical_crossentropy", optimizer="sgd")
    x, y = rows(20)
    model.fit(x, y, verbose=0)
    assert model.input_shape == (FEATURES,)


def test_pop_takes_the_last_layer_and_weights_stay() -> None:
    model = Sequential([Dense(5, input_dim=3), Dense(2)])
    kept = model.get_weights()[:2]
    popped = model.pop()
    assert popped.name == "dense_2"
    model.add(Dense(7))
    assert model.output_shape == (7,)
    assert all(np.array_equal(a, b) for a, b in zip(kept, model.get_weights()[:2], strict=True))


def test_layers_by_name_and_index() -> None:
    model = Sequential([Dense(5, input_dim=3, name="first"), Dense(2)])
    assert model.get_layer("first") is model.layers[0]
    assert model.get_layer(index=1) is model.layers[1]
    assert model.get_layer(index=-1) is model.layers[1]
    assert model.get_layer(name="dense_1") is model.layers[1]


def test_weights_are_kernel_and_bias_layer_by_layer() -> None:
    model = Sequential([Dense(5, input_dim=3), Dense(2, use_bias=False)])
    assert [weight.shape for weight in model.get_weights()] == [(3, 5), (5,), (5, 2)]
    new = [np.full_like(weight, 0.5) for weight in model.get_weights()]
    model.set_weights(new)
    got = model.get_weights()
    assert all((weight == 0.5).all() for weight in got)
    got[0][...] = 9.0
    assert (model.get_weights()[0] == 0.5).all(), "get_weights returns copies"


def test_compile_takes_optimizer_loss_metrics_in_that_order() -> None:
    model = Sequential([Dense(CLASSES, activation="softmax", input_dim=FEATURES)])
    model.compile("adam", "categorical_crossentropy", ["accuracy"])
    assert isinstance(model.optimizer, type(Adam()))
    assert model.metrics_names == ["loss", "accuracy"]
    model.compile(SGD(lr=0.1), loss="mse")
    assert model.optimizer.learning_rate == 0.1
    assert model.metrics_names == ["loss"]
    model.compile(loss="mse")
    assert type(model.optimizer).__name__ == "RMSprop", "Keras's default"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"output_dim": 3}, {"units": 3}),
        ({"units": 3, "init": "zeros"}, {"units": 3, "kernel_initializer": "zeros"}),
        ({"units": 3, "bias": False}, {"units": 3, "use_bias": False}),
        ({"units": 3, "W_regularizer": "l2"}, {"units": 3, "kernel_regularizer": "l2"}),
    ],
)
def test_keras_1_spellings_of_dense(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert Dense(**old).get_config() == Dense(**new).get_config()


def test_an_activation_layer_is_the_activation_argument() -> None:
    x, y = rows(64)
    argument = small(seed=4)
    layer = Sequential(
        [Dense(9, input_dim=FEATURES), Activation("tanh"), Dense(CLASSES), Activation("softmax")], seed=4
    )
    layer.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])

    def program(model: Sequential) -> list[tuple[str, str]]:
        return [(one.kind, one.title) for one in model.program("train").operations]

    assert program(argument) == program(layer)
    first = argument.fit(x, y, epochs=3, verbose=0).history
    second = layer.fit(x, y, epochs=3, verbose=0).history
    assert first == second
    assert same_weights(argument, layer)
    assert np.array_equal(argument.predict(x), layer.predict(x))


@pytest.mark.parametrize("schedule", [False, True])
def test_explain_mentions_every_layer(schedule: bool) -> None:
    model = Sequential([Dense(9, input_dim=FEATURES, name="one"), Activation("relu", name="two"), Dropout(0.1),
                        Dense(CLASSES, name="three", activation="softmax")])  # fmt: skip
    lines: list[str] = []
    model.explain(schedule=schedule, print_fn=lines.append)
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    trained: list[str] = []
    model.explain(schedule=schedule, batch_size=16, print_fn=trained.append)
    for name in ("one", "three"):
        assert any(name in line for line in lines), name
    for name in ("one", "two", "dropout_1", "three", "adam"):
        assert any(name in line for line in trained), name


# -- fit ----------------------------------------------------------------------------------------------------


class Recorder(Callback):
    """Writes down every call, with what the logs hold."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def note(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, *(sorted(one) if isinstance(one, dict) else one for one in arguments)))

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]


class EpochRecorder(Recorder):
    """Without batch hooks, so that the engine runs whole slices."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.note("train_begin", logs)

    def on_train_end(self, logs: Any = None) -> None:
        self.note("train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.note("epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.note("epoch_end", epoch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        self.note("test_begin")

    def on_test_end(self, logs: Any = None) -> None:
        self.note("test_end")


class BatchRecorder(EpochRecorder):
    """With them."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.note("batch_begin", batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.note("batch_end", batch, logs)


def test_callbacks_are_called_in_keras_order() -> None:
    x, y = rows(50)
    recorder = BatchRecorder()
    small().fit(x, y, batch_size=20, epochs=2, verbose=0, callbacks=[recorder], validation_split=0.2)
    train = ["accuracy", "loss"]
    both = [*train, "val_accuracy", "val_loss"]
    batches = [call for step in range(2) for call in (("batch_begin", step), ("batch_end", step, train))]
    epochs = [
        [("epoch_begin", epoch, []), *batches, ("test_begin",), ("test_end",), ("epoch_end", epoch, both)]
        for epoch in range(2)
    ]
    assert recorder.calls == [("train_begin", []), *itertools.chain(*epochs), ("train_end", both)]


def test_batch_hooks_do_not_change_the_result() -> None:
    x, y = rows(50)
    slices, steps = small(), small()
    first = slices.fit(x, y, batch_size=7, epochs=3, verbose=0)
    second = steps.fit(x, y, batch_size=7, epochs=3, verbose=0, callbacks=[BatchRecorder()])
    assert same_weights(slices, steps)
    assert first.history == second.history


def test_the_last_short_batch_is_kept() -> None:
    x, y = rows(50)
    recorder = BatchRecorder()
    small().fit(x, y, batch_size=20, verbose=0, callbacks=[recorder])
    assert recorder.names().count("batch_end") == 3
    assert recorder.params["steps"] == 3


def test_batch_size_is_32_and_epochs_1() -> None:
    x, y = rows(65)
    recorder = BatchRecorder()
    small().fit(x, y, verbose=0, callbacks=[recorder])
    known = {"epochs": 1, "steps": 3, "verbose": 0, "batch_size": 32, "initial_epoch": 0, "do_validation": False}
    assert recorder.params == {**known, "figures": None}
    assert recorder.names().count("epoch_end") == 1


def test_a_batch_larger_than_the_data() -> None:
    x, y = rows(10)
    one, other = small(), small()
    one.fit(x, y, batch_size=10, verbose=0)
    other.fit(x, y, batch_size=1000, verbose=0)
    assert same_weights(one, other)


def test_nb_epoch_is_epochs() -> None:
    x, y = rows(40)
    assert small().fit(x, y, nb_epoch=3, verbose=0).epoch == [0, 1, 2]
    assert small().fit(x, y, 32, 2, 0).epoch == [0, 1], "batch_size, epochs, verbose by position"


def test_initial_epoch_counts_on() -> None:
    x, y = rows(40)
    recorder = EpochRecorder()
    history = small().fit(x, y, epochs=5, initial_epoch=3, verbose=0, callbacks=[recorder])
    assert history.epoch == [3, 4]
    assert [call[1] for call in recorder.calls if call[0] == "epoch_begin"] == [3, 4]


def test_going_on_is_one_long_run() -> None:
    x, y = rows(40)
    whole, parts = small(), small()
    whole.fit(x, y, epochs=4, batch_size=16, verbose=0)
    parts.fit(x, y, epochs=1, batch_size=16, verbose=0)
    parts.fit(x, y, epochs=4, initial_epoch=1, batch_size=16, verbose=0)
    assert same_weights(whole, parts)


LINE = r"Epoch {n}/2 - [\d.]+s [\d.e+]+(s|ms|us)/step - loss: \d\.\d{{4}} - accuracy: \d\.\d{{4}}"


@pytest.mark.parametrize("verbose", [1, 2, "auto"])
def test_a_line_per_epoch_where_there_is_no_terminal(verbose: Any, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = rows(200)
    small(SGD(0.001)).fit(x, y, epochs=2, verbose=verbose)
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines, 1):
        assert re.fullmatch(LINE.format(n=number), line), line
    assert not set(out) & set("\b\r\x1b")


def test_verbose_0_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = rows(40)
    model = small()
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    model.predict(x)
    assert capsys.readouterr() == ("", "")


def test_validation_split_takes_the_last_rows_unshuffled() -> None:
    x, y = rows(50)
    y[40:] = np.roll(y[40:], 1, axis=1)  # wrong classes: the last rows are told from the others by their loss
    model = small(SGD(0.0))
    history = model.fit(x, y, validation_split=0.2, verbose=0).history
    assert history["val_loss"][0] == model.evaluate(x[40:], y[40:])[0]
    assert history["loss"][0] == pytest.approx(model.evaluate(x[:40], y[:40])[0], rel=1e-6)
    assert history["val_loss"][0] != pytest.approx(history["loss"][0], rel=0.01)


@pytest.mark.parametrize(("count", "share", "kept"), [(50, 0.2, 40), (10, 0.25, 7), (7, 0.5, 3), (100, 0.1, 90)])
def test_validation_split_rounds_as_keras_does(count: int, share: float, kept: int) -> None:
    x, y = rows(count)
    recorder = BatchRecorder()
    small().fit(x, y, batch_size=1, validation_split=share, verbose=0, callbacks=[recorder])
    assert recorder.params["steps"] == kept


def test_the_split_off_rows_are_not_trained_on() -> None:
    x, y = rows(50)
    split, alone = small(), small()
    split.fit(x, y, epochs=2, validation_split=0.2, verbose=0)
    alone.fit(x[:40], y[:40], epochs=2, verbose=0)
    assert same_weights(split, alone)


def test_validation_data_wins_over_the_split() -> None:
    x, y = rows(50)
    other_x, other_y = rows(30, seed=2)
    model = small(SGD(0.0))
    recorder = BatchRecorder()
    history = model.fit(
        x, y, batch_size=10, validation_split=0.5, validation_data=(other_x, other_y), verbose=0, callbacks=[recorder]
    ).history
    assert recorder.params["steps"] == 5
    assert history["val_loss"][0] == model.evaluate(other_x, other_y)[0]


def test_validation_data_may_have_weights() -> None:
    x, y = rows(30)
    model = small(SGD(0.0))
    history = model.fit(x, y, validation_data=(x, y, np.full(30, 2.0)), verbose=0).history
    assert history["val_loss"][0] == pytest.approx(2 * model.evaluate(x, y)[0], rel=1e-6)


def test_without_shuffling_rows_come_in_order() -> None:
    x, y = rows(6)
    together, one_by_one = small(SGD(0.1)), small(SGD(0.1))
    together.fit(x, y, batch_size=1, shuffle=False, verbose=0)
    for row in range(6):
        one_by_one.fit(x[row : row + 1], y[row : row + 1], batch_size=1, shuffle=False, verbose=0)
    assert same_weights(together, one_by_one)


def test_shuffling_is_seeded_and_new_each_epoch() -> None:
    x, y = rows(40)

    def losses(shuffle: bool, seed: int) -> list[float]:
        seen: list[float] = []

        class Steps(Callback):
            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                seen.append(logs["loss"] * (batch + 1))

        small(SGD(0.0), seed=seed).fit(x, y, batch_size=1, epochs=2, shuffle=shuffle, verbose=0, callbacks=[Steps()])
        return [seen[0], *np.round(np.diff(seen[:40]), 4), *np.round(np.diff(seen[40:]), 4)]

    assert losses(True, 1) == losses(True, 1)
    assert losses(True, 1) != losses(False, 1)
    one, two = (losses(False, 1)[1:40], losses(False, 1)[40:])
    assert one == two, "without shuffling every epoch is the same"
    shuffled = losses(True, 1)
    assert shuffled[1:40] != shuffled[40:]


def test_sample_weight_scales_the_loss_only() -> None:
    x, y = rows(30)
    model = small()
    loss, accuracy = model.evaluate(x, y)
    weighted_loss, weighted_accuracy = model.evaluate(x, y, sample_weight=np.full(30, 3.0))
    assert weighted_loss == pytest.approx(3 * loss, rel=1e-6)
    assert weighted_accuracy == accuracy
    ones, none = small(), small()
    ones.fit(x, y, sample_weight=np.ones(30), verbose=0)
    none.fit(x, y, verbose=0)
    assert same_weights(ones, none)


def test_rows_of_weight_zero_do_not_teach() -> None:
    x, y = rows(32)
    wrong = y.copy()
    wrong[16:] = np.roll(y[16:], 1, axis=1)
    weights = np.repeat([1.0, 0.0], 16)
    one, other = small(), small()
    one.fit(x, y, sample_weight=weights, verbose=0)
    other.fit(x, wrong, sample_weight=weights, verbose=0)
    assert same_weights(one, other)


def test_threads_do_not_change_the_bits() -> None:
    x, y = rows(300, 100)

    def trained(threads: int) -> Sequential:
        model = Sequential([Dense(300, activation="relu", input_dim=100), Dense(CLASSES, activation="softmax")], seed=1)
        model.compile(loss="categorical_crossentropy", optimizer="adam")
        model.fit(x, y, batch_size=100, verbose=0, threads=threads)
        return model

    assert same_weights(trained(1), trained(2))


def test_many_kinds_of_arrays_are_the_same_data() -> None:
    x, y = rows(20)
    x = np.round(x * 8) / 8  # exact in every type below
    expected = small().fit(x, y, verbose=0).history
    for given_x, given_y in (
        (x.tolist(), y.tolist()),
        (x.astype(np.float64), y.astype(np.uint8)),
        (np.asfortranarray(x), y.astype(bool)),
        (np.repeat(x, 2, axis=0)[::2], y.astype(np.int64)),
    ):
        assert small().fit(given_x, given_y, verbose=0).history == expected


# -- history ------------------------------------------------------------------------------------------------


def test_history_holds_python_floats_for_every_epoch() -> None:
    x, y = rows(50)
    model = small()
    history = model.fit(x, y, epochs=3, validation_split=0.2, verbose=0)
    assert isinstance(history, History)
    assert model.history is history
    assert history.epoch == [0, 1, 2]
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    for values in history.history.values():
        assert len(values) == 3
        assert all(type(value) is float for value in values)
    json.dumps(history.history)


def test_acc_and_accuracy_answer_to_each_other() -> None:
    x, y = rows(30)
    long = small().fit(x, y, validation_split=0.2, verbose=0).history
    assert long["acc"] == long["accuracy"]
    assert long["val_acc"] == long["val_accuracy"]
    short = small(metrics=["acc"]).fit(x, y, verbose=0).history
    assert list(short) == ["loss", "acc"]
    assert short["accuracy"] == short["acc"]
    with pytest.raises(KeyError):
        short["precision"]


# -- evaluate and predict -----------------------------------------------------------------------------------


def test_evaluate_gives_a_list_a_number_or_a_dict() -> None:
    x, y = rows(40)
    model = small()
    listed = model.evaluate(x, y)
    assert isinstance(listed, list)
    assert all(type(value) is float for value in listed)
    assert model.evaluate(x, y, return_dict=True) == dict(zip(model.metrics_names, listed, strict=True))
    assert type(small(metrics=()).evaluate(x, y)) is float
    assert small(metrics=()).evaluate(x, y) == listed[0]


@pytest.mark.parametrize("batch_size", [None, 1, 7, 1000])
def test_figures_do_not_depend_on_the_batch_of_evaluation(batch_size: int | None) -> None:
    x, y = rows(40)
    model = small()
    assert model.evaluate(x, y, batch_size=batch_size) == model.evaluate(x, y)
    assert np.array_equal(model.predict(x, batch_size=batch_size), model.predict(x))


def test_evaluate_agrees_with_predict() -> None:
    x, y = rows(40)
    model = small()
    loss, accuracy = model.evaluate(x, y)
    p = model.predict(x).astype(np.float64)
    assert loss == pytest.approx(-np.log(p[y == 1]).mean(), rel=1e-5)
    assert accuracy == (p.argmax(1) == y.argmax(1)).mean()


def test_predict_gives_float32_rows() -> None:
    x, _ = rows(33)
    model = small()
    result = model.predict(x)
    assert result.shape == (33, CLASSES)
    assert result.dtype == np.float32
    assert np.allclose(result.sum(axis=1), 1.0, atol=1e-5)
    assert np.array_equal(model.predict_proba(x), result)
    assert np.array_equal(model.predict_classes(x), result.argmax(axis=1))
    assert model.predict(x[:0]).shape == (0, CLASSES)


def test_predict_classes_of_one_output_is_a_threshold() -> None:
    model = Sequential([Dense(1, activation="sigmoid", input_dim=FEATURES)])
    x, _ = rows(20)
    classes = model.predict_classes(x)
    assert np.array_equal(classes, (model.predict(x) > 0.5).astype(int))
    assert classes.shape == (20, 1)


def test_calling_a_model_is_predicting() -> None:
    x, _ = rows(5)
    model = small()
    assert np.allclose(model(x), model.predict(x), atol=1e-6)
    assert np.allclose(model(x[0]), model.predict(x)[0], atol=1e-6)
    assert model(x[0]).shape == (CLASSES,)
    assert model(x[:1]).shape == (1, CLASSES)
    assert np.allclose(model(x.tolist()), model.predict(x), atol=1e-6)


def test_the_inputs_are_left_alone() -> None:
    x, y = rows(40)
    before = x.copy(), y.copy()
    model = small()
    model.fit(x, y, epochs=2, verbose=0)
    model.predict(x)
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])


# -- saving -------------------------------------------------------------------------------------------------


def test_config_and_json_make_the_same_net() -> None:
    model = Sequential(
        [Flatten(input_shape=(3, 4)), Dense(5, activation="relu", kernel_regularizer="l2"), Dropout(0.5), Dense(2)],
        name="net", seed=8,
    )  # fmt: skip
    for other in (Sequential.from_config(model.get_config()), model_from_json(model.to_json(indent=1))):
        assert other.get_config() == model.get_config()
        assert same_weights(other, model), "the same seed gives the same first weights"
        assert [layer.name for layer in other.layers] == [layer.name for layer in model.layers]
    assert nbdl.models.model_from_json is model_from_json


def test_weights_go_to_a_file_and_back(tmp_path: Path) -> None:
    model, other = small(seed=1), small(seed=2)
    model.save_weights(tmp_path / "weights.npz")
    assert not same_weights(model, other)
    other.load_weights(tmp_path / "weights.npz")
    assert same_weights(model, other)


def test_a_saved_model_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    x, y = rows(40)
    model = small()
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "net.nbdl")
    loaded = load_model(tmp_path / "net.nbdl")
    assert np.array_equal(loaded.predict(x), model.predict(x))
    assert loaded.evaluate(x, y) == model.evaluate(x, y)
    first = model.fit(x, y, epochs=3, verbose=0).history
    second = loaded.fit(x, y, epochs=3, verbose=0).history
    assert first == second
    assert same_weights(model, loaded)
    loaded.load_weights(tmp_path / "net.nbdl")
    assert not same_weights(model, loaded)


# -- seeds --------------------------------------------------------------------------------------------------


def test_set_random_seed_repeats_everything() -> None:
    x, y = rows(60)

    def run() -> tuple[Sequential, Sequential]:
        models = []
        for _ in range(2):
            model = Sequential([Dense(9, activation="relu", input_dim=FEATURES), Dropout(0.5), Dense(CLASSES)])
            model.compile(loss="mse", optimizer="adam")
            model.fit(x, y, epochs=2, verbose=0)
            models.append(model)
        return models[0], models[1]

    set_random_seed(11)
    first = run()
    nbdl.utils.set_random_seed(11)
    second = run()
    assert same_weights(first[0], second[0])
    assert same_weights(first[1], second[1])
    assert not same_weights(*first), "the models of one program differ"
    set_random_seed(12)
    assert not same_weights(first[0], run()[0])


# -- callbacks ----------------------------------------------------------------------------------------------


class StopAt(Callback):
    """Ends training after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.last = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.last:
            self.model.stop_training = True


def test_stop_training_ends_after_the_epoch() -> None:
    x, y = rows(40)
    model = small()
    recorder = EpochRecorder()
    history = model.fit(x, y, epochs=10, verbose=0, callbacks=[StopAt(2), recorder])
    assert history.epoch == [0, 1, 2]
    assert recorder.names()[-1] == "train_end"
    assert model.fit(x, y, epochs=2, verbose=0).epoch == [0, 1], "the next fit is not stopped"


def test_callbacks_by_instance_class_and_name() -> None:
    x, y = rows(40)
    history = small(SGD(0.0)).fit(
        x, y, epochs=5, verbose=0, validation_split=0.2, callbacks=["EarlyStopping", EpochRecorder]
    )
    assert history.epoch == [0, 1], "nothing improves at a learning rate of 0"


def test_a_callback_knows_model_and_params() -> None:
    x, y = rows(40)
    model, recorder = small(), EpochRecorder()
    model.fit(x, y, epochs=2, batch_size=10, verbose=0, callbacks=[recorder])
    assert recorder.model is model
    assert recorder.params["epochs"] == 2
    assert recorder.params["steps"] == 4


def test_on_train_end_is_called_when_training_is_interrupted() -> None:
    x, y = rows(40)
    recorder = EpochRecorder()

    class Interrupt(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    model = small()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=5, verbose=0, callbacks=[recorder, Interrupt()])
    assert recorder.names()[-1] == "train_end"
    assert model.fit(x, y, verbose=0).epoch == [0], "the model is not left locked"


def test_a_callback_may_change_the_learning_rate() -> None:
    x, y = rows(40)
    model = small(SGD(0.0))
    before = model.get_weights()

    class Raise(Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.optimizer.learning_rate = 0.1 * epoch

    model.fit(x, y, epochs=1, verbose=0, callbacks=[Raise()])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.fit(x, y, epochs=2, verbose=0, callbacks=[Raise()])
    assert not np.array_equal(before[0], model.get_weights()[0])


# -- early stopping -----------------------------------------------------------------------------------------


def keras_rule(
    figures: list[float], patience: int, min_delta: float, mode: str, baseline: float | None, start: int
) -> tuple[int | None, int]:
    """Keras 3 as a rule on numbers: the epoch after which it stops, and the best one."""
    sign = 1 if mode == "max" else -1
    best: float | None = None
    wait = best_epoch = 0
    watching = False

    def better(figure: float, than: float) -> bool:
        return sign * figure - min_delta > sign * than

    for epoch, figure in enumerate(figures):
        if epoch < start:
            continue
        if not watching:
            watching, best_epoch = True, epoch
        wait += 1
        if best is None or better(figure, best):
            best, best_epoch = figure, epoch
            if baseline is None or better(figure, baseline):
                wait = 0
        elif wait >= patience and epoch > 0:
            return epoch, best_epoch
    return None, best_epoch


class Puppet:
    """As much of a model as EarlyStopping touches; its weights are the number of the epoch."""

    compiled = None

    def __init__(self) -> None:
        self.weights, self.stop_training = -1, False

    def get_weights(self) -> list[int]:
        return [self.weights]

    def set_weights(self, weights: list[int]) -> None:
        self.weights = weights[0]


FIGURES = [
    [5.0, 4.0, 3.0, 2.0, 1.0, 0.5],
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    [3.0, 2.0, 2.5, 2.5, 1.0, 1.5, 1.5, 1.5],
    [3.0, 2.95, 2.9, 2.85, 2.8, 2.75],
    [1.0, 2.0, 3.0, 2.0, 1.5, 0.5, 0.4],
    [2.0, math.nan, 1.0, math.nan, math.nan, 0.5],
    [4.0, 3.5, 3.0, 3.2, 2.6, 2.7, 2.4, 2.45, 2.2, 2.3],
]


@pytest.mark.parametrize("patience", [0, 1, 2, 4])
@pytest.mark.parametrize("min_delta", [0.0, 0.1])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("baseline", [None, 2.5])
@pytest.mark.parametrize("start", [0, 2])
def test_early_stopping_follows_keras_3(
    patience: int, min_delta: float, mode: str, baseline: float | None, start: int
) -> None:
    for figures, restore in itertools.product(FIGURES, (False, True)):
        stop = EarlyStopping(
            monitor="figure", patience=patience, min_delta=min_delta, mode=mode, baseline=baseline,
            start_from_epoch=start, restore_best_weights=restore,
        )  # fmt: skip
        model = Puppet()
        stop.set_model(model)  # type: ignore[arg-type]
        for _ in range(2):  # an instance may be used again
            model.stop_training = False
            stop.on_train_begin({})
            stopped = None
            for epoch, figure in enumerate(figures):
                model.weights = epoch
                stop.on_epoch_end(epoch, {"figure": figure})
                if model.stop_training:
                    stopped = epoch
                    break
            last = model.weights
            stop.on_train_end({})
            expected, best = keras_rule(figures, patience, min_delta, mode, baseline, start)
            assert stopped == expected, figures
            assert stop.stopped_epoch == (expected or 0)
            assert stop.best_epoch == best, figures
            assert model.weights == (best if restore else last), figures


def test_patience_2_stops_at_the_second_bad_epoch() -> None:
    assert keras_rule([1.0, 2.0, 2.0, 2.0], 2, 0.0, "min", None, 0) == (2, 0)
    assert keras_rule([1.0, 2.0, 2.0, 2.0], 0, 0.0, "min", None, 0) == (1, 0), "patience 0 is 1"


class Figure(Callback):
    """Puts made-up figures into the logs."""

    def __init__(self, figures: list[float]) -> None:
        self.figures = figures

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["figure"] = self.figures[epoch]


class Weights(Callback):
    """Keeps every epoch's weights."""

    def __init__(self, then: Callable[[int], None] = lambda epoch: None) -> None:
        self.then = then
        self.kept: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.kept.append(self.model.get_weights())
        self.then(epoch)


def interrupt(epoch: int) -> None:
    """Ctrl-C in the fourth epoch."""
    if epoch == 3:
        raise KeyboardInterrupt


@pytest.mark.parametrize("who", ["itself", "the last epoch", "another", "ctrl-c"])
def test_the_best_weights_come_back_whoever_stops(who: str) -> None:
    x, y = rows(40)
    model = small()
    weights = Weights(interrupt) if who == "ctrl-c" else Weights()
    stop = EarlyStopping("figure", patience=2 if who == "itself" else 50, restore_best_weights=True)
    callbacks = [Figure([3.0, 1.0, 2.0, 2.0, 2.0]), weights, stop, *([StopAt(3)] if who == "another" else [])]
    try:
        model.fit(x, y, epochs=5, verbose=0, callbacks=callbacks)
    except KeyboardInterrupt:
        assert who == "ctrl-c"
    assert len(weights.kept) == {"the last epoch": 5}.get(who, 4)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), weights.kept[1], strict=True))
    assert not np.array_equal(model.get_weights()[0], weights.kept[-1][0])


def test_without_restoring_the_last_weights_stay() -> None:
    x, y = rows(40)
    model, weights = small(), Weights()
    callbacks = [Figure([1.0, 2.0, 2.0, 2.0, 2.0]), weights, EarlyStopping("figure")]
    model.fit(x, y, epochs=5, verbose=0, callbacks=callbacks)
    assert len(weights.kept) == 2
    assert np.array_equal(model.get_weights()[0], weights.kept[-1][0])


@pytest.mark.parametrize(("monitor", "stopped"), [("val_loss", "min"), ("val_accuracy", "max"), ("val_acc", "max")])
def test_auto_takes_the_metrics_own_direction(monitor: str, stopped: str) -> None:
    stop = EarlyStopping(monitor)
    model = small()
    stop.set_model(model)
    stop.on_train_begin({})
    figures = {"val_loss": 1.0, "val_accuracy": 0.5}
    for epoch, change in enumerate((0.0, 0.1)):
        stop.on_epoch_end(epoch, {name: value + change for name, value in figures.items()})
    assert model.stop_training is (stopped == "min"), "growing is good for accuracy and bad for a loss"


def test_early_stopping_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = rows(40)
    stop = EarlyStopping("figure", verbose=1, restore_best_weights=True)
    small().fit(x, y, epochs=5, verbose=0, callbacks=[Figure([1.0, 2.0, 2.0, 2.0, 2.0]), stop])
    out = capsys.readouterr().out
    assert "Epoch 2: early stopping" in out
    assert "best epoch, 1" in out


def test_a_figure_that_is_not_there_is_named() -> None:
    x, y = rows(40)
    with pytest.raises(ConfigError, match="'val_loss'") as caught:
        small().fit(x, y, epochs=2, verbose=0, callbacks=[EarlyStopping()])
    assert "validation_split" in str(caught.value)
    assert "loss, accuracy" in str(caught.value)
    with pytest.raises(ConfigError, match="Did you mean 'accuracy'"):
        small().fit(x, y, epochs=2, verbose=0, callbacks=[EarlyStopping("acuracy")])


@pytest.mark.parametrize("options", [{"mode": "up"}, {"patience": -1}])
def test_early_stopping_refuses_nonsense(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        EarlyStopping(**options)


# -- messages -----------------------------------------------------------------------------------------------


def fitted(x: Any, y: Any, **options: Any) -> Callable[[], Any]:
    """A fit that is still to be tried."""
    return lambda: small().fit(x, y, **{"verbose": 0, **options})


def twice_named() -> None:
    """Two layers of one name."""
    Sequential([Dense(3, input_dim=2, name="same"), Dense(3, name="same")])


LASTING = small()
X, Y = rows(20)
HOLE = X.copy()
HOLE[7, 3] = np.nan

MESSAGES: list[tuple[str, Callable[[], Any], type[Exception], list[str]]] = [
    ("misspelt argument", lambda: Dense(unitz=3), TypeError, ["Did you mean 'units'", "kernel_initializer"]),
    ("both spellings", lambda: Dense(units=3, output_dim=3), TypeError, ["'output_dim'", "'units'", "only one"]),
    ("no units", lambda: Dense(), TypeError, ["Dense", "'units'"]),
    ("units of 0", lambda: Dense(0), ConfigError, ["positive integer", "0"]),
    ("misspelt activation", lambda: Dense(3, activation="sigmod"), UnknownNameError, ["Did you mean 'sigmoid'"]),
    ("misspelt layer", lambda: nbdl.layers.Densse, UnknownNameError, ["Did you mean 'Dense'"]),
    ("misspelt optimizer", lambda: small("adm"), UnknownNameError, ["Did you mean 'Adam'", "optimizer"]),
    ("a class for a layer", lambda: Sequential([Dense]), ConfigError, ["add an instance", "Dense(...)"]),
    ("not a layer", lambda: Sequential(["relu"]), ConfigError, ["made of layers", "'relu'"]),
    ("no loss", lambda: Sequential().compile("adam"), ConfigError, ["needs a loss", "mean_squared_error"]),
    ("not compiled", lambda: Sequential([Dense(1, input_dim=1)]).fit([[1.0]], [1.0]), ConfigError, ["model.compile("]),
    ("no shape", lambda: Sequential([Dense(1)]).count_params(), ConfigError, ["input_dim", "build("]),
    ("same names", twice_named, ConfigError, ["'same'", "different names"]),
    ("unknown layer", lambda: small().get_layer("dense_11"), ConfigError, ["Did you mean 'dense_1'", "dense_2"]),
    ("layer number", lambda: small().get_layer(index=7), ConfigError, ["7", "2 layers"]),
    ("nothing to pop", lambda: Sequential().pop(), ConfigError, ["no layers"]),
    ("number of weights", lambda: small().set_weights([]), ConfigError, ["4 weights", "0"]),
    ("shape of weights", lambda: small().set_weights([np.zeros((2, 2))] * 4), ConfigError, ["kernel", "(2, 2)"]),
    ("axes", lambda: Sequential([Dense(3, input_shape=(2, 2))]), ConfigError, ["Flatten()", "(None, 2, 2)"]),
    ("no y", fitted(X, None), DataError, ["y is missing"]),
    ("transposed", fitted(X.T, Y), DataError, ["transpose", "x.T"]),
    ("one row", fitted(X[0], Y[:1]), DataError, ["x[None]"]),
    ("images", fitted(X.reshape(20, 3, 4), Y), DataError, ["reshape", "Flatten"]),
    ("other rows", fitted(X, Y[:19]), DataError, ["20 rows", "19"]),
    ("a hole", fitted(HOLE, Y), DataError, ["NaN", "row 7", "column 3"]),
    ("words", fitted([["a"] * FEATURES], Y[:1]), DataError, ["numbers"]),
    ("ragged", fitted([[1.0], [1.0, 2.0]], Y[:2]), DataError, ["different lengths"]),
    ("labels for one-hot", fitted(X, Y.argmax(1)), DataError, ["to_categorical", "sparse_categorical_crossentropy"]),
    ("no rows", fitted(X[:0], Y[:0]), DataError, ["no rows"]),
    ("both epochs", fitted(X, Y, epochs=1, nb_epoch=1), ConfigError, ["nb_epoch", "epochs", "only one"]),
    ("batch of 0", fitted(X, Y, batch_size=0), ConfigError, ["batch_size", "at least 1"]),
    ("half an epoch", fitted(X, Y, epochs=0.5), ConfigError, ["epochs", "integer"]),
    ("whole split", fitted(X, Y, validation_split=1.0), ConfigError, ["validation_split", "share"]),
    ("empty split", fitted(X[:1], Y[:1], validation_split=0.5), DataError, ["no rows"]),
    ("bare validation", fitted(X, Y, validation_data=X), DataError, ["(x, y)"]),
    ("weights", fitted(X, Y, sample_weight=[1.0]), DataError, ["20 rows", "(1,)"]),
    ("not a callback", fitted(X, Y, callbacks=[print]), UnknownNameError, ["fit's callbacks", "print"]),
    ("no file", lambda: load_model("nowhere.nbdl"), FileFormatError, ["nowhere.nbdl"]),
    ("another format", lambda: small().save("net.h5"), ConfigError, ["net.nbdl", ".h5"]),
    ("a bad seed", lambda: Sequential(seed=-1), ConfigError, ["seed", "-1"]),
    ("unknown metric", lambda: small(metrics=["maee"]), UnknownNameError, ["accuracy", "mean_squared_error", "losses"]),
    ("rows of an epoch", fitted(X, Y, samples_per_epoch=3), TypeError, ["samples_per_epoch=", "steps_per_epoch"]),
    ("a generator", lambda: small().fit_generator(X), AttributeError, ["fit_generator", "fit(generator"]),
    ("own objects", lambda: load_model("a", custom_objects={"f": max}), ConfigError, ["objects", "nbdl.register"]),
    ("a layer alone", lambda: Dense(2).count_params(), ConfigError, ["'Dense'", "no weights yet"]),
    ("a layer's weights", lambda: LASTING.layers[0].set_weights([X]), ConfigError, ["'dense_1'", "2 weights", "1"]),
    ("no such attribute", lambda: small().fitt, AttributeError, ["'Sequential' object has no attribute 'fitt'"]),
    ("metric twice", lambda: small(metrics=["accuracy", "accuracy"]), ConfigError, ["twice"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("action", "kind", "parts"), [message[1:] for message in MESSAGES], ids=[message[0] for message in MESSAGES]
)
def test_messages_help(action: Callable[[], Any], kind: type[Exception], parts: list[str]) -> None:
    with pytest.raises(kind) as caught:
        action()
    for part in parts:
        assert part in str(caught.value)


def test_pixels_that_are_not_scaled_are_noticed() -> None:
    x = np.random.default_rng(0).integers(0, 256, (20, FEATURES), dtype=np.uint8)
    with pytest.warns(UserWarning, match="divide by 255"):
        small().fit(x, Y, verbose=0)


def test_divergence_names_the_place_and_keeps_the_weights() -> None:
    model = Sequential([Dense(9, input_dim=FEATURES), Dense(CLASSES)], seed=1)
    model.compile(loss="mse", optimizer=SGD(1e15))
    with pytest.raises(DivergenceError) as caught:
        model.fit(X, Y, batch_size=4, epochs=50, verbose=0)
    assert "smaller learning rate" in str(caught.value)
    assert caught.value.epoch >= 1
    assert caught.value.step >= 1
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


# -- layers and optimizers after they were made -------------------------------------------------------------


def test_a_layer_has_its_weights_once_it_is_in_a_model() -> None:
    model = small()
    first, last = model.layers
    assert [weight.name for weight in last.weights] == ["dense_2/kernel", "dense_2/bias"]
    assert first.count_params() + last.count_params() == model.count_params()
    assert [id(weight) for weight in model.trainable_weights] == [id(weight) for weight in model.weights]
    last.set_weights([np.ones((9, CLASSES)), np.zeros(CLASSES)])
    assert np.array_equal(last.get_weights()[0], model.get_weights()[2])
    assert (last.get_weights()[0] == 1).all()
    model.add(Dense(2))
    assert (last.get_weights()[0] == 1).all()


def test_older_spellings_are_attributes_too() -> None:
    optimizer = Adam(lr=0.5)
    assert optimizer.lr == optimizer.learning_rate == 0.5
    optimizer.lr = 0.25
    assert (optimizer.learning_rate, vars(optimizer).get("lr")) == (0.25, None)
    assert optimizer.rate(1) == 0.25
    layer = Dense(output_dim=7, bias=False)
    assert layer.output_dim == 7
    assert layer.bias is None, "a weight that is not there, not the argument's older spelling"
    with pytest.raises(AttributeError, match="'Adam' object has no attribute 'rho'"):
        _ = optimizer.rho


class Halving(nbdl.Schedule):
    """Halves every ten steps."""

    def __init__(self, start: float = 0.1) -> None:
        self.start = start

    def __call__(self, step: int) -> float:
        return float(self.start * 0.5 ** (step / 10))


class HalvingPlugin:
    """Offers it."""

    @nbdl.hookimpl
    def register_schedules(self, register: Any) -> None:
        register("Halving", Halving)


@pytest.fixture
def halving() -> Any:
    """A schedule that is registered for one test."""
    from nbdl.units.registry import registry

    plugin = HalvingPlugin()
    nbdl.register(plugin)
    yield Halving
    registry.catalogue.remove(registry.get("schedules", "Halving"))


def test_rates_of_many_steps_are_an_array() -> None:
    steps = np.arange(1.0, 6.0)
    for optimizer in (SGD(Halving()), Adam(Halving())):
        rates = optimizer.rate(steps)
        assert isinstance(rates, np.ndarray)
        assert rates.tolist() == [optimizer.rate(int(step)) for step in steps]
        assert optimizer.rate(2) == Halving()(1)


def continued(model: Sequential, tmp_path: Path) -> Sequential:
    """The same model from a file."""
    model.save(tmp_path / "net.nbdl")
    return load_model(tmp_path / "net.nbdl")


def test_what_was_changed_in_an_optimizer_is_saved(tmp_path: Path) -> None:
    x, y = rows(40)
    model = small(Adam(0.01))
    model.fit(x, y, verbose=0)
    model.optimizer.lr, model.optimizer.beta_1 = 0.002, 0.5
    again = continued(model, tmp_path)
    assert (again.optimizer.learning_rate, again.optimizer.beta_1) == (0.002, 0.5)
    for one in (model, again):
        one.fit(x, y, verbose=0, epochs=2)
    assert same_weights(model, again)


def test_a_schedule_is_saved(tmp_path: Path, halving: type[nbdl.Schedule]) -> None:
    x, y = rows(40)
    for model in (small(SGD(halving(0.2))), small(SGD())):  # type: ignore[call-arg]
        model.optimizer.learning_rate = halving(0.2)  # type: ignore[call-arg]
        model.fit(x, y, verbose=0)
        again = continued(model, tmp_path)
        assert isinstance(again.optimizer.learning_rate, halving)
        for one in (model, again):
            one.fit(x, y, verbose=0, epochs=2)
        assert same_weights(model, again)


@pytest.mark.parametrize("rate", [lambda step: 0.1, Halving()], ids=["function", "not registered"])
def test_a_rate_that_a_file_cannot_hold_is_left_out_with_a_warning(rate: Any, tmp_path: Path) -> None:
    for model in (small(SGD(rate)), small(SGD())):
        model.optimizer.learning_rate = rate
        with pytest.warns(UserWarning, match=r"without optimizer.*(SGD: its learning_rate|Halving\(\)) is .*register"):
            model.save(tmp_path / "net.nbdl")
        again = load_model(tmp_path / "net.nbdl")
        assert again.compiled is None
        assert same_weights(model, again)


def test_momentum_that_comes_later_is_no_silent_change(tmp_path: Path) -> None:
    x, y = rows(40)
    model = small(SGD(0.1))
    model.fit(x, y, verbose=0)
    model.optimizer.momentum = 0.9
    again = continued(model, tmp_path)
    assert again.optimizer.momentum == 0.9
    for one in (model, again):
        with pytest.raises(ConfigError, match=r"velocity.*compile"):
            one.fit(x, y, verbose=0)
    model.optimizer.momentum = 0.0
    model.fit(x, y, verbose=0)


def test_momentum_that_goes_keeps_its_slots_in_the_file(tmp_path: Path) -> None:
    x, y = rows(40)
    model = small(SGD(0.1, momentum=0.9))
    model.fit(x, y, verbose=0)
    model.optimizer.momentum = 0.0
    again = continued(model, tmp_path)
    for one in (model, again):
        one.optimizer.momentum = 0.9
        one.fit(x, y, verbose=0)
    assert same_weights(model, again)


def test_files_from_before_with_a_rate_of_their_own_load(tmp_path: Path) -> None:
    import zipfile

    x, y = rows(40)
    model = small(SGD(0.1))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "new.nbdl")
    with zipfile.ZipFile(tmp_path / "new.nbdl") as new, zipfile.ZipFile(tmp_path / "old.nbdl", "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name == "training.json":
                config = json.loads(content)
                config["optimizer"]["config"] = {"learning_rate": 0.1}
                content = json.dumps(config | {"learning_rate": 0.03}).encode()
            old.writestr(name, content)
    again = load_model(tmp_path / "old.nbdl")
    assert again.optimizer.learning_rate == 0.03
    model.optimizer.learning_rate = 0.03
    for one in (model, again):
        one.fit(x, y, verbose=0)
    assert same_weights(model, again)


# -- what pasted programs do ----------------------------------------------------------------------------------


def test_keras_first_layer_is_at_the_top() -> None:
    model = nbdl.Sequential([nbdl.Input(shape=(4,)), Dense(2)])
    assert model.output_shape == (2,)
    with pytest.raises(AttributeError, match="no attribute 'Modell'"):
        _ = nbdl.Modell


def test_stars_bring_every_unit() -> None:
    scope: dict[str, Any] = {}
    exec("from nbdl.layers import *\nfrom nbdl.callbacks import *", scope)
    assert scope["Dense"] is Dense
    assert scope["EarlyStopping"] is EarlyStopping


def test_arguments_that_say_what_nbdl_does_anyway_pass() -> None:
    assert "dtype" not in Dense(3, dtype="float32").get_config()
    nbdl.losses.MeanSquaredError(reduction="sum_over_batch_size")
    nbdl.optimizers.Adam(loss_scale_factor=None)
    small().compile("sgd", "mse", run_eagerly=False, jit_compile="auto", steps_per_execution=1)
    with pytest.warns(UserWarning, match="seed=1 is not used"):
        nbdl.initializers.HeNormal(seed=1)
    with pytest.raises(TypeError, match="dtype= is not needed"):
        Dense(3, dtype="float64")
    with pytest.raises(TypeError, match="run_eagerly= is not there"):
        small().compile("sgd", "mse", run_eagerly=True)


def test_misspelt_arguments_of_methods_are_named() -> None:
    with pytest.raises(TypeError, match=r"'epoch'.*epochs"):
        small().fit(*rows(8), epoch=3)  # type: ignore[call-arg]


def test_losses_take_a_name_which_metrics_are_reported_under() -> None:
    model = small()
    model.compile("sgd", "mse", metrics=[nbdl.metrics.MeanSquaredError(name="q"), nbdl.metrics.get("mae")])
    assert model.metrics_names == ["loss", "q", "mean_absolute_error"]


def test_links_stay_and_devices_are_not_replaced(tmp_path: Path) -> None:
    model, target, link = small(), tmp_path / "real.nbdl", tmp_path / "link.nbdl"
    model.save(target)
    link.symlink_to(target)
    model.save(link)
    assert link.is_symlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not an ordinary file"):
        model.save(tmp_path / "pipe")


def test_integers_are_taken_by_the_first_layer_alone() -> None:
    from nbdl.layers import Embedding

    with pytest.raises(ConfigError, match="takes integers, which a layer before it does not give"):
        Sequential([Dense(3, input_dim=2), Embedding(5, 4)])


def test_older_executors_are_forgotten() -> None:
    model = small()
    for size in range(20, 60):
        model.fit(*rows(size), batch_size=size, verbose=0)
    assert len(job_of(model).programs.executors) <= 16


def test_scaling_layers_take_pixels_without_a_warning() -> None:
    from nbdl.layers import Rescaling

    x = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)
    model = Sequential([Rescaling(1 / 255, input_dim=30), Dense(2)])
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, np.zeros((20, 2)), verbose=0)
