"""What people pass and what they do to a model: it works, or an error says what to do."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nbdl
from nbdl.errors import ConfigError, DataError, FileFormatError, NbdlError
from nbdl.layers import Activation, Dense, Flatten, Input
from nbdl.training.batches import is_stream
from nbdl.training.fit_data import kept_rows
from nbdl.utils import confusion_matrix, to_categorical

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
Y = np.arange(12) % 3
HALVES = np.round(X * 4) / 4  # exact in any float


def net(shape: Any = (4,), outputs: int = 3, loss: str = "sparse_categorical_crossentropy") -> nbdl.Sequential:
    layers = [Input(shape), *([Flatten()] if len(shape) > 1 else [])]
    model = nbdl.Sequential([*layers, Dense(outputs, activation="softmax" if outputs > 1 else None)], seed=1)
    model.compile(loss=loss, optimizer="sgd")
    return model


def fitted(x: Any, y: Any, **options: Any) -> Any:
    model = net()
    model.fit(x, y, **{"verbose": 0} | options)
    return model.get_weights()[0]


# -- arrays of all kinds ------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[Any], Any]] = {
    "float64": lambda x: x.astype(np.float64),
    "float16": lambda x: x.astype(np.float16),
    "longdouble": lambda x: x.astype(np.longdouble),
    "big-endian": lambda x: x.astype(">f4"),
    "big-endian float64": lambda x: x.astype(">f8"),
    "big-endian float16": lambda x: x.astype(">f2"),
    "Fortran order": np.asfortranarray,
    "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "broadcast": lambda x: np.broadcast_to(x[None], (1, *x.shape))[0],
    "objects": lambda x: x.astype(object),
    "lists": lambda x: x.tolist(),
    "tuple of rows": lambda x: tuple(x),
    "read-only": lambda x: frozen(x),
    "unaligned": lambda x: np.frombuffer(b"x" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape),
    "matrix subclass": lambda x: x.view(Subclass),
    "no mask": np.ma.array,
    "DataFrame": pd.DataFrame,
    "DataFrame of columns": lambda x: pd.DataFrame(
        {f"c{n}": x[:, n].astype(np.float64 if n else np.float32) for n in range(4)}
    ),
    "nullable DataFrame": lambda x: pd.DataFrame(x).convert_dtypes(),
    "DataFrame of objects": lambda x: pd.DataFrame(x).astype(object),
}


class Subclass(np.ndarray):
    """An array with a class of its own."""


def frozen(x: Any) -> Any:
    x = x.copy()
    x.setflags(write=False)
    return x


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_numbers_gives_the_same_bits(form: str) -> None:
    given = FORMS[form](HALVES)
    before = copy.deepcopy(given)
    assert np.array_equal(net().predict(given), net().predict(HALVES))
    assert np.array_equal(fitted(given, Y), fitted(HALVES, Y))
    assert np.array_equal(np.asarray(before, np.float64), np.asarray(given, np.float64)), "the data was changed"


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4", "bool"]
)
def test_integers_are_numbers_too(dtype: str) -> None:
    x = (np.arange(48).reshape(12, 4) % 2).astype(dtype)
    assert np.array_equal(net().predict(x), net().predict(x.astype(np.float32)))
    assert np.array_equal(fitted(x, Y), fitted(x.astype(np.float32), Y))


def test_a_memory_map_is_read_in_place(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", HALVES)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.array_equal(net().predict(mapped), net().predict(HALVES))
    assert np.array_equal(fitted(mapped, Y), fitted(HALVES, Y))


LABELS: dict[str, Callable[[Any], Any]] = {
    "a column": lambda y: y[:, None],
    "floats": lambda y: y.astype(float),
    "a list": lambda y: y.tolist(),
    "uint8": lambda y: y.astype(np.uint8),
    "big-endian": lambda y: y.astype(">i8"),
    "Series": pd.Series,
    "Series with an index of its own": lambda y: pd.Series(y, index=range(100, 112)),
    "nullable Series": lambda y: pd.Series(y, dtype="Int64"),
    "categories": lambda y: pd.Series(y).astype("category"),
    "Categorical": pd.Categorical,
    "DataFrame of a column": lambda y: pd.DataFrame({"y": y}),
}


@pytest.mark.parametrize("form", LABELS)
def test_every_form_of_the_same_labels(form: str) -> None:
    assert np.array_equal(fitted(X, LABELS[form](Y)), fitted(X, Y))


def test_shapes_that_fit() -> None:
    assert np.array_equal(net((2, 2)).predict(X.reshape(12, 2, 2)), net().predict(X))
    assert net((1,)).predict(X[:, 0]).shape == (12, 3)
    assert net((1,)).predict(X[:, :1]).shape == (12, 3)
    assert net().predict(np.empty((0, 4))).shape == (0, 3)
    assert net()(X[0]).shape == (3,)
    one = net(outputs=1, loss="mse")
    one.fit(X, X[:, 0], verbose=0)
    one.fit(X, X[:, :1], verbose=0)


# -- data that cannot be used -------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Any, Any, str]] = {
    "no x": (None, Y, "x is missing"),
    "no y": (X, None, "y is missing"),
    "no rows": (X[:0], Y[:0], "no rows to train on"),
    "a number": (1.0, Y, "single number"),
    "one row": (X[0], Y[:1], r"for a single row use x\[None\]"),
    "transposed": (X.T, Y, r"x\.T"),
    "flat images": (X.reshape(12, 2, 2), Y, r"reshape\(len\(x\), 4\)"),
    "other features": (X[:, :3], Y, r"takes x of shape \(rows, 4\), got \(12, 3\)"),
    "ragged": ([[1, 2, 3, 4], [1, 2]], Y[:2], "different lengths"),
    "ragged objects": (np.array([[1, 2], [1]], dtype=object), Y[:2], "different lengths"),
    "text": ([["a"] * 4] * 12, Y, "not numbers"),
    "a dict": ({"a": 1}, Y, "a dict with the keys"),
    "a set": ({1.0, 2.0}, Y, "a set, which has no order"),
    "a generator": ((row for row in X), Y, "y was given beside an iterable of batches"),
    "complex": (X.astype(complex), Y, "complex"),
    "dates": (X.astype("M8[s]"), Y, "datetime64"),
    "masked": (np.ma.masked_greater(X, 1.0), Y, "masked values"),
    "nullable with gaps": (
        pd.DataFrame(X).convert_dtypes().mask(pd.DataFrame(X) > 1),
        Y,
        r"<NA> at row 1, column 2",
    ),
    "NaN": (np.where(X > 1, np.nan, X), Y, "x holds NaN in row 1, column 2"),
    "None": (np.where(X > 1, None, X.astype(object)), Y, "x holds NaN in row 1, column 2"),
    "infinity": (np.where(X > 1, np.inf, X), Y, "x holds infinity in row 1, column 2"),
    "beyond float32": (X.astype(float) * 1e300, Y, "more than float32 can hold"),
    "fewer labels": (X, Y[:5], "x has 12 rows, y has 5"),
    "one-hot labels": (X, np.eye(3)[Y], "categorical_crossentropy"),
    "labels from 1": (X, Y + 1, "integers from 0 to 2"),
    "negative labels": (X, Y - 1, "integers from 0 to 2"),
    "labels between": (X, Y + 0.5, "integers from 0 to 2"),
    "NaN among labels": (X, np.where(Y == 1, np.nan, Y), "y holds NaN in row 1"),
    "masked labels": (X, np.ma.masked_equal(Y, 1), "masked values"),
    "names": (X, list("abcabcabcabc"), "class names"),
    "a column of names": (X, pd.Series(list("abcabcabcabc")).astype("category"), r"'a' at \[0\]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_data_that_cannot_be_used_is_refused(case: str) -> None:
    x, y, message = REFUSED[case]
    model = net()
    before = model.get_weights()[0]
    with pytest.raises(DataError, match=message):
        model.fit(x, y, verbose=0)
    assert np.array_equal(before, model.get_weights()[0])
    assert np.isfinite(model.predict(X)).all()


def test_pixels_that_are_not_scaled_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="divide by 255") as caught:
        fitted((np.abs(X) * 100).clip(0, 255).astype(np.uint8), Y)
    assert len(caught) == 1


# -- options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "share", "kept"),
    [(10, 0.9, 1), (100, 0.9, 10), (1000, 0.99, 10), (100, 0.57, 43), (10, np.float32(0.9), 1)],
)
def test_the_split_is_exact(rows: int, share: float, kept: int) -> None:
    """Of 10 rows 0.9 leaves 1: in floating point 10 * (1 - 0.9) is below 1."""
    assert kept_rows(rows, share) == kept


TIMES = np.array([[1_700_000_000], [1_700_000_001], [1_700_000_060]])
WAYS: dict[str, Callable[[nbdl.Sequential, Any], Any]] = {
    "predict": lambda model, x: model.predict(x),
    "call": lambda model, x: model(x),
    "call of many": lambda model, x: model(np.repeat(x, 3000, 0)),
    "as_njit": lambda model, x: model.as_njit()(x),
    "evaluate": lambda model, x: model.evaluate(x, np.zeros(len(x))),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "test_on_batch": lambda model, x: model.test_on_batch(x, np.zeros(len(x))),
    "batches": lambda model, x: model.evaluate([(x, np.zeros(len(x)))]),
    "fit": lambda model, x: model.fit(x / 1, np.zeros(len(x)), epochs=0),
    "adapt": lambda model, x: nbdl.layers.Normalization().adapt(x),
}


@pytest.mark.parametrize("dtype", ["int64", "uint32", "float64"])
@pytest.mark.parametrize("way", WAYS)
def test_numbers_that_float32_cannot_hold_are_warned_of_at_the_users_line(way: str, dtype: str) -> None:
    model = nbdl.Sequential([Dense(1, input_dim=1)], seed=1)
    model.compile("sgd", "mse")
    message = "too far apart" if way == "adapt" else "1700000001 in row (1|3000), column 0 .* becomes 1700000000"
    with pytest.warns(UserWarning, match=message) as seen:
        WAYS[way](model, TIMES.astype(dtype))
    assert [Path(one.filename).name for one in seen] == ["test_inputs.py"]


@pytest.mark.parametrize(
    "x",
    [
        np.array([[1e6 + 0.125], [1e6 + 0.01]]),
        np.array([[5.0, 1e-6], [9.0, 1e-6 + 1e-13]]),
        np.array([[2.0**62 + 2.0**20], [2.0**62]]),
        np.array([[(1 << 62) + 1], [-(1 << 63)]]),
        np.array([[(1 << 64) - 1]], np.uint64),
    ],
)
def test_numbers_too_close_together_for_float32(x: Any) -> None:
    with pytest.warns(UserWarning, match="x holds (numbers that lie closer|whole numbers above)"):
        net((x.shape[1],)).predict(x)


@pytest.mark.parametrize(
    "x",
    [
        np.array([[1 << 62], [-(1 << 63)], [3 << 40]]),
        np.array([[0.1], [0.1]]),
        np.array([[1e6 + 0.125], [1e6 + 0.25]]),
        np.random.default_rng(0).normal(1000, 1, (50, 1)),
        np.array([[1e30], [2.5e30]]),
        np.array([[1 << 24], [(1 << 24) - 1]]),
    ],
)
def test_numbers_that_float32_holds_well_enough(x: Any) -> None:
    with warnings.catch_warnings(action="error"):
        net((1,)).predict(x)


def test_targets_too_close_together_for_float32() -> None:
    model = net(outputs=1, loss="mse")
    with pytest.warns(UserWarning, match="y holds numbers that lie closer together"):
        model.evaluate(X, 1.7e9 + np.arange(12.0))


class Tensor:
    """What PyTorch's tensors are like."""

    def __init__(self, values: Any, grad: bool = True, place: str = "cuda", dtype: str = "torch.float32") -> None:
        self.values, self.grad, self.place, self.dtype = np.asarray(values, np.float32), grad, place, dtype
        self.shape, self.ndim = self.values.shape, self.values.ndim

    def detach(self) -> Any:
        return Tensor(self.values, False, self.place, self.dtype)

    def cpu(self) -> Any:
        return Tensor(self.values, self.grad, "cpu", self.dtype)

    def float(self) -> Any:
        return Tensor(self.values, self.grad, self.place)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.place != "cpu" or self.dtype != "torch.float32":
            raise TypeError("can't convert it to numpy")
        return self.values


def test_tensors_with_gradients_on_gpus_and_in_bfloat16() -> None:
    model = net()
    expected = model.predict(X)
    np.testing.assert_array_equal(model.predict(Tensor(X)), expected)
    np.testing.assert_array_equal(model.predict(Tensor(X, dtype="torch.bfloat16")), expected)
    np.testing.assert_array_equal(model.predict([Tensor(row) for row in X]), expected)


def test_an_array_that_cannot_be_converted_is_explained() -> None:
    class Odd:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise RuntimeError("not today\nand more")

    with pytest.raises(DataError, match=r"x, a Odd, cannot be made into a NumPy array: not today$"):
        net().predict(Odd())


def test_pairs_and_huge_integers_are_explained() -> None:
    with pytest.raises(DataError, match=r"Of pairs \(x, y\) make two arrays: x, y = zip\(\*x\)"):
        net().fit(list(zip(X, Y, strict=True)))
    with pytest.raises(DataError, match="an integer that is too large, even for float64"):
        net().predict([[10**400, 1, 1, 1]])


def test_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    np.testing.assert_array_equal(net().predict(HALVES.astype(ml_dtypes.bfloat16)), net().predict(HALVES))


@pytest.mark.parametrize(
    "rows",
    [
        list(zip(X[:, 0], X[:, 1], strict=True)),
        list(zip(X[:, 0].tolist(), Y, strict=True)),
        [(np.array(1.0), np.array(2.0))],
        tuple(zip(X[:, 0], X[:, 1], strict=True)),
    ],
)
def test_tuples_of_numbers_are_rows_not_batches(rows: Any) -> None:
    assert not is_stream(rows)
    model = net((2,), 1, "mse")
    np.testing.assert_array_equal(model.predict(rows), model.predict(np.array(rows)))
    target = np.zeros(len(rows))
    model.fit(rows, target, validation_data=(rows, target), verbose=0)
    assert model.evaluate(rows, target) == model.evaluate(np.array(rows), target)
    assert is_stream([(X[:, :2], target)])


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        ([0, 1], 2.5, "num_classes is an integer .*got 2.5"),
        ([0, 1], "3", "num_classes is an integer .*got '3'"),
        ([0, 1], 0, "num_classes is an integer of at least 1, got 0"),
        (["a", "b"], None, "number class names, np.unique"),
        ([0.5], None, "integers from 0"),
        ([np.nan], None, "integers from 0"),
        ([np.inf], None, "integers from 0"),
        ([10**15], None, "do not fit into memory"),
        ({"a": 1}, None, "a dict with the keys"),
    ],
)
def test_labels_that_cannot_be_one_hot(y: Any, classes: Any, message: str) -> None:
    with pytest.raises(NbdlError, match=message):
        to_categorical(y, classes)
    if classes is not None:
        with pytest.raises(NbdlError, match=message):
            confusion_matrix(y, y, classes)


def test_labels_that_can_be_one_hot() -> None:
    assert to_categorical(np.array([[3], [0]], np.uint8), np.int32(5)).tolist() == [[0, 0, 0, 1, 0], [1, 0, 0, 0, 0]]
    assert to_categorical(2).tolist() == [0, 0, 1]
    assert to_categorical([70_000]).nbytes < 1e6  # no square matrix of all classes
    np.testing.assert_array_equal(to_categorical(Tensor([1.0, 0.0])), [[0, 1], [1, 0]])


def test_a_batch_larger_than_the_data_is_the_data() -> None:
    whole = fitted(X, Y, batch_size=12)
    for size in (13, 10**9, 2**70, np.int64(100)):
        assert np.array_equal(fitted(X, Y, batch_size=size), whole)


def test_no_epochs_train_nothing() -> None:
    model = net()
    before = model.get_weights()[0]
    assert model.fit(X, Y, epochs=0, verbose=0).history == {}
    assert model.fit(X, Y, epochs=2, initial_epoch=5, verbose=0).history == {}
    assert np.array_equal(model.get_weights()[0], before)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"batch_size": -1},
        {"batch_size": 2.5},
        {"batch_size": True},
        {"batch_size": "8"},
        {"epochs": -1},
        {"epochs": 1.5},
        {"epochs": "3"},
        {"initial_epoch": -1},
        {"validation_split": 1.0},
        {"validation_split": -0.1},
        {"validation_split": math.nan},
        {"validation_split": "0.2"},
        {"validation_split": None},
        {"validation_split": 0.999},
        {"validation_data": (X,)},
        {"validation_data": X},
        {"validation_data": (X[:, :2], Y)},
        {"validation_data": (X, Y[:3])},
        {"validation_data": (X[:0], Y[:0])},
        {"sample_weight": [1.0, 2.0]},
        {"sample_weight": [math.nan] * 12},
        {"sample_weight": np.ones((12, 2))},
        {"callbacks": [3]},
        {"callbacks": ["no such callback"]},
        {"epochs": 2, "nb_epoch": 2},
    ],
    ids=lambda options: " ".join(f"{key} {str(value)[:12]}" for key, value in options.items()),
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    model = net()
    with pytest.raises(NbdlError):
        model.fit(X, Y, verbose=0, **options)
    model.fit(X, Y, verbose=0)


def test_a_single_callback_need_not_be_in_a_list() -> None:
    stop = nbdl.callbacks.EarlyStopping(monitor="loss")
    assert net().fit(X, Y, verbose=0, callbacks=stop).history["loss"]


@pytest.mark.parametrize(
    ("share", "kept"), [(0.5, 6), (0.01, 11), (0.9, 1), (1 / 3, 8), (0.75, 3), (2 / 3, 4), (1 - 1 / 3, 4)]
)
def test_the_split_takes_the_last_rows(share: float, kept: int) -> None:
    model = net()
    history = model.fit(X, Y, validation_split=share, verbose=0).history
    assert np.array_equal(model.get_weights()[0], fitted(X[:kept], Y[:kept]))
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X[kept:], Y[kept:]), rel=1e-6)


# -- what people do to models -------------------------------------------------------------------------------


def test_layers_may_be_added_and_removed_after_training() -> None:
    model = nbdl.Sequential([Dense(4, input_dim=4)], seed=1)
    model.compile(loss="mse", optimizer="adam")
    model.fit(X, X, verbose=0)
    kernel, before = model.get_weights()[0], model.predict(X)
    model.add(Dense(3, activation="softmax"))
    assert np.array_equal(model.get_weights()[0], kernel)
    assert model.predict(X).shape == (12, 3)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    model.fit(X, Y, verbose=0)
    assert not np.array_equal(model.get_weights()[0], kernel)
    model.pop()
    model.layers[0]
    assert len(model.get_weights()) == 2
    model.set_weights([kernel, np.zeros(4)])
    assert model.predict(X).shape == before.shape


def test_compiling_again_starts_the_optimizer_anew_and_keeps_the_weights() -> None:
    again, fresh = net(), net()
    again.fit(X, Y, verbose=0, epochs=3)
    fresh.set_weights(again.get_weights())
    for model in (again, fresh):
        model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
        model.fit(X, Y, verbose=0)
    assert np.array_equal(again.get_weights()[0], fresh.get_weights()[0])


def test_a_layer_may_be_used_twice_in_a_model() -> None:
    shared = Dense(4, activation="tanh")
    model = nbdl.Sequential([Input((4,)), shared, shared, Dense(1)], seed=1)
    model.compile(loss="mse", optimizer="sgd")
    model.fit(X, X[:, :1], verbose=0)
    assert len(model.get_weights()) == 4
    assert np.array_equal(copy.deepcopy(model).predict(X), model.predict(X))


def test_a_layer_in_two_models_has_its_weights_in_both() -> None:
    first = nbdl.Sequential([Dense(4, input_dim=4), Dense(3)], name="first", seed=1)
    answers = first.predict(X)
    second = nbdl.Sequential(first.layers, seed=2)
    assert np.array_equal(second.predict(X), answers)
    second.compile(loss="mse", optimizer="sgd")
    second.fit(X, np.ones((len(X), 3)), verbose=0)
    assert not np.array_equal(first.predict(X), answers)
    assert np.array_equal(second.predict(X), first.predict(X))
    third = nbdl.Sequential([Dense(4, input_dim=4)])
    third.add(first.layers[1])
    assert third.weights[2] is first.weights[2]


def test_a_layer_put_into_two_models_before_either_is_built() -> None:
    shared = Dense(3)
    first, second = nbdl.Sequential([shared], name="first"), nbdl.Sequential([shared], name="second")
    first.build((4,))
    second.build((4,))
    assert second.weights[0] is first.weights[0]
    third = nbdl.Sequential([shared], name="third")
    with pytest.raises(ConfigError, match="used twice, with inputs"):
        third.build((5,))


def test_layers_of_a_model_that_is_gone_keep_their_values() -> None:
    model = nbdl.Sequential([Dense(4, input_dim=4)], seed=1)
    layers, values = model.layers, model.get_weights()
    del model
    again = nbdl.Sequential(layers, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(again.get_weights(), values, strict=True))


def test_layers_that_were_removed_or_copied_or_refused_are_free() -> None:
    model = nbdl.Sequential([Dense(4, input_dim=4), Dense(3)], seed=1)
    assert nbdl.Sequential([model.pop()]).built is False
    kept = model.layers[0]
    copied = copy.deepcopy(kept)
    other = nbdl.Sequential([copied])
    other.layers[0].set_weights(kept.get_weights())
    assert np.array_equal(other.predict(X), model.predict(X))
    first = Dense(4, input_dim=4)
    with pytest.raises(ConfigError):
        nbdl.Sequential([first, Dense(3, input_dim=5)])
    nbdl.Sequential([first, Dense(3)])


def test_a_model_whose_layers_were_all_removed_has_no_weights() -> None:
    model = nbdl.Sequential([Dense(4, input_dim=4)])
    model.pop()
    assert model.weights == model.get_weights() == []
    model.add(Dense(2, input_dim=3))
    assert [weight.shape for weight in model.get_weights()] == [(3, 2), (2,)]


def test_one_layer_instead_of_a_list_is_explained() -> None:
    with pytest.raises(ConfigError, match="list"):
        nbdl.Sequential(Dense(3))  # type: ignore[arg-type]


def test_models_without_weights_work() -> None:
    model = nbdl.Sequential([Input((4,)), Activation("relu")], seed=1)
    model.compile(loss="mse", optimizer="adam")
    model.fit(X, X, verbose=0)
    assert np.array_equal(model.predict(X), np.maximum(X, 0))


class Negated(nbdl.layers.Dense):  # type: ignore[misc, name-defined]
    """A layer of a user's own, not registered, on top of one that is."""

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        y, saved = super().forward(r, x)
        return r.map(negative, y), saved

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return super().backward(r, x, y, r.map(negative, dy), saved)


def negative(x: float) -> float:
    return -x


def test_a_class_that_is_not_registered_is_not_saved_as_its_base(tmp_path: Path) -> None:
    model = nbdl.Sequential([Negated(3, input_dim=4)], seed=1)
    assert np.isfinite(model.predict(X)).all()
    np.testing.assert_array_equal(copy.deepcopy(model).predict(X), model.predict(X))
    with pytest.raises(ConfigError, match="not registered"):
        model.save(tmp_path / "model.nbdl")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04 and so on", b"\x93NUMPY", b"{}"])
def test_files_that_hold_no_weights_are_refused(content: bytes, tmp_path: Path) -> None:
    model = net()
    before = model.get_weights()[0]
    file = tmp_path / "weights.npz"
    file.write_bytes(content)
    with pytest.raises(FileFormatError):
        model.load_weights(file)
    np.save(tmp_path / "x.npy", X)
    for wrong in (tmp_path / "x.npy", tmp_path, tmp_path / "missing.npz"):
        with pytest.raises(FileFormatError):
            model.load_weights(wrong)
    assert np.array_equal(model.get_weights()[0], before)


def test_nothing_is_printed_or_warned_of_in_an_ordinary_run(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = net()
        model.fit(X, Y, verbose=0, validation_split=0.25)
        model.evaluate(X, Y)
        model.predict(X)
    assert capfd.readouterr() == ("", "")


# -- alignment, ranges of targets ---------------------------------------------------------------------------


def shifted(x: Any, by: int) -> Any:
    """The same numbers at an address that is not a multiple of their size."""
    raw = np.zeros(x.nbytes + by, np.uint8)
    raw[by:] = x.reshape(-1).view(np.uint8)
    return raw[by:].view(x.dtype).reshape(x.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("by", [1, 4])
def test_rows_are_aligned_for_their_own_type(dtype: str, by: int) -> None:
    from nbdl.training import inputs

    values = shifted(X.astype(dtype), by)
    rows = inputs.rows_of(values, (4,), "x")
    assert rows.flags.aligned
    assert rows.flags.c_contiguous
    assert np.array_equal(rows, X)
    assert inputs.row_weights(shifted(np.ones(12, np.float32), 1), 12).flags.aligned
    assert np.shares_memory(inputs.rows_of(X, (4,), "x"), X)


def classifying(loss: str, outputs: int = 3) -> nbdl.Sequential:
    model = nbdl.Sequential([Dense(outputs, input_dim=4, activation="sigmoid")], seed=1)
    model.compile(loss=loss, optimizer="sgd")
    return model


ONE_HOT = np.eye(3)[Y]
SIGNS = np.where(X[:, :3] > 0, 1.0, -1.0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8"])
def test_binary_targets_of_minus_one_are_refused(dtype: str) -> None:
    with pytest.raises(DataError, match=r"from 0 to 1.*-1 to 1.*\(y \+ 1\) / 2"):
        classifying("binary_crossentropy").fit(X, SIGNS.astype(dtype), verbose=0)
    with pytest.raises(DataError, match="from 0 to 1, y goes from 0 to 2"):
        classifying("binary_crossentropy").evaluate(X, (ONE_HOT * 2).astype(dtype))
    for fitting in (ONE_HOT.astype(dtype), ONE_HOT > 0.5, 0.9 * ONE_HOT + 0.05, np.ones((12, 3)) * (1 + 1e-7)):
        classifying("binary_crossentropy").fit(X, fitting, verbose=0)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8"])
def test_categorical_targets_are_probabilities(dtype: str) -> None:
    labels = np.arange(36).reshape(12, 3) + 1
    for wrong, text in ((labels, "row 0 of y .*adds up to 6"), (SIGNS, "row . of y .*has -1"), (0 * labels, "up to 0")):
        with pytest.raises(DataError, match=f"one-hot.*{text}.*sparse_categorical_crossentropy.*to_categorical"):
            classifying("categorical_crossentropy").fit(X, wrong.astype(dtype), verbose=0)
    for fitting in (ONE_HOT.astype(dtype), ONE_HOT > 0.5, 0.9 * ONE_HOT + 0.1 / 3, (ONE_HOT * 0.999)):
        classifying("categorical_crossentropy").fit(X, fitting, verbose=0)


def test_rectifiers_of_infinity_and_nan() -> None:
    x = np.array([[-np.inf, -1e30, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan]], np.float32)
    wanted = np.array([[0, 0, 0, 0, 0, 1, np.inf, np.nan]], np.float32)
    from nbdl.activations import relu
    from nbdl.testing.probe import Probe

    for how in ("compiled", "plain", "python"):
        for width in (8, 64):  # a vector's loop, and its rest
            tiled = np.tile(x, (3, width // 8))
            y = Probe("relu", lambda r, t: relu().forward(r, t[0])[0], [tiled]).run(how).output
            np.testing.assert_array_equal(y, np.tile(wanted, (3, width // 8)))
            assert not np.signbit(y[:, :3]).any(), "-0.0 for negative numbers"
    other = relu(negative_slope=0.5, max_value=2.0, threshold=-2.0)
    y = Probe("relu", lambda r, t: other.forward(r, t[0])[0], [x]).run("compiled").output
    np.testing.assert_array_equal(y[0], np.array([-np.inf, -5e29, -1, 0, 0, 1, 2, np.nan], np.float32))


@pytest.mark.parametrize("way", ["fit", "evaluate", "predict", "train_on_batch"])
def test_no_rows_are_called_so(way: str) -> None:
    model = nbdl.Sequential([Dense(1, input_dim=2)])
    model.compile("sgd", "mse")
    with pytest.raises(DataError, match="x has no rows"):
        getattr(model, way)(*([[]] if way == "predict" else [[], []]))
