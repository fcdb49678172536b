"""fit and its friends: batches of every source, weights of classes, arrays in files, one batch at a time."""

from __future__ import annotations

import itertools
import pickle
import re
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from on_disk import OnDisk

import nbdl
from nbdl import Callback, Sequential
from nbdl.errors import ConfigError, DataError, DivergenceError
from nbdl.layers import Dense, Dropout
from nbdl.optimizers import SGD
from nbdl.utils import train_test_split

ROWS, FEATURES, CLASSES, BATCH = 50, 6, 3, 16
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, FEATURES)).astype(np.float32)
LABELS = RANDOM.integers(0, CLASSES, ROWS)
Y = np.eye(CLASSES, dtype=np.float32)[LABELS]
BATCHES = [(X[first : first + BATCH], Y[first : first + BATCH]) for first in range(0, ROWS, BATCH)]


def net(optimizer: Any = "adam", loss: str = "categorical_crossentropy", metrics: Any = ("accuracy",)) -> Sequential:
    """A compiled net with random numbers in its training."""
    model = Sequential(
        [Dense(8, activation="relu", input_dim=FEATURES), Dropout(0.3), Dense(CLASSES, activation="softmax")], seed=1
    )
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
    return model


def same(one: Sequential, other: Sequential) -> bool:
    """Whether two models have the same bits."""
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def trained(x: Any = X, y: Any = Y, model: Sequential | None = None, **options: Any) -> Sequential:
    """A model after fit."""
    model = net() if model is None else model
    given = {"verbose": 0, "epochs": 3} | ({} if y is None else {"batch_size": BATCH})
    model.fit(x, y, **given | options)
    return model


# -- batches of every source --------------------------------------------------------------------------------


class Again:
    """Can be iterated over again, and counts how often it was."""

    def __init__(self, batches: Any = BATCHES) -> None:
        self.batches, self.passes = batches, 0

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return iter(self.batches)


class Indexed:
    """As Keras's Sequence and PyDataset are."""

    def __init__(self, batches: Any = BATCHES) -> None:
        self.batches, self.ends, self.asked = batches, 0, []

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Any:
        self.asked.append(index)
        return self.batches[index]

    def on_epoch_end(self) -> None:
        self.ends += 1


class Tensor:
    """Something that only `np.asarray` understands."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.values, dtype)


SOURCES: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "a list": (lambda: list(BATCHES), {}),
    "an iterable": (Again, {}),
    "a Sequence": (Indexed, {}),
    "an endless generator": (lambda: itertools.cycle(BATCHES), {"steps_per_epoch": len(BATCHES)}),
    "a generator of all epochs": (lambda: iter(BATCHES * 3), {"steps_per_epoch": len(BATCHES)}),
    "lists of tensors": (lambda: Again([[Tensor(x), Tensor(y)] for x, y in BATCHES]), {}),
    "other dtypes": (lambda: Again([(x.astype(np.float64), y.astype(np.uint8)) for x, y in BATCHES]), {}),
    "mixed dtypes": (lambda: [(x.astype(np.float64) if n % 2 else x, y) for n, (x, y) in enumerate(BATCHES)], {}),
    "with weights": (lambda: [(x, y, np.ones(len(x))) for x, y in BATCHES], {}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_stream_of_the_same_batches_gives_the_same_bits(name: str) -> None:
    make, options = SOURCES[name]
    arrays, stream = net(), net()
    wanted = arrays.fit(X, Y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0)
    found = stream.fit(make(), epochs=3, shuffle=False, verbose=0, **options)
    assert same(arrays, stream)
    assert found.history == wanted.history
    assert arrays.training_state.iterations == stream.training_state.iterations == 12
    trained(model=arrays, epochs=1)  # and goes on alike: counters of random numbers and epochs too
    trained(model=stream, epochs=1)
    assert same(arrays, stream)


def test_pytorchs_loaders_are_iterables_of_batches() -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=BATCH)
    assert same(trained(loader, None), trained(shuffle=False))
    assert np.array_equal(net().predict(loader), net().predict(X))


def test_the_first_batch_builds_the_model() -> None:
    model = Sequential([Dense(CLASSES, activation="softmax")], seed=1)
    model.compile(loss="categorical_crossentropy", optimizer="sgd")
    model.fit(iter(BATCHES), verbose=0)
    assert model.input_shape == (FEATURES,)
    assert model.training_state.iterations == 4, "the batch that was looked at first is trained on too"


def test_batches_of_other_sizes() -> None:
    sizes = [3, 16, 1, 30]
    cuts = np.cumsum([0, *sizes])
    batches = [(X[a:b], Y[a:b]) for a, b in itertools.pairwise(cuts)]
    stream, steps = net(), net()
    history = stream.fit(batches, shuffle=False, verbose=0).history
    losses = [steps.train_on_batch(x, y)[0] for x, y in batches]
    assert same(stream, steps)
    assert history["loss"][0] == pytest.approx(np.average(losses, weights=sizes), rel=1e-6)


def test_a_sequence_is_shuffled_by_batches_and_told_of_the_end() -> None:
    source = Indexed([(x, y) for x, y in zip(np.split(X, 10), np.split(Y, 10), strict=True)])
    trained(source, None, epochs=2)
    first, second = source.asked[1:11], source.asked[11:]  # before them a look at the first one
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first != sorted(first)
    assert source.ends == 2


def test_going_on_with_a_sequence_is_one_long_run() -> None:
    parts, whole = Indexed(), Indexed()
    model = trained(parts, None, epochs=1)
    trained(parts, None, model, epochs=3, initial_epoch=1)
    assert same(model, trained(whole, None, epochs=3))
    looks = [0, 5]  # the first batch, before each fit
    assert [index for place, index in enumerate(parts.asked) if place not in looks] == whole.asked[1:]


def test_smaller_batches_need_no_executor_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbdl.training import steps as training

    looked: list[int] = []
    executor = training.executor_of
    monkeypatch.setattr(training, "executor_of", lambda *given: looked.append(given[2]) or executor(*given))
    trained([(X[:5], Y[:5]), (X[:30], Y[:30]), (X[:7], Y[:7]), (X[:30], Y[:30])], None, shuffle=False)
    assert sorted(set(looked)) == [5, 30]
    model = net()
    looked.clear()
    for rows in (30, 7, 30):
        model.train_on_batch(X[:rows], Y[:rows])
    assert looked == [30, 30, 30]


def test_what_can_be_iterated_over_again_is() -> None:
    source = Again()
    trained(source, None, epochs=3)
    assert source.passes - 1 <= 3 <= source.passes


def test_a_sequence_without_an_end() -> None:
    class Endless:
        num_batches = None

        def __getitem__(self, index: int) -> Any:
            return BATCHES[index % 4]

    assert same(trained(Endless(), None, steps_per_epoch=4), trained(shuffle=False))


def test_a_generator_that_ends_early_ends_the_training_with_a_warning() -> None:
    model = net()
    with pytest.warns(UserWarning, match=r"ran out of data in epoch 2, after 1 of 3 batches"):
        history = model.fit(iter(BATCHES), steps_per_epoch=3, epochs=5, verbose=0)
    assert history.epoch == [0, 1]
    assert model.training_state.iterations == 4
    with pytest.warns(UserWarning, match=r"ran out of data in epoch 2, after 0 batches"):
        history = net().fit(iter(BATCHES), epochs=2, verbose=0)
    assert history.epoch == [0]
    net().fit(iter(BATCHES), verbose=0)  # one pass, and one was asked for


def test_steps_of_an_iterable_go_on_and_begin_again() -> None:
    stream, arrays = net(), net()
    stream.fit(Again(), steps_per_epoch=3, epochs=4, shuffle=False, verbose=0)
    arrays.fit(X, Y, batch_size=BATCH, epochs=3, shuffle=False, verbose=0)
    assert same(stream, arrays), "four epochs of three batches are three passes over four"


def test_steps_of_arrays_go_on_and_begin_again() -> None:
    for shuffle in (False, True, "batch"):
        parts, whole = net(), net()
        history = parts.fit(X, Y, BATCH, steps_per_epoch=3, epochs=4, shuffle=shuffle, verbose=0)
        whole.fit(X, Y, BATCH, epochs=3, shuffle=shuffle, verbose=0)
        assert same(parts, whole)
        assert history.epoch == [0, 1, 2, 3]
        looked = trained(epochs=4, shuffle=shuffle, steps_per_epoch=3, callbacks=[Steps()])
        assert same(looked, whole)
    assert same(trained(batch_size=None, steps_per_epoch=4), trained(batch_size=13)), "as many rows as make the steps"


class Steps(Callback):
    """Notes the steps, and what hooks were called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.calls.append(batch)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append(sorted(logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.calls.append((epoch, self.params["steps"], self.model.training_state.iterations))


def test_callbacks_see_streams_as_they_see_arrays() -> None:
    one, other, unknown = Steps(), Steps(), Steps()
    arrays = trained(callbacks=[one], shuffle=False)
    stream = trained(Indexed(), None, callbacks=[other], shuffle=False)
    assert one.calls == other.calls
    assert same(arrays, stream)
    trained(Again(), None, callbacks=[unknown], epochs=2)
    assert [call[1] for call in unknown.calls if isinstance(call, tuple)] == [4, 4]


def test_a_stream_whose_length_is_not_known_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    net().fit(Again(), epochs=2, verbose=2)
    assert [line.split(" - ")[0] for line in capsys.readouterr().out.splitlines()] == ["Epoch 1/2", "Epoch 2/2"]


def test_a_callback_stops_a_stream_after_a_step() -> None:
    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 1

    model = trained(itertools.cycle(BATCHES), None, callbacks=[Stop()], steps_per_epoch=10**6, epochs=10)
    assert model.training_state.iterations == 2


def with_batch(number: int, batch: Any) -> Any:
    return [batch if n == number else one for n, one in enumerate(BATCHES)]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((X[:4, :2], Y[:4]), r"x, batch 3 of epoch 1: .*\(rows, 6\), got \(4, 2\)"),
        ((X[:4], Y[:3]), "batch 3 of epoch 1: x has 4 rows, y has 3"),
        ((X[:4], LABELS[:4]), "batch 3 of epoch 1: .*one-hot|to_categorical"),
        ((X[:4] * np.nan, Y[:4]), "batch 3 of epoch 1: x holds NaN in row 0"),
        ((X[:4].astype(str), Y[:4]), "batch 3 of epoch 1: .*not numbers"),
        ((X[:0], Y[:0]), "batch 3 of epoch 1: .*no rows"),
        ((X[:4], Y[:4], np.ones(3)), "batch 3 of epoch 1: sample_weight .*4 rows"),
        ((X[:4],), "batch 3 of epoch 1: y is missing"),
        (X[:4], "batch 3 of epoch 1: y is missing"),
        ((X[:4], Y[:4], None, None), "one has 4 parts"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "",
)
def test_a_batch_that_does_not_fit_is_named(batch: Any, message: str) -> None:
    model = net()
    with pytest.raises(DataError, match=message):
        model.fit(Again(with_batch(2, batch)), verbose=0)
    assert model.training_state.iterations == 2, "the batches before it were trained on"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"y": Y}, "y was given"),
        ({"batch_size": 4}, "batch_size was given"),
        ({"sample_weight": np.ones(ROWS)}, "sample_weight was given"),
        ({"validation_split": 0.2}, "validation_split was given.*validation_data"),
        ({"class_weight": "balanced"}, "balanced.*counts"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"validation_data": iter(BATCHES), "epochs": 2}, "validation_steps"),
        ({"validation_data": BATCHES, "validation_batch_size": 3}, "batch_size was given"),
        ({"shuffle": "rows"}, "'batch'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_batches_bring_themselves_is_refused(options: dict[str, Any], part: str) -> None:
    with pytest.raises((ConfigError, DataError), match=part):
        net().fit(list(BATCHES), verbose=0, **options)


def test_no_batches_are_an_error() -> None:
    for empty in (iter([]), Again([])):
        with pytest.raises(DataError, match="gave no batches"):
            net().fit(empty, verbose=0)
        with pytest.raises(DataError, match="gave no batches"):
            net().predict(empty)
        with pytest.raises(DataError, match="gave no batches"):
            net().evaluate(empty)


def test_errors_of_a_generator_are_its_own() -> None:
    def broken() -> Iterator[Any]:
        yield from BATCHES[:2]
        raise KeyError("lost")

    model = net()
    with pytest.raises(KeyError, match="lost"):
        model.fit(broken(), verbose=0)
    assert model.training_state.iterations == 2


def test_a_stream_that_diverges_names_the_step() -> None:
    model = net(SGD(0.1))
    bad = np.full_like(Y[:4], 0.0)
    bad[:, 0] = 1.0
    with pytest.raises(DivergenceError, match=r"epoch 1, step 3\b"):
        model.fit(Again(with_batch(2, (np.full((4, FEATURES), 3e38, np.float32), bad))), verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


# -- evaluate and predict -----------------------------------------------------------------------------------


def test_evaluate_and_predict_take_batches() -> None:
    model = trained()
    wanted = model.evaluate(X, Y)
    for source in (list(BATCHES), Again(), Indexed(), iter(BATCHES)):
        assert model.evaluate(source) == pytest.approx(wanted, rel=1e-6)
    assert model.evaluate(itertools.cycle(BATCHES), steps=4) == pytest.approx(wanted, rel=1e-6)
    assert model.evaluate(itertools.cycle(BATCHES), steps=2) == pytest.approx(model.evaluate(X[:32], Y[:32]), rel=1e-6)
    predicted = model.predict(X)
    for source in (list(BATCHES), [batch[:1] for batch in BATCHES], iter([x for x, _ in BATCHES]), Indexed()):
        assert np.array_equal(model.predict(source), predicted)
    assert np.array_equal(model.predict(itertools.cycle(BATCHES), steps=2), predicted[:32])


def test_steps_of_arrays_are_their_first_rows() -> None:
    model = net()
    assert model.evaluate(X, Y, batch_size=8, steps=2) == model.evaluate(X[:16], Y[:16])
    assert model.evaluate(X, Y, steps=2) == model.evaluate(X, Y)
    assert np.array_equal(model.predict(X, batch_size=8, steps=2), model.predict(X[:16]))


class Looks(Callback):
    """Notes hooks of evaluate and predict."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_test_begin(self, logs: Any = None) -> None:
        self.calls.append("test begin")

    def on_test_end(self, logs: Any = None) -> None:
        self.calls.append("test end " + " ".join(logs))

    def on_predict_begin(self, logs: Any = None) -> None:
        self.calls.append("predict begin")

    def on_predict_end(self, logs: Any = None) -> None:
        self.calls.append("predict end")


class LooksAtBatches(Looks):
    """And at each batch."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append(f"test batch {batch}")

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self.calls.append(f"predicted {len(logs['outputs'])}")


def test_evaluate_and_predict_call_back() -> None:
    model, looks = net(), Looks()
    plain = model.evaluate(X, Y)
    assert model.evaluate(X, Y, callbacks=looks) == plain
    assert np.array_equal(model.predict(X, callbacks=[looks]), model.predict(X))
    assert looks.calls == ["test begin", "test end loss accuracy", "predict begin", "predict end"]
    looks = LooksAtBatches()
    assert model.evaluate(X, Y, batch_size=BATCH, callbacks=looks) == pytest.approx(plain, rel=1e-6)
    assert np.array_equal(model.predict(X, batch_size=30, callbacks=[looks]), model.predict(X))
    batches = [f"test batch {number}" for number in range(4)]
    assert looks.calls == ["test begin", *batches, "test end loss accuracy", "predict begin", "predicted 30",
                           "predicted 20", "predict end"]  # fmt: skip
    looks = LooksAtBatches()
    model.fit(X, Y, validation_split=0.4, validation_batch_size=10, callbacks=[looks], verbose=0)
    assert looks.calls == ["test begin", "test batch 0", "test batch 1", "test end loss accuracy"]


# -- validation ---------------------------------------------------------------------------------------------


def test_evaluate_and_predict_stop_after_a_batch() -> None:
    def endless(parts: int) -> Iterator[tuple[np.ndarray, ...]]:
        while True:
            yield (X[:8], Y[:8])[:parts]

    class Stops(Callback):
        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_evaluating = batch == 3

        def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_predicting = batch == 3

    model = net()
    looks = Looks()
    assert model.predict(endless(1), callbacks=[Stops()]).shape[0] == 4 * 8
    assert model.predict(X, batch_size=8, callbacks=[Stops()]).shape[0] == 4 * 8
    once = model.evaluate(X[:8], Y[:8], verbose=0)
    assert np.allclose(model.evaluate(endless(2), callbacks=[Stops(), looks], verbose=0), once)
    history = model.fit(X[:8], Y[:8], validation_data=endless(2), validation_steps=99, callbacks=[Stops()], verbose=0)
    assert "val_loss" in history.history
    model.stop_evaluating = model.stop_predicting = True  # of an earlier run
    assert len(model.predict([(X[:8],)] * 2)) == 16


@pytest.mark.parametrize(("frequency", "epochs"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), ([1, 5], [0, 4]), (7, [])])
def test_validation_frequency(frequency: Any, epochs: list[int]) -> None:
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if "val_loss" in logs:
                seen.append(epoch)

    data = {"validation_data": (X, Y), "validation_freq": frequency}
    trained(epochs=5, callbacks=[Watch()], **data)
    assert seen == epochs
    history = net().fit(X, Y, epochs=5, verbose=0, **data).history
    assert len(history.get("val_loss", [])) == len(epochs)
    assert len(history["loss"]) == 5


@pytest.mark.parametrize("frequency", [0, 1.5, "often"])
def test_a_frequency_that_is_none(frequency: Any) -> None:
    with pytest.raises(ConfigError, match="validation_freq"):
        net().fit(X, Y, validation_data=(X, Y), validation_freq=frequency, verbose=0)


def test_validation_on_batches_and_steps() -> None:
    wanted = net().fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y)).history["val_loss"]
    for data, steps in ((Again(), None), (list(BATCHES), None), (itertools.cycle(BATCHES), 4)):
        history = net().fit(X, Y, epochs=2, verbose=0, validation_data=data, validation_steps=steps).history
        assert history["val_loss"] == pytest.approx(wanted, rel=1e-6)
    some = net().fit(X, Y, verbose=0, validation_data=(X, Y), validation_steps=2, validation_batch_size=5).history
    assert some["val_loss"] == net().fit(X, Y, verbose=0, validation_data=(X[:10], Y[:10])).history["val_loss"]
    with pytest.raises(DataError, match="validation_data gave no batches: it has none left"):
        net().fit(X, Y, epochs=3, verbose=0, validation_data=iter(BATCHES), validation_steps=4)


@pytest.mark.parametrize("bad", [(X[:8, :2], Y[:8]), (X[:8],), (X[:8] * np.nan, Y[:8]), (X[:8], Y[:8, :1])])
def test_batches_to_validate_on_are_looked_at_before_the_first_epoch(bad: Any) -> None:
    class Watch(Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            pytest.fail("too late")

    for batches in ([bad], Indexed([bad])):
        with pytest.raises(DataError, match=r"validation_data, (the first batch|batch 0)"):
            net().fit(X, Y, validation_data=batches, callbacks=[Watch()], verbose=0)


def test_a_split_of_sorted_rows_is_noticed() -> None:
    order = np.argsort(LABELS, kind="stable")
    for y, loss in ((Y, "categorical_crossentropy"), (LABELS, "sparse_categorical_crossentropy")):
        for rows in (order, order[::-1]):
            with pytest.warns(UserWarning, match=r"sorted by class.*train_test_split"):
                net(loss=loss).fit(X[rows], y[rows], validation_split=0.4, verbose=0)
    with pytest.warns(UserWarning, match="sorted by class"):
        binary().fit(X, np.arange(ROWS) // 30, validation_split=0.4, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net().fit(X, Y, validation_split=0.3, verbose=0)
        net().fit(X[order], Y[order], validation_data=(X, Y), verbose=0)
        numbers = Sequential([Dense(1, input_dim=FEATURES)], seed=1)
        numbers.compile(loss="mse", optimizer="sgd")
        numbers.fit(X, np.sort(X[:, 0]), validation_split=0.3, verbose=0)


# -- weights of classes -------------------------------------------------------------------------------------


def binary(loss: str = "binary_crossentropy", activation: str = "sigmoid") -> Sequential:
    model = Sequential([Dense(1, activation=activation, input_dim=FEATURES)], seed=1)
    model.compile(loss=loss, optimizer="adam")
    return model


WEIGHTS = {0: 0.5, 2: 3.0}
FACTORS = np.array([0.5, 1.0, 3.0])[LABELS]


def test_weights_of_classes_are_weights_of_rows() -> None:
    for y, loss in ((Y, "categorical_crossentropy"), (LABELS, "sparse_categorical_crossentropy"),
                    (LABELS[:, None].astype(np.float64), "sparse_categorical_crossentropy")):  # fmt: skip
        by_class = trained(y=y, model=net(loss=loss), class_weight=WEIGHTS)
        assert same(by_class, trained(y=y, model=net(loss=loss), sample_weight=FACTORS))
        assert not same(by_class, trained(y=y, model=net(loss=loss)))
    assert same(trained(class_weight={np.int64(0): 0.5, 2.0: 3}), trained(sample_weight=FACTORS))
    assert same(trained(class_weight={}), trained())


def test_weights_of_two_classes_of_a_single_output() -> None:
    labels = (LABELS > 0).astype(np.int8)
    wanted = trained(y=labels, model=binary(), sample_weight=np.where(labels, 2.0, 0.25))
    assert same(wanted, trained(y=labels, model=binary(), class_weight={0: 0.25, 1: 2.0}))
    signs = 2.0 * labels - 1.0
    wanted = trained(y=signs, model=binary("hinge", "tanh"), sample_weight=np.where(labels, 2.0, 0.25))
    assert same(wanted, trained(y=signs, model=binary("hinge", "tanh"), class_weight={-1: 0.25, 1: 2.0}))


def test_balanced_weights_are_scikit_learns() -> None:
    counts = np.bincount(LABELS)
    assert len(set(counts.tolist())) > 1
    factors = (ROWS / (CLASSES * counts))[LABELS]
    assert same(trained(class_weight="balanced"), trained(sample_weight=factors))
    two = np.where(LABELS == 1, 0, LABELS)  # no row of class 1: k is the number of classes that there are
    factors = (ROWS / (2 * np.bincount(two).clip(1)))[two]
    sparse = "sparse_categorical_crossentropy"
    balanced = trained(y=two, model=net(loss=sparse), class_weight="balanced")
    assert same(balanced, trained(y=two, model=net(loss=sparse), sample_weight=factors))
    kept = 40
    factors = (kept / (CLASSES * np.bincount(LABELS[:kept])))[LABELS]
    split = trained(class_weight="balanced", validation_split=0.2)
    assert same(split, trained(X[:kept], Y[:kept], sample_weight=factors[:kept])), "of the rows that are trained on"


def test_weights_of_classes_multiply_those_of_rows_and_batches() -> None:
    own = np.linspace(0.1, 2.0, ROWS, dtype=np.float32)
    wanted = trained(sample_weight=own * FACTORS.astype(np.float32), shuffle=False)
    assert same(wanted, trained(sample_weight=own, class_weight=WEIGHTS, shuffle=False))
    batches = [(x, y, own[16 * n :][: len(x)]) for n, (x, y) in enumerate(BATCHES)]
    assert same(wanted, trained(batches, None, class_weight=WEIGHTS, shuffle=False))


def test_weights_of_classes_are_for_training_alone() -> None:
    still = net(SGD(0.0))
    plain = still.fit(X, Y, verbose=0, validation_data=(X, Y)).history
    weighted = still.fit(X, Y, verbose=0, validation_data=(X, Y), class_weight={0: 9.0, 1: 9.0, 2: 9.0}).history
    assert weighted["val_loss"] == plain["val_loss"]
    assert weighted["loss"][0] > 5 * plain["loss"][0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({3: 1.0}, "class 3; .* 0 to 2"),
        ({-1: 1.0}, "class -1"),
        ({0.5: 1.0}, r"class 0\.5"),
        ({"0": 1.0}, "class '0'"),
        ({0: -1.0}, "class 0 .*at least 0"),
        ({0: np.nan}, "class 0"),
        ({0: "much"}, "'much'"),
        ([1.0, 2.0, 1.0], "a dict"),
        ("Balanced", "'balanced'"),
    ],
)
def test_weights_of_classes_that_do_not_exist(weights: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        net().fit(X, Y, class_weight=weights, verbose=0)


def test_classes_are_needed_for_their_weights() -> None:
    for y in (X[:, :CLASSES], np.ones((ROWS, CLASSES))):
        with pytest.raises(DataError, match="class_weight needs one class for each row"):
            net(loss="mse").fit(X, y, class_weight={0: 2.0}, verbose=0)
    with pytest.raises(DataError, match="class_weight needs"):
        binary("mse", "linear").fit(X, X[:, 0], class_weight={0: 2.0}, verbose=0)
    with pytest.raises(ConfigError, match=r"class 2; .* 0 and 1"):
        binary().fit(X, LABELS > 1, class_weight={2: 2.0}, verbose=0)


# -- arrays in files ----------------------------------------------------------------------------------------


def test_shuffling_batches_keeps_each_together() -> None:
    seen: list[float] = []

    class Watch(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(logs["loss"])

    x = np.zeros((7, FEATURES), np.float32)
    y = np.sqrt([10.0, 10, 20, 20, 40, 40, 80])
    model = binary("mse", "linear")
    model.set_weights([np.zeros((FEATURES, 1)), np.zeros(1)])
    model.optimizer.learning_rate = 0.0
    model.fit(x, y, batch_size=2, shuffle="batch", epochs=8, verbose=0, callbacks=[Watch()])
    sums = np.array(seen).reshape(8, 4) * [2, 4, 6, 7]
    batches = np.round(np.diff(sums, axis=1, prepend=0)).astype(int)
    assert (np.sort(batches[:, :3], axis=1) == [20, 40, 80]).all(), "the losses of whole batches"
    assert (batches[:, 3] == 80).all(), "the short one stays last"
    assert len({tuple(epoch) for epoch in batches.tolist()}) > 1


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_arrays_that_are_read_in_slices(shuffle: Any) -> None:
    x = OnDisk(X.astype(np.float64))
    wanted = trained(shuffle=shuffle, validation_split=0.2)
    found = trained(x, Y, shuffle=shuffle, validation_split=0.2)
    assert same(wanted, found)
    assert wanted.history.history["loss"] == found.history.history["loss"]
    assert wanted.history.history["val_loss"] == pytest.approx(found.history.history["val_loss"], rel=1e-6)
    assert max(x.read) <= max(BATCH, 32)
    assert found.evaluate(x, OnDisk(Y)) == pytest.approx(wanted.evaluate(X, Y), rel=1e-6)
    assert np.array_equal(found.predict(x), wanted.predict(X))
    with pytest.raises(DataError, match="50 and 49 rows"):
        net().fit(x, OnDisk(Y[:49]), verbose=0)


@pytest.mark.parametrize("form", ["float32", "float64", "uint8", "float16", ">f4", "Fortran", "bool"])
def test_mapped_files_are_trained_on_as_arrays(form: str, tmp_path: Path) -> None:
    values = (X > 0).astype("float32" if form == "Fortran" else form)
    values = np.asfortranarray(values) if form == "Fortran" else values
    np.save(tmp_path / "x.npy", values)
    np.save(tmp_path / "y.npy", Y)
    x, y = np.load(tmp_path / "x.npy", mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    assert isinstance(x, np.memmap)
    assert same(trained(x, y), trained(np.array(values), Y))
    model = net()
    assert model.evaluate(x, y) == pytest.approx(model.evaluate(values, Y), rel=1e-6)
    assert np.array_equal(model.predict(x), model.predict(np.array(values)))


LARGE = 100_000, 64


@pytest.mark.parametrize("form", ["f8", "f4", "f2"])
@pytest.mark.parametrize("shuffle", [True, "batch"])
def test_a_mapped_file_is_never_copied_whole(form: str, shuffle: Any, tmp_path: Path) -> None:
    x = np.memmap(tmp_path / "x.bin", form, "w+", shape=LARGE)  # holes: it takes no room on the disk
    x[::1000] = 1.0
    y = np.zeros((len(x), 1), np.uint8)
    model = Sequential([Dense(1, input_dim=LARGE[1], activation="sigmoid")], seed=1)
    model.compile(loss="binary_crossentropy", optimizer="sgd")
    model.fit(x[:4096], y[:4096], batch_size=4096, shuffle=shuffle, verbose=0)
    tracemalloc.start()
    try:
        model.fit(x, y, batch_size=4096, shuffle=shuffle, verbose=0)
        model.evaluate(x, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * x.nbytes, f"{peak / 1e6:.0f} MB were allocated for a file of {x.nbytes / 1e6:.0f} MB"


# -- one batch at a time ------------------------------------------------------------------------------------


def test_training_on_batches_is_fit_without_shuffling() -> None:
    whole, steps = net(), net()
    history = whole.fit(X, Y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0).history
    for epoch in range(2):
        figures = [steps.train_on_batch(x, y) for x, y in BATCHES]
        means = np.average(figures, axis=0, weights=[len(x) for x, _ in BATCHES])
        assert means == pytest.approx([history["loss"][epoch], history["accuracy"][epoch]], rel=1e-6)
    assert same(whole, steps)
    assert steps.training_state.iterations == 8


def test_what_one_batch_returns() -> None:
    model, (x, y) = net(), BATCHES[0]
    before = model.test_on_batch(x, y)
    assert before == model.evaluate(x, y)
    still = Sequential([Dense(CLASSES, input_dim=FEATURES, activation="softmax")], seed=1)
    still.compile(loss="categorical_crossentropy", optimizer=SGD(0.0), metrics=["accuracy"])
    assert still.train_on_batch(x, y) == pytest.approx(still.evaluate(x, y), rel=1e-6)
    named = still.train_on_batch(x, y, return_dict=True)
    assert list(named) == ["loss", "accuracy"] == still.metrics_names
    assert still.test_on_batch(x, y, return_dict=True) == pytest.approx(named, rel=1e-6)
    assert type(net(metrics=()).train_on_batch(x, y)) is float
    assert type(net(metrics=()).test_on_batch(x, y)) is float
    assert np.array_equal(model.predict_on_batch(x), model.predict(x))


def test_weights_on_one_batch() -> None:
    x, y = BATCHES[0]
    one, other = net(), net()
    one.train_on_batch(x, y, class_weight=WEIGHTS)
    other.train_on_batch(x, y, sample_weight=FACTORS[:BATCH])
    assert same(one, other)
    assert one.test_on_batch(x, y, sample_weight=np.full(BATCH, 2.0))[0] == pytest.approx(2 * one.evaluate(x, y)[0])


def test_running_figures_of_batches() -> None:
    plain, running = net(), net()
    each = [plain.train_on_batch(x, y) for x, y in BATCHES]
    sizes = [len(x) for x, _ in BATCHES]
    for count, (x, y) in enumerate(BATCHES, 1):
        figures = running.train_on_batch(x, y, reset_metrics=False)
        assert figures == pytest.approx(np.average(each[:count], axis=0, weights=sizes[:count]), rel=1e-6)
    x, y = BATCHES[0]
    assert running.test_on_batch(x, y) == running.evaluate(x, y)
    for x, y in BATCHES[1:]:
        figures = running.test_on_batch(x, y, reset_metrics=False)
    assert figures == pytest.approx(running.evaluate(X, Y), rel=1e-6)


def test_between_batches_a_model_may_be_changed_and_compiled_again() -> None:
    x, y = BATCHES[0]
    model, other = net(), net()
    model.train_on_batch(x, y)
    model.set_weights(other.get_weights())
    model.compile(loss="categorical_crossentropy", optimizer="adam")
    model.train_on_batch(x, y)
    other.train_on_batch(x, y)
    assert same(model, other)
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.train_on_batch(x, y)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.training_state = None
    model.train_on_batch(x, y)
    assert model.training_state.iterations == 1
    model.add(Dense(CLASSES, activation="softmax"))
    model.train_on_batch(x, y)
    assert len(model.get_weights()) == len(before) + 2
    assert model.training_state.iterations == 1


def test_one_batch_that_does_not_fit() -> None:
    model = net()
    for x, y, message in ((X[:4, :2], Y[:4], "of shape"), (X[:0], Y[:0], "no rows"), (X[:4], None, "y is missing")):
        with pytest.raises(DataError, match=message):
            model.train_on_batch(x, y)
    model.train_on_batch(X[:4], Y[:4])
    with pytest.raises(DivergenceError, match="step 2"):
        model.train_on_batch(np.full((4, FEATURES), 3e38, np.float32), Y[:4])


# -- what callbacks change in between -----------------------------------------------------------------------


def test_each_epoch_looks_its_program_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbdl.training import steps as training

    looked: list[Any] = []
    executor = training.executor_of
    monkeypatch.setattr(training, "executor_of", lambda *given: looked.append(given[1]) or executor(*given))
    for options in ({"x": X, "y": Y, "batch_size": BATCH}, {"x": Again()}):
        looked.clear()
        net().fit(epochs=5, verbose=0, callbacks=[Looks()], **options)
        assert len(looked) >= 5


# -- train_test_split ---------------------------------------------------------------------------------------


def test_the_split_is_scikit_learns() -> None:
    sklearn = pytest.importorskip("sklearn.model_selection").train_test_split
    for options in (
        {},
        {"test_size": 0.3, "random_state": 5},
        {"train_size": 7},
        {"test_size": 5, "train_size": 0.333},
        {"shuffle": False},
        {"stratify": LABELS, "test_size": 0.21},
        *({"stratify": LABELS, "test_size": size, "train_size": 0.5} for size in range(3, 24, 4)),
    ):
        options = {"random_state": 0} | options
        found, wanted = train_test_split(X, list(LABELS), **options), sklearn(X, list(LABELS), **options)
        assert len(found) == 4
        for one, other in zip(found, wanted, strict=True):
            assert type(one) is type(other)
            assert np.array_equal(one, other)


def test_the_split_keeps_rows_together_and_all_of_them() -> None:
    x_train, x_test, y_train, y_test = train_test_split(X, LABELS, test_size=0.21, random_state=3)
    assert (len(x_train), len(x_test)) == (39, 11), "the test part is rounded up"
    assert sorted(map(tuple, np.concatenate([x_train, x_test]).tolist())) == sorted(map(tuple, X.tolist()))
    of_row = {tuple(row): label for row, label in zip(X.tolist(), LABELS, strict=True)}
    for x, y in ((x_train, y_train), (x_test, y_test)):
        assert [of_row[tuple(row)] for row in x.tolist()] == y.tolist()


def test_the_split_follows_the_seed_of_all() -> None:
    nbdl.set_random_seed(1)
    first = train_test_split(X)
    second = train_test_split(X)
    nbdl.set_random_seed(1)
    again = train_test_split(X)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], second[0])


def test_the_split_keeps_the_shares_of_classes() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    train, test = train_test_split(labels, test_size=0.3, stratify=labels)
    assert np.bincount(train).tolist() == [42, 21, 7]
    assert np.bincount(test).tolist() == [18, 9, 3]


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ((), {}, "of one length"),
        ((X, Y[:3]), {}, r"\[50, 3\]"),
        ((X,), {"test_size": 1.0}, "test_size is a share"),
        ((X,), {"test_size": 50}, "below 50"),
        ((X,), {"test_size": 0}, "test_size"),
        ((X,), {"test_size": 0.6, "train_size": 0.6}, "30 rows to train"),
        ((X[:1],), {}, "0 rows to train"),
        ((X,), {"stratify": LABELS, "shuffle": False}, "stratify shuffles"),
        ((X,), {"stratify": LABELS[:3]}, "3 labels"),
        ((X,), {"stratify": np.arange(ROWS)}, "a single one"),
        ((X,), {"stratify": LABELS, "test_size": 2}, "cannot hold"),
        ((3,), {}, "takes arrays"),
    ],
)
def test_splits_that_are_refused(arrays: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, DataError), match=message):
        train_test_split(*arrays, **options)


# -- going on within a pass ---------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 3, 7])
@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_epochs_that_end_within_a_pass_are_gone_on_with(steps: int, shuffle: Any) -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(96, 4)).astype(np.float32)
    y = x[:, :2].copy()

    def made() -> Sequential:
        model = Sequential([Dense(6, input_dim=4, activation="tanh"), Dense(2)], seed=1)
        model.compile("adam", "mse")
        return model

    options = {"steps_per_epoch": steps, "batch_size": 20, "shuffle": shuffle, "verbose": 0}
    straight, stopped = made(), made()
    straight.fit(x, y, epochs=4, **options)
    stopped.fit(x, y, epochs=2, **options)
    again = pickle.loads(pickle.dumps(stopped))
    again.fit(x, y, epochs=4, initial_epoch=2, **options)
    for one, other in zip(straight.get_weights(), again.get_weights(), strict=True):
        assert one.tobytes() == other.tobytes()


def test_train_on_batch_sees_an_optimizer_that_needs_other_slots() -> None:
    model = Sequential([Dense(2, input_dim=4)], seed=1)
    model.compile(SGD(0.1), "mse")
    x = np.ones((8, 4), np.float32)
    model.train_on_batch(x, x[:, :2])
    model.optimizer.momentum = 0.9
    with pytest.raises(ConfigError, match="compile the model again"):
        model.train_on_batch(x, x[:, :2])


def test_long_epochs_tell_how_far_they_are(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("nbdl.training.progress.LINE_SECONDS", 0.0)
    model = Sequential([Dense(1, input_dim=2)], seed=1)
    model.compile("sgd", "mse")
    x = np.ones((50_000, 2), np.float32)
    printed = {}
    for verbose in (1, 2):
        model.fit(x, x[:, 0], batch_size=1, epochs=1, verbose=verbose)
        printed[verbose] = capsys.readouterr().out.splitlines()
    assert len(printed[2]) == 1
    assert len(printed[1]) > 1
    within = r"Epoch 1/1, step \d+/50000, [\d:.]+s? left - [\d.]+s [\d.e+-]+[mu]?s/step - loss: [\d.e-]+"
    assert all(re.fullmatch(within, line) for line in printed[1][:-1]), printed[1]
    assert printed[1][-1].startswith("Epoch 1/1 - ")
    assert not set("\r\x1b") & set("".join(printed[1]))


def test_evaluate_and_predict_print_a_line_if_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential([Dense(1, input_dim=2)], seed=1)
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.ones((3, 2), np.float32)
    model.evaluate(x, x[:, 0])
    model.predict(x)
    assert capsys.readouterr().out == ""
    model.evaluate(x, x[:, 0], verbose=1)
    assert re.fullmatch(r"Evaluated in [\d.]+s - loss: [\d.]+ - mae: [\d.]+\n", capsys.readouterr().out)
    model.predict(x[:1], verbose=1)
    assert re.fullmatch(r"Predicted 1 row in [\d.]+s\n", capsys.readouterr().out)


def test_what_a_notebook_shows_of_a_model_and_a_history_is_short() -> None:
    model = Sequential(name="net")
    assert repr(model) == "<Sequential 'net': no layers>"
    model.add(Dense(1, input_dim=2, name="out"))
    model.build()
    assert repr(model) == "<Sequential 'net': out, 3 weights>"
    model.compile("sgd", "mse")
    x = np.ones((3, 2), np.float32)
    history = model.fit(x, x[:, 0], epochs=2, verbose=0)
    assert repr(history) == f"<History: 2 epochs; loss: {history.history['loss'][-1]:.4f}>"
