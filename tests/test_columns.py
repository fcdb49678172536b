"""Columns in another order, and plain rows for a model that was trained on encoded ones: never silently wrong."""

from __future__ import annotations

import copy
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from nbdl_standard.readers import csv

import nbdl
from nbdl.data.encoding import Encoding
from nbdl.errors import ConfigError, DataError, EncodedRowsWarning, FileFormatError
from nbdl.layers import Dense
from nbdl.model.owner import job_of
from nbdl.units.callback import Callback

FRAME = pd.DataFrame(np.random.default_rng(0).normal(50, 9, (24, 2)), columns=["a", "b"])
SWAPPED = FRAME[["b", "a"]]
TARGET = (FRAME.a - 2 * FRAME.b).to_numpy()


def net() -> nbdl.Sequential:
    model = nbdl.Sequential([Dense(1, input_dim=2)], seed=1)
    model.compile(nbdl.optimizers.SGD(1e-6), "mse")
    return model


class Watching(Callback):
    """Has predictions and evaluations made batch by batch."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Nothing."""

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Nothing."""


WAYS: dict[str, Callable[..., Any]] = {
    "predict": lambda model, x, **known: model.predict(x, **known),
    "predict with callbacks": lambda model, x, **known: model.predict(x, callbacks=[Watching()], **known),
    "predict of batches": lambda model, x, **known: model.predict(iter([x]), **known),
    "predict_on_batch": lambda model, x, **known: model.predict_on_batch(x, **known),
    "predict_classes": lambda model, x, **known: model.predict_classes(x, **known),
    "predict_proba": lambda model, x, **known: model.predict_proba(x, **known),
    "call": lambda model, x, **known: model(x, **known),
    "as_njit": lambda model, x, **known: model.as_njit(**known)(x),
    "vjp": lambda model, x, **known: model.as_njit(derivatives=True, **known).vjp(x, np.ones((24, 1))),
    "jacobian": lambda model, x, **known: model.as_njit(derivatives=True, **known).jacobian(x),
    "evaluate": lambda model, x, **known: model.evaluate(x, TARGET, **known),
    "evaluate with callbacks": lambda model, x, **known: model.evaluate(x, TARGET, callbacks=[Watching()], **known),
    "evaluate of batches": lambda model, x, **known: model.evaluate(iter([(x, TARGET)]), **known),
    "test_on_batch": lambda model, x, **known: model.test_on_batch(x, TARGET, **known),
    "train_on_batch": lambda model, x, **known: model.train_on_batch(x, TARGET, **known),
    "fit": lambda model, x, **known: model.fit(x, TARGET, verbose=0, **known),
    "fit of batches": lambda model, x, **known: model.fit(iter([(x, TARGET)]), verbose=0, **known),
    "validation": lambda model, x, **known: model.fit(FRAME, TARGET, validation_data=(x, TARGET), verbose=0, **known),
    "validation of batches": lambda model, x, **known: model.fit(
        FRAME, TARGET, validation_data=iter([(x, TARGET)]), verbose=0, **known
    ),
}


# -- names of columns ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_columns_in_another_order_are_refused(way: str) -> None:
    model = net()
    model.fit(FRAME, TARGET, verbose=0)
    weights = model.get_weights()[0]
    with pytest.raises(DataError, match=r"must match those that adapt or fit was given, .* 'a', 'b'; got 'b', 'a'"):
        WAYS[way](model, SWAPPED)
    if way != "validation of batches":  # which are looked at when an epoch is over
        np.testing.assert_array_equal(model.get_weights()[0], weights)
    WAYS[way](model, FRAME)


def test_the_names_are_those_of_the_fit_and_stay_with_the_model(tmp_path: Path) -> None:
    model = net()
    assert model.feature_names is None
    model.predict(SWAPPED)
    model.fit(FRAME, TARGET, verbose=0)
    model.fit(FRAME.to_numpy(), TARGET, verbose=0)
    model.save(tmp_path / "model.nbdl")
    for same in (
        model,
        nbdl.load_model(tmp_path / "model.nbdl"),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ):
        assert same.feature_names == ("a", "b")
        with pytest.raises(DataError, match="feature names"):
            same.predict(SWAPPED)
    model.feature_names = None
    assert model.predict(SWAPPED).shape == (24, 1)
    model.feature_names = ["b", "a"]
    model.predict(SWAPPED)
    with pytest.raises(ConfigError, match="a list of names"):
        model.feature_names = "ab"
    model.pop()
    assert model.feature_names is None


def test_a_fit_on_other_columns_takes_their_names() -> None:
    model, other = net(), FRAME.set_axis(["u", "v"], axis=1)
    model.fit(FRAME, pd.DataFrame({"t": TARGET}), verbose=0)
    with pytest.warns(UserWarning, match=r"the columns of x are 'u', 'v', and the model was fitted on 'a', 'b'"):
        model.fit(other, pd.DataFrame({"s": TARGET}), validation_data=(other, TARGET), verbose=0)
    assert (model.feature_names, job_of(model).network.target_names) == (("u", "v"), ("s",))
    with pytest.warns(UserWarning, match="the columns of x"), pytest.raises(DataError, match="'a', 'b'; got 'u', 'v'"):
        model.fit(FRAME, TARGET, validation_data=(other, TARGET), verbose=0)
    assert model.feature_names == ("u", "v")
    with pytest.warns(UserWarning, match="the columns of x"):
        model.fit(iter([(FRAME, TARGET)]), verbose=0)
    assert model.feature_names == ("a", "b")
    for call in (model.predict, lambda x: model.evaluate(x, TARGET), lambda x: model.train_on_batch(x, TARGET)):
        with pytest.raises(DataError, match="'a', 'b'; got 'u', 'v'"):
            call(other)
    with pytest.raises(DataError, match=r"x, batch 2 of epoch 1: .* 'a', 'b'; got 'u', 'v'"):
        model.fit(iter([(FRAME, TARGET), (other, TARGET)]), verbose=0)


def adapted(*before: nbdl.Layer) -> nbdl.Sequential:
    layer = nbdl.layers.Normalization(input_shape=(2,))
    layer.adapt(FRAME)
    model = nbdl.Sequential([*before, layer, Dense(1)], seed=1)
    model.compile(nbdl.optimizers.SGD(1e-6), "mse")
    return model


@pytest.mark.parametrize("way", WAYS)
def test_columns_of_adapt_are_those_of_fit(way: str) -> None:
    other = FRAME.set_axis(["u", "v"], axis=1)
    for model in (adapted(), adapted(nbdl.layers.GaussianNoise(0.1, input_shape=(2,)))):
        model.build()
        for frame in (SWAPPED, other):
            with pytest.raises(DataError, match=r"those that adapt or fit was given, in the same order: 'a', 'b'; got"):
                WAYS[way](model, frame)
        WAYS[way](model, FRAME)


def test_columns_of_adapt_stay_with_a_saved_model_and_are_forgotten(tmp_path: Path) -> None:
    model = adapted()
    model.save(tmp_path / "model.nbdl")
    for same in (nbdl.load_model(tmp_path / "model.nbdl"), copy.deepcopy(model)):
        with pytest.raises(DataError, match="'a', 'b'; got 'b', 'a'"):
            same.fit(SWAPPED, TARGET, verbose=0)
    model.fit(FRAME, TARGET, verbose=0)
    layer: Any = model.layers[0]
    with pytest.raises(DataError, match="the columns of adapt's data must be in the order"):
        layer.adapt(SWAPPED)
    with pytest.raises(DataError, match=r"'a', 'b'; got 'b', 'a'"):
        layer.adapt(iter([FRAME, SWAPPED]))
    other = FRAME.set_axis(["u", "v"], axis=1)
    with pytest.raises(DataError, match="'a', 'b'; got 'u', 'v'"):
        model.fit(other, TARGET, verbose=0)  # its statistics are those of a and b
    layer.adapt(other)
    model.fit(other, TARGET, verbose=0)
    assert model.feature_names == ("u", "v")
    model.feature_names = None
    model.fit(SWAPPED, TARGET, verbose=0)


def test_other_columns_are_named() -> None:
    model = net()
    model.train_on_batch(FRAME, TARGET)
    with pytest.raises(DataError, match=r"Unseen in fit: 'y'. Use x\[list\(model.feature_names\)\]"):
        model.predict(FRAME.assign(y=1.0))
    with pytest.raises(DataError, match=r"Unseen in fit: 'B'. Missing: 'b'"):
        model.predict(FRAME.rename(columns={"b": "B"}))


def test_names_of_a_fit_that_did_not_begin_are_not_kept() -> None:
    model = net()
    with pytest.raises(DataError, match="feature names"):
        model.fit(SWAPPED, TARGET, validation_data=(FRAME, TARGET))
    assert model.feature_names is None
    model.fit(iter([(FRAME, TARGET)]), verbose=0)
    assert model.feature_names == ("a", "b")


def test_numbered_columns_have_no_names() -> None:
    model = net()
    model.fit(pd.DataFrame(FRAME.to_numpy()), TARGET, verbose=0)
    assert model.feature_names is None
    model.predict(FRAME)


def test_damaged_names_in_a_file(tmp_path: Path) -> None:
    model, path = net(), tmp_path / "model.nbdl"
    model.fit(FRAME, TARGET, verbose=0)
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = json.dumps({**json.loads(parts["config.json"]), "feature_names": ["a", 1]}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(FileFormatError, match=r"feature_names\[1\]: expected text, got 1"):
        nbdl.load_model(path)


TWO = pd.DataFrame({"price": TARGET, "rent": TARGET / 2})
CHECKED: dict[str, Callable[..., Any]] = {
    "evaluate": lambda model, y: model.evaluate(FRAME, y),
    "evaluate with callbacks": lambda model, y: model.evaluate(FRAME, y, callbacks=[Watching()]),
    "fit": lambda model, y: model.fit(FRAME, y, verbose=0),
    "validation": lambda model, y: model.fit(FRAME, TWO, validation_data=(FRAME, y), verbose=0),
    "batches": lambda model, y: model.fit(iter([(FRAME, y)]), verbose=0),
    "train_on_batch": lambda model, y: model.train_on_batch(FRAME, y),
    "test_on_batch": lambda model, y: model.test_on_batch(FRAME, y),
}


@pytest.mark.parametrize("way", CHECKED)
def test_targets_in_another_order_are_refused(way: str, tmp_path: Path) -> None:
    model = nbdl.Sequential([Dense(2, input_dim=2)], seed=1)
    model.compile(nbdl.optimizers.SGD(1e-6), "mse")
    model.fit(iter([(FRAME, TWO)]), verbose=0) if way == "batches" else model.train_on_batch(FRAME, TWO)
    model.save(tmp_path / "model.nbdl")
    for same in (model, nbdl.load_model(tmp_path / "model.nbdl")):
        with pytest.raises(
            DataError, match=r"columns of y must be in the order .*'price', 'rent'; got 'rent', 'price'"
        ):
            CHECKED[way](same, TWO[["rent", "price"]])
        CHECKED[way](same, TWO)
        CHECKED[way](same, TWO.rename(columns={"rent": "other"}))


# -- plain rows ---------------------------------------------------------------------------------------------


def encoded_net() -> nbdl.Sequential:
    model = net()
    table = FRAME.assign(y=TARGET).to_csv(index=False)
    model.encoding = Encoding.fit(csv.read(io.StringIO(table)), "y")
    return model


@pytest.mark.parametrize("way", [*WAYS, "as_cfunc"])
def test_plain_rows_are_warned_of_at_the_users_line(way: str) -> None:
    model = encoded_net()
    use = WAYS.get(way, lambda model, x, **known: model.as_cfunc(**known))
    with pytest.warns(EncodedRowsWarning, match=r"model\.encoding\.encode.*model\.encoding\.decode") as seen:
        use(model, FRAME)
    assert [Path(one.filename).name for one in seen] == ["test_columns.py"]
    with warnings.catch_warnings(action="error"):
        use(model, FRAME, encoded=True)
    with pytest.raises(ConfigError, match="encoded is True or False, got 2"):
        use(model, FRAME, encoded=2)


def test_the_columns_of_an_encoding_are_names_too() -> None:
    model = encoded_net()
    assert model.feature_names == ("a", "b")
    with pytest.raises(DataError, match="feature names"):
        model.predict(SWAPPED, encoded=True)
    model.encoding = None
    with warnings.catch_warnings(action="error"):
        model.predict(SWAPPED)


def test_weights_of_an_encoded_model_are_warned_of(tmp_path: Path) -> None:
    model = encoded_net()
    model.save(tmp_path / "model.nbdl")
    with pytest.warns(EncodedRowsWarning, match="trained on encoded rows"):
        net().load_weights(tmp_path / "model.nbdl")
    encoded_net().load_weights(tmp_path / "model.nbdl")


def test_an_encoding_that_changes_nothing_needs_no_warning() -> None:
    model = net()
    model.encoding = Encoding((), (2,), (0.0,), (1.0,), None, "classification", ("0", "1"))
    model.predict(FRAME.to_numpy())


FORMS: dict[str, Callable[[], Any]] = {
    "frame": lambda: FRAME,
    "other order and more columns": lambda: SWAPPED.assign(y=0.0, note="x"),
    "dict": lambda: {"b": FRAME.b.tolist(), "a": FRAME.a},
    "nullable": lambda: FRAME.astype("Float64"),
    "objects": lambda: FRAME.astype(object),
    "text": lambda: FRAME.astype(str),
    "array": FRAME.to_numpy,
    "lists": lambda: FRAME.to_numpy().tolist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_plain_rows_is_encoded_alike(form: str) -> None:
    encoding = encoded_net().encoding
    expected = ((FRAME - FRAME.mean()) / FRAME.std(ddof=0)).to_numpy()
    np.testing.assert_allclose(encoding.encode(FORMS[form]()), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "targets",
    [FRAME.assign(y=TARGET), TARGET, TARGET.tolist(), pd.Series(TARGET), {"y": TARGET}, TARGET[:, None]],
    ids=["frame", "array", "list", "series", "dict", "column"],
)
def test_every_form_of_targets_is_encoded_alike(targets: Any) -> None:
    encoding = encoded_net().encoding
    found = encoding.encode_target(targets)
    np.testing.assert_allclose(found[:, 0], (TARGET - TARGET.mean()) / TARGET.std(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(encoding.decode(found), TARGET, rtol=1e-5)


def test_classes_are_encoded_by_name() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "kind": ["oak", "elm", "oak"]})
    encoding = Encoding.fit(csv.read(io.StringIO(frame.to_csv(index=False))), "kind")
    for targets in (frame, frame.kind, frame.kind.to_numpy(), list(frame.kind), frame.kind.astype("category")):
        assert encoding.encode_target(targets).tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (FRAME[["a"]], "x: missing column 'b'"),
        (FRAME.assign(a=[1.0, *[np.nan] * 23]), "x, row 1, column 'a': nan .* marks a missing value.* 23 of 24 cells"),
        (FRAME.assign(b=["1", None, "NA", *["x"] * 21]), "x, row 1, column 'b': the cell is empty.* 23 of 24 cells"),
        (np.ones((3, 3)), "x: 3 features in each row; the model was trained on 2"),
        ({"a": [1, 2], "b": [1]}, "its columns have different lengths: 1, 2"),
        ({"a": 1, "b": 2}, "column 'a': it has shape"),
    ],
)
def test_plain_rows_that_cannot_be_encoded(rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encoded_net().encoding.encode(rows)


@pytest.mark.parametrize(
    ("targets", "message"),
    [(FRAME, "no column 'y'"), (["x"], "y is text"), (1.5, "a single value"), ({"b": [1]}, "no column 'y'")],
)
def test_targets_that_cannot_be_encoded(targets: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encoded_net().encoding.encode_target(targets)
