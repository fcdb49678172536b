"""The standard callbacks, beside EarlyStopping: files, rates, clocks, backups."""

from __future__ import annotations

import csv
import math
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbdl import Callback, Layer, Sequential, load_model
from nbdl.callbacks import (
    BackupAndRestore,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    MaxTime,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)
from nbdl.errors import ConfigError, DivergenceError
from nbdl.layers import Dense, Dropout
from nbdl.model.notes import read_note
from nbdl.training.callbacks import History

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 5)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 40)]


def net(seed: int = 1, **options: Any) -> Sequential:
    layers = [Dense(7, input_dim=5, activation="tanh"), Dropout(0.2), Dense(3, activation="softmax")]
    model = Sequential(layers, seed=seed)
    model.compile(options.pop("optimizer", "Adam"), "categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: Sequential, *callbacks: Any, epochs: int = 3, **options: Any) -> dict[str, list[float]]:
    options = {"batch_size": 8, "validation_split": 0.2, "verbose": 0, **options}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options).history


class Figures(Callback):
    """Gives a figure chosen values, an epoch each."""

    def __init__(self, name: str, values: list[float]) -> None:
        self.name, self.values = name, values

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs[self.name] = self.values[epoch]


# -- ModelCheckpoint ----------------------------------------------------------------------------------------


def test_checkpoints_of_every_epoch_are_named_by_epoch_and_figures(tmp_path: Path) -> None:
    model = net()
    history = fit(model, ModelCheckpoint(tmp_path / "new" / "{epoch:02d}-{val_loss:.3f}.nbdl"))
    wanted = [f"{epoch:02d}-{loss:.3f}.nbdl" for epoch, loss in enumerate(history["val_loss"], 1)]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == wanted
    last = load_model(tmp_path / "new" / wanted[-1])
    assert all(np.array_equal(a, b) for a, b in zip(last.get_weights(), model.get_weights(), strict=True))


def test_only_the_best_is_saved() -> None:
    saved = saved_epochs([3.0, 1.0, 2.0, 0.5], save_best_only=True)
    assert saved == [1, 2, 4]
    assert saved_epochs([3.0, 1.0, 2.0, 0.5], save_best_only=True, mode="max") == [1]
    assert saved_epochs([3.0, 1.0, 2.0, 0.5], save_best_only=True, initial_value_threshold=1.0) == [4]
    assert saved_epochs([3.0, 1.0, 2.0, 0.5]) == [1, 2, 3, 4]
    assert saved_epochs([3.0, 1.0, 2.0, 0.5], period=2) == [2, 4]


def saved_epochs(values: list[float], **options: Any) -> list[int]:
    """The epochs that a checkpoint saves, given a figure's values."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = ModelCheckpoint(Path(folder) / "{epoch}.nbdl", monitor="figure", **options)
        fit(net(), Figures("figure", values), checkpoint, epochs=len(values))
        return sorted(int(path.stem) for path in Path(folder).iterdir())


def test_a_checkpoint_goes_on_with_the_bits_of_one_that_never_stopped(tmp_path: Path) -> None:
    straight, stopped = net(), net()
    fit(straight, epochs=4)
    fit(stopped, ModelCheckpoint(tmp_path / "{epoch}.nbdl"), epochs=2)
    again = load_model(tmp_path / "2.nbdl")
    fit(again, epochs=4, initial_epoch=2)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(straight.get_weights(), again.get_weights(), strict=True))


def test_weights_alone_and_steps(tmp_path: Path) -> None:
    model = net()
    fit(model, ModelCheckpoint(tmp_path / "{epoch}-{batch}.npz", save_weights_only=True, save_freq=3), epochs=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-3.npz", "2-2.npz"]  # four steps an epoch
    other = net(seed=2)
    other.load_weights(tmp_path / "2-2.npz")


def test_weights_alone_need_no_registered_layers(tmp_path: Path) -> None:
    class Own(Layer):
        def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
            return x, None

        def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
            return dy

    model = Sequential([Own(input_dim=3), Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((8, 3), np.float32)
    model.fit(x, x[:, :1], callbacks=[ModelCheckpoint(tmp_path / "w.npz", save_weights_only=True)], verbose=0)
    model.load_weights(tmp_path / "w.npz")
    with pytest.raises(ConfigError, match="not registered"):
        model.fit(x, x[:, :1], callbacks=[ModelCheckpoint(tmp_path / "m.nbdl")], verbose=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filepath": "a.keras"}, ["its own file format", ".nbdl"]),
        ({"filepath": "a.h5", "save_weights_only": True}, [".npz"]),
        ({"filepath": "a.nbdl", "save_freq": 0}, ["save_freq", "steps"]),
        ({"filepath": "a.nbdl", "mode": "maximum"}, ["mode is"]),
        ({"filepath": "a.nbdl", "period": 0}, ["period"]),
    ],
)
def test_wrong_arguments_of_a_checkpoint(arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        ModelCheckpoint(**arguments)
    assert all(word in str(error.value) for word in words)


def test_an_unknown_figure_in_the_name_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'val_acuracy'.*epoch, loss, accuracy, val_loss, val_accuracy"):
        fit(net(), ModelCheckpoint(tmp_path / "{val_acuracy}.nbdl"))


@pytest.mark.parametrize(
    "callback", [EarlyStopping, ReduceLROnPlateau, lambda: ModelCheckpoint("x", save_best_only=True)]
)
def test_epochs_without_validation_are_passed_over(callback: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    history = fit(net(), callback(), epochs=4, validation_freq=2)
    assert (len(history["loss"]), len(history["val_loss"])) in ((4, 2), (2, 1))
    with pytest.raises(ConfigError, match="there will be no figure 'val_loss'"):
        fit(net(), callback(), validation_split=0.0)


def best_of(path: Path) -> float:
    """The validation loss of a saved model or of saved weights."""
    model = net(seed=9)
    model.load_weights(path)
    return float(model.evaluate(X[32:], Y[32:], verbose=0)[0])


def spoil(model: Sequential) -> Sequential:
    """Make a model worse than a file, and slow to mend; its steps are counted on."""
    model.set_weights([weight * 0 + 5 * RNG.normal(size=weight.shape) for weight in model.get_weights()])
    model.optimizer.learning_rate = 1e-6
    return model


@pytest.mark.parametrize("name", ["best.nbdl", "best.npz", "{epoch}-best.nbdl"])
@pytest.mark.parametrize("same", [True, False], ids=["the same callback", "another callback"])
def test_a_second_fit_does_not_replace_a_better_file(name: str, same: bool, tmp_path: Path) -> None:
    def checkpoint() -> ModelCheckpoint:
        return ModelCheckpoint(tmp_path / name, save_best_only=True, save_weights_only=name.endswith("npz"))

    model, first = net(), checkpoint()
    fit(model, first, epochs=5)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    fit(spoil(model), first if same else checkpoint(), epochs=3)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_checkpoint_keeps_the_best_from_one_model_to_the_next(tmp_path: Path) -> None:
    """As in Keras: of the models that one callback saw, the file holds the best."""
    keep = ModelCheckpoint(tmp_path / "best.nbdl", "figure", save_best_only=True)
    for values, best in (([3.0, 1.0], 1.0), ([2.0, 1.5], 1.0), ([0.5, 2.0], 0.5)):
        fit(net(), Figures("figure", values), keep, epochs=2)
        assert (read_note(tmp_path / "best.nbdl") or {})["value"] == best == keep.best


def test_the_best_counts_in_the_direction_of_its_figure(tmp_path: Path) -> None:
    path, model = tmp_path / "best.nbdl", net()
    for values, best in (([0.3, 0.9, 0.2], 0.9), ([0.8, 0.5, 0.85], 0.9), ([0.1, 0.95, 0.2], 0.95)):
        fit(model, Figures("figure", values), ModelCheckpoint(path, "figure", save_best_only=True, mode="max"))
        assert (read_note(path) or {})["value"] == best


def test_a_resumed_training_does_not_replace_a_better_file(tmp_path: Path) -> None:
    def callbacks(values: list[float]) -> list[Any]:
        return [
            ModelCheckpoint(tmp_path / "best.nbdl", "figure", save_best_only=True),
            BackupAndRestore(tmp_path / "backup"),
        ]

    values = [0.5, 0.1, 0.4, 0.3, 0.2]
    with pytest.raises(Killed):
        fit(net(), Figures("figure", values), *callbacks(values), Kill(3), epochs=5)
    before = (tmp_path / "best.nbdl").read_bytes()
    fit(net(), Figures("figure", values), *callbacks(values), epochs=5)  # a new process
    assert (tmp_path / "best.nbdl").read_bytes() == before
    assert load_model(tmp_path / "best.nbdl").training_state.epochs == 2  # type: ignore[union-attr]


def test_a_new_training_replaces_the_file_of_another_and_says_so_before(tmp_path: Path) -> None:
    path = tmp_path / "best.nbdl"
    fit(net(), Figures("figure", [0.1]), ModelCheckpoint(path, "figure", save_best_only=True), epochs=1)
    before = path.read_bytes()
    with pytest.warns(UserWarning, match=r"another training, with figure 0\.1.*initial_value_threshold=0\.1"):
        fit(net(), Figures("figure", [0.5]), ModelCheckpoint(path, "figure", save_best_only=True), epochs=1)
    assert path.read_bytes() != before
    kept = ModelCheckpoint(path, "figure", save_best_only=True, initial_value_threshold=0.1)
    before = path.read_bytes()
    fit(net(), Figures("figure", [0.5]), kept, epochs=1)
    assert path.read_bytes() == before


def test_figures_of_another_loss_are_not_compared(tmp_path: Path) -> None:
    path, model = tmp_path / "best.nbdl", net()
    fit(model, ModelCheckpoint(path, "loss", save_best_only=True), epochs=1)
    model.compile("Adam", "mse")
    before = path.read_bytes()
    with pytest.warns(UserWarning, match="of another training"):
        fit(model, ModelCheckpoint(path, "loss", save_best_only=True), epochs=1)
    assert path.read_bytes() != before


def test_early_stopping_and_rates_on_plateaus_begin_again_in_each_fit() -> None:
    stop, model = EarlyStopping("figure", patience=2), net()
    plateau = ReduceLROnPlateau("figure", patience=2)
    for _ in range(2):
        history = fit(model, Figures("figure", [1.0, 2.0, 2.0, 2.0]), stop, plateau, epochs=4)
        assert len(history["loss"]) == 3


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    model = diverging()
    model.optimizer.learning_rate = 3e38
    model.fit(X, Y * 1e3, batch_size=40, verbose=0, callbacks=[TerminateOnNaN(), ModelCheckpoint(tmp_path / "m.nbdl")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "callback",
    [
        lambda: EarlyStopping("val_los"),
        lambda: ReduceLROnPlateau("acuracy"),
        lambda: ModelCheckpoint("m.nbdl", "val_f1", save_best_only=True),
        lambda: ModelCheckpoint("{val_acuracy}.nbdl"),
    ],
)
def test_figures_that_will_not_be_there_are_noticed_before_the_first_epoch(callback: Any) -> None:
    epochs = LambdaCallback(on_epoch_begin=lambda epoch, logs: pytest.fail("too late"))
    with pytest.raises(ConfigError, match=r"loss, accuracy, val_loss, val_accuracy, .*learning_rate"):
        fit(net(), LearningRateScheduler(), callback(), epochs)


def test_figures_of_callbacks_may_be_watched() -> None:
    class Later(EarlyStopping):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["later"] = 1.0
            super().on_epoch_end(epoch, logs)

    fit(net(), LearningRateScheduler(), EarlyStopping("learning_rate"), EarlyStopping("acc"), Later("later"))
    own = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(own=1.0))
    fit(net(), own, EarlyStopping("own"))


NO_PLACE = Path("/proc")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("notes.txt", "so it is not overwritten"),
        ("notes.txt/m.nbdl", "is a file, not a folder"),
        (".", "is a folder"),
        ("{epoch}.nbdl", r"2\.nbdl is there already and is not"),
        ("notes.txt/{val_loss}.nbdl", "is a file, not a folder"),
        ("{epoch", "cannot be filled in"),
        pytest.param("/proc/m.nbdl", "/proc/m.nbdl cannot be written", marks=pytest.mark.skipif(
            not NO_PLACE.is_dir(), reason="a folder where nobody can write")),
        pytest.param("/proc/new/{epoch}.nbdl", "cannot be written", marks=pytest.mark.skipif(
            not NO_PLACE.is_dir(), reason="a folder where nobody can write")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [ModelCheckpoint, CSVLogger])
def test_places_are_looked_at_before_the_first_epoch(
    kind: Any, place: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("mine")
    Path("2.nbdl").write_text("mine")
    if kind is CSVLogger and "{" in place:
        pytest.skip("a name without fields")
    seen = LambdaCallback(on_epoch_begin=lambda epoch, logs: pytest.fail("too late"))
    with pytest.raises(ConfigError, match=said):
        fit(net(), kind(place), seen)
    assert Path("notes.txt").read_text() == Path("2.nbdl").read_text() == "mine"


def test_a_model_that_cannot_be_saved_is_noticed_before_the_first_epoch(tmp_path: Path) -> None:
    class Own(Dense):
        pass

    model = Sequential([Own(3, input_dim=5)])
    model.compile("sgd", "mse")
    seen = LambdaCallback(on_epoch_begin=lambda epoch, logs: pytest.fail("too late"))
    with pytest.raises(ConfigError, match="is not registered"):
        fit(model, ModelCheckpoint(tmp_path / "m.nbdl"), seen)


@pytest.mark.parametrize("value", [None, "", " ", 3, True, b""])
@pytest.mark.parametrize("kind", [ModelCheckpoint, CSVLogger, BackupAndRestore, TensorBoard])
def test_paths_of_callbacks_are_paths(kind: Any, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{kind.__name__}: \w+ is (a path|empty: give)"):
        kind(value)


# -- CSVLogger ----------------------------------------------------------------------------------------------


def rows(path: Path, **options: Any) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file, **options))


def test_the_table_holds_the_history(tmp_path: Path) -> None:
    history = fit(net(), CSVLogger(tmp_path / "log.csv"))
    head, *body = rows(tmp_path / "log.csv")
    assert head == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    for number, row in enumerate(body):
        assert row[0] == str(number)
        assert [float(value) for value in row[1:]] == [history[name][number] for name in head[1:]]


def test_the_table_goes_on_or_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fit(net(), CSVLogger(path, separator=";"), epochs=2)
    fit(net(), CSVLogger(path, separator=";", append=True), epochs=4, initial_epoch=2)
    assert [row[0] for row in rows(path, delimiter=";")] == ["epoch", "0", "1", "2", "3"]
    fit(net(), CSVLogger(path), epochs=1)
    assert len(rows(path)) == 2
    fit(net(), CSVLogger(tmp_path / "new.csv", append=True), epochs=1)
    assert rows(tmp_path / "new.csv")[0][0] == "epoch"


def test_columns_that_a_table_lacks_are_added(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fit(net(), CSVLogger(path), epochs=2, validation_split=0.0)
    assert rows(path)[0] == ["epoch", "accuracy", "loss"]
    fit(net(seed=2), CSVLogger(path, append=True), epochs=1)
    head, *body = rows(path)
    assert head == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [row[3:] == ["NA", "NA"] for row in body] == [True, True, False]
    fit(net(seed=3), CSVLogger(path, append=True), epochs=1, validation_split=0.0)
    assert [row[3:] == ["NA", "NA"] for row in rows(path)[1:]] == [True, True, False, True]


def test_epochs_before_the_first_validation_leave_its_columns_open(tmp_path: Path) -> None:
    fit(net(), CSVLogger(tmp_path / "log.csv"), epochs=2, validation_freq=2)
    head, first, second = (dict(enumerate(row)) for row in rows(tmp_path / "log.csv"))
    assert head[4] == "val_loss"
    assert first[4] == "NA" != second[4]


@pytest.mark.parametrize("content", ["a,b\n1,2\n", "epoch,note\n1,fine\n", "epoch of the kings\n", "\xff\x00"])
@pytest.mark.parametrize("append", [False, True])
def test_a_file_that_is_no_table_of_figures_stays(content: str, append: bool, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(content)
    with pytest.raises(ConfigError, match="is not a table of CSVLogger, so it is not overwritten"):
        fit(net(), CSVLogger(path, append=append))
    assert path.read_text() == content


def test_a_table_is_gone_on_with_by_its_own_separator(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fit(net(), CSVLogger(path, separator=";"), epochs=1)
    with pytest.raises(ConfigError, match="has the separator ';'"):
        fit(net(), CSVLogger(path, append=True), epochs=1)


@pytest.mark.parametrize("last", [False, True], ids=["the backup first", "the table first"])
@pytest.mark.parametrize("kills", [[0], [0, 1, 1, 4], [2, 2, 3], [5]])
def test_epochs_of_a_killed_training_stand_in_the_table_once(kills: list[int], last: bool, tmp_path: Path) -> None:
    """Whether it is killed before the first backup, between a row and its backup, or after its end."""

    class KillAfterRow(Callback):
        def __init__(self, epoch: int) -> None:
            self.epoch = epoch

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == self.epoch:
                raise Killed

    def run(kill: int = 9) -> None:
        files = [CSVLogger(tmp_path / "log.csv", append=True), BackupAndRestore(tmp_path / "backup")]
        fit(net(), *(files if last else files[::-1]), KillAfterRow(kill), epochs=5)

    for kill in kills:
        if kill < 5:
            with pytest.raises(Killed):
                run(kill)
        else:
            run()  # all of it, and killed before anybody knew
    run()
    assert [row[0] for row in rows(tmp_path / "log.csv")] == ["epoch", "0", "1", "2", "3", "4"]
    fit(net(), CSVLogger(tmp_path / "straight.csv"), epochs=5)
    assert rows(tmp_path / "log.csv") == rows(tmp_path / "straight.csv")


def test_a_row_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    fit(net(), CSVLogger(path), epochs=2)
    whole = path.read_bytes()
    for cut in (5, len(whole) // 3):
        path.write_bytes(whole[:-cut])
        fit(net(), CSVLogger(path, append=True), epochs=2)
        assert path.read_bytes() == whole


def test_two_fits_of_one_model_are_two_runs_in_a_table(tmp_path: Path) -> None:
    path, model = tmp_path / "log.csv", net()
    model.optimizer.learning_rate = 0.0
    for layer in model.layers:
        layer.trainable = False
    for _ in range(2):
        fit(model, CSVLogger(path, append=True), epochs=2)
    assert [row[0] for row in rows(path)] == ["epoch", "0", "1", "0", "1"]


# -- learning rates -----------------------------------------------------------------------------------------


def test_the_rate_falls_on_a_plateau() -> None:
    values = [1.0, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5]
    history = fit(
        net(), Figures("figure", values), ReduceLROnPlateau("figure", factor=0.5, patience=2), epochs=len(values)
    )
    # Keras 3.15 gave these rates for the same figures.
    assert history["learning_rate"] == pytest.approx([1e-3] * 4 + [5e-4] * 4)


def test_the_rate_does_not_fall_while_cooling_nor_below_its_least() -> None:
    values = [1.0] * 9
    history = fit(
        net(),
        Figures("figure", values),
        ReduceLROnPlateau("figure", factor=0.1, patience=1, cooldown=2, min_lr=5e-5),
        epochs=len(values),
    )
    # These too.
    assert history["learning_rate"] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 5e-5, 5e-5, 5e-5, 5e-5, 5e-5])


def test_a_rate_for_each_epoch() -> None:
    history = fit(net(), LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)))
    assert history["learning_rate"] == pytest.approx([0.1, 0.05, 0.1 / 3])
    history = fit(net(), LearningRateScheduler(lambda epoch, rate: rate / 2))
    assert history["learning_rate"] == pytest.approx([5e-4, 2.5e-4, 1.25e-4])


def test_the_rate_is_the_one_that_steps_use() -> None:
    model = net(optimizer="SGD")
    before = model.get_weights()
    fit(model, LearningRateScheduler(lambda epoch: 0.0))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_rate_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a number"):
        fit(net(), LearningRateScheduler(lambda epoch: "fast"))
    with pytest.raises(ConfigError, match="at least 0"):
        fit(net(), LearningRateScheduler(lambda epoch: -1.0))
    with pytest.raises(ConfigError, match="function of the epoch"):
        LearningRateScheduler(0.1)  # type: ignore[arg-type]
    for arguments in ({"factor": 1.0}, {"patience": -1}, {"cooldown": -1}):
        with pytest.raises(ConfigError, match=next(iter(arguments))):
            ReduceLROnPlateau(**arguments)


def test_a_schedule_and_a_callback_do_not_fight() -> None:
    model = net()
    model.optimizer.learning_rate = lambda step: 0.01
    with pytest.raises(ConfigError, match="follows"):
        fit(model, LearningRateScheduler(lambda epoch: 0.1))


# -- ending -------------------------------------------------------------------------------------------------


def test_divergence_ends_quietly_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DivergenceError):
        fit(diverging(), TerminateOnNaN(raise_error=True), epochs=99)
    model = diverging()
    history = fit(model, TerminateOnNaN(), epochs=99)
    assert capsys.readouterr().out == ""
    fit(diverging(), TerminateOnNaN(), epochs=99, verbose=2)
    assert "diverged in epoch" in capsys.readouterr().out
    assert model.stop_training
    assert 0 < len(history["loss"]) < 99
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_quiet_end_in_the_first_epoch_has_its_figures(tmp_path: Path) -> None:
    for x, y, check in ((X, Y * 1e30, math.isinf), (X * 1e30, Y, math.isinf)):
        model = diverging()
        history = model.fit(
            x, y, batch_size=8, epochs=3, verbose=0, callbacks=[TerminateOnNaN(), CSVLogger(tmp_path / "log.csv")]
        )
        assert history.epoch == [0]
        assert check(history.history["loss"][-1])
        assert len(rows(tmp_path / "log.csv")) == 2
    model = diverging()
    model.compile("SGD", "mse", metrics=["mae"])
    model.optimizer.learning_rate = 3e38
    history = model.fit(X, Y * 1e3, batch_size=40, verbose=0, callbacks=[TerminateOnNaN()])
    assert not math.isfinite(history.history["loss"][-1])
    assert list(history.history) == ["loss", "mae"]


def test_a_quiet_end_of_a_stream_has_its_figures() -> None:
    model = diverging()
    batches = [(X[:8], Y[:8]), (X[8:16], Y[8:16] * 1e30)]
    history = model.fit(batches, epochs=3, verbose=0, callbacks=[TerminateOnNaN()])
    assert history.history["loss"] == [math.inf]


def diverging() -> Sequential:
    model = Sequential([Dense(7, input_dim=5), Dense(3)], seed=1)
    model.compile("SGD", "mse")
    model.optimizer.learning_rate = 2.0
    return model


@pytest.mark.parametrize(
    ("given", "seconds"), [(1.5, 1.5), ("90s", 90), ("1h30m", 5400), ("7", 7), (timedelta(minutes=2), 120)]
)
def test_times_are_read(given: Any, seconds: float) -> None:
    assert MaxTime(given).max_time == seconds


@pytest.mark.parametrize("given", [0, -1, "soon", "10 apples", "", None, math.nan, True])
def test_what_is_no_time_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="max_time is a number of seconds"):
        MaxTime(given)


def test_training_ends_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    class Clock(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            now[0] += 10.0

    history = fit(net(), Clock(), MaxTime(25.0), epochs=9)
    assert len(history["loss"]) == 3


def test_the_clock_ends_an_epoch_in_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    class Clock(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            now[0] += 10.0

    model = net()
    history = fit(model, Clock(), MaxTime(20.0), epochs=9)
    assert model.training_state is not None
    assert (model.training_state.iterations, len(history["loss"])) == (2, 1)


# -- functions ----------------------------------------------------------------------------------------------


def test_functions_are_called_as_hooks() -> None:
    seen: list[Any] = []
    names = ["on_train_begin", "on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end", "on_train_end"]
    hooks = {name: lambda *arguments, name=name: seen.append(name) for name in names}
    fit(net(), LambdaCallback(**hooks), epochs=2)
    assert seen == [names[0], *names[1:5], *names[1:5], names[5]]


def test_batch_functions_are_called_for_each_step() -> None:
    seen: list[int] = []
    callback = LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    assert callback.wants_batches()
    assert not LambdaCallback().wants_batches()
    fit(net(), callback, epochs=2)
    assert seen == [0, 1, 2, 3] * 2
    with pytest.raises(ConfigError, match="on_epoch_end is a function"):
        LambdaCallback(on_epoch_end=3)  # type: ignore[arg-type]


def test_what_callbacks_add_to_the_figures_is_in_the_history() -> None:
    assert fit(net(), Figures("mine", [1.0, 2.0, 3.0]))["mine"] == [1.0, 2.0, 3.0]


# -- BackupAndRestore ---------------------------------------------------------------------------------------


class Killed(Exception):
    """As if the process had been."""


class Kill(Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            raise Killed


def test_a_killed_training_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    straight = net()
    fit(straight, LearningRateScheduler(lambda epoch, rate: rate * 0.9), epochs=5)
    folder = tmp_path / "backup"
    rates = LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    with pytest.raises(Killed):
        fit(net(), BackupAndRestore(folder), rates, Kill(3), epochs=5)
    assert [path.name for path in folder.iterdir()] == ["epoch-000003.nbdl"]
    again = net(seed=99)  # a new process: another seed, other first weights
    history = fit(again, BackupAndRestore(folder), rates, epochs=5)
    assert len(history["loss"]) == 2
    assert all(a.tobytes() == b.tobytes() for a, b in zip(straight.get_weights(), again.get_weights(), strict=True))
    assert list(folder.iterdir()) == []


def test_a_backup_may_stay(tmp_path: Path) -> None:
    fit(net(), BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000002.nbdl"]
    assert fit(net(), BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=2) == {}


def test_early_stopping_is_an_end_too(tmp_path: Path) -> None:
    stop = EarlyStopping("figure", patience=1)
    fit(net(), Figures("figure", [1.0] * 9), BackupAndRestore(tmp_path), stop, epochs=9)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_another_model_is_refused(tmp_path: Path) -> None:
    fit(net(), BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=1)
    other = Sequential([Dense(3, input_dim=5, activation="softmax")])
    other.compile("Adam", "categorical_crossentropy")
    with pytest.raises(ConfigError, match="of another model"):
        fit(other, BackupAndRestore(tmp_path))
    with pytest.raises(ConfigError, match="of another model or optimizer"):
        fit(net(optimizer="SGD"), BackupAndRestore(tmp_path))
    for arguments in ({"backup_dir": ""}, {"backup_dir": "x", "save_freq": 10}):
        with pytest.raises(ConfigError):
            BackupAndRestore(**arguments)


def test_other_files_in_the_folder_of_backups_stay(tmp_path: Path) -> None:
    names = ["epoch-best.nbdl", "epoch-7.nbdl", "epoch-000009.nbdl", "notes.txt"]
    for name in names:
        net().save(tmp_path / name)
    fit(net(), BackupAndRestore(tmp_path), epochs=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    (tmp_path / "epoch-000002.nbdl").write_bytes((tmp_path / "notes.txt").read_bytes())
    model = net()
    with pytest.raises(ConfigError, match=r"epoch-000002\.nbdl is there already and is not a backup"):
        fit(model, BackupAndRestore(tmp_path), epochs=3)
    assert model.optimizer.iterations == 0  # it is refused before the first epoch


def test_a_backup_holds_what_all_callbacks_did_at_the_end_of_its_epoch(tmp_path: Path) -> None:
    """Wherever it is in the list: here the rate falls after the backup was told of the epoch's end."""

    def halve(epoch: int, logs: Any) -> None:
        model.optimizer.learning_rate = model.optimizer.learning_rate / 2

    model = straight = net()
    fit(straight, LambdaCallback(on_epoch_end=halve), epochs=4)
    model = net()
    with pytest.raises(Killed):
        fit(model, BackupAndRestore(tmp_path), LambdaCallback(on_epoch_end=halve), Kill(2), epochs=4)
    model = net()
    fit(model, BackupAndRestore(tmp_path), LambdaCallback(on_epoch_end=halve), epochs=4)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(straight.get_weights(), model.get_weights(), strict=True))


@pytest.mark.skipif(not NO_PLACE.is_dir(), reason="a folder where nobody can write")
@pytest.mark.parametrize("kind", [BackupAndRestore, TensorBoard])
def test_folders_are_looked_at_before_the_first_epoch(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place, said in (("/proc/x", "/proc/x.* cannot be written"), (tmp_path / "file" / "x", "is a file, not a fold")):
        with pytest.raises(ConfigError, match=said):
            fit(net(), kind(place))


# -- TensorBoard --------------------------------------------------------------------------------------------


def events(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """What event files of a folder hold, by tag; the records are read here, byte by byte."""
    import struct

    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, Any]]] = {}
    for path in folder.glob("events.out.tfevents.*"):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            event = Event.FromString(content[12 : 12 + length])
            content = content[12 + length + 4 :]
            for value in event.summary.value:
                what = value.simple_value if value.HasField("simple_value") else value.histo.num
                found.setdefault(value.tag, []).append((event.step, what))
    return found


def test_event_files_hold_the_history(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    history = fit(net(), TensorBoard(tmp_path, histogram_freq=2))
    for run, prefix in (("train", ""), ("validation", "val_")):
        found = events(tmp_path / run)
        for name in ("loss", "accuracy"):
            wanted = [(epoch, np.float32(value)) for epoch, value in enumerate(history[prefix + name])]
            assert found[f"epoch_{name}"] == wanted
    found = events(tmp_path / "train")
    assert [step for step, _ in found["dense_1/kernel/histogram"]] == [0, 2]
    assert found["dense_1/kernel/histogram"][0][1] == 35
    assert found["epoch_learning_rate"] == [(epoch, np.float32(0.001)) for epoch in range(3)]
    assert "batch_loss" not in found


def test_event_files_may_hold_batches(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    fit(net(), TensorBoard(tmp_path, update_freq=3), epochs=3)
    assert [step for step, _ in events(tmp_path / "train")["batch_loss"]] == [3, 6, 9, 12]


def test_without_its_package_tensorboard_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    model = net()
    with pytest.raises(ConfigError, match=r"pip install 'nbdl\[tensorboard\]'"):
        fit(model, TensorBoard())
    assert model.training_state is None or model.training_state.iterations == 0
    for arguments in ({"update_freq": 0}, {"histogram_freq": -1}):
        with pytest.raises(ConfigError, match=next(iter(arguments))):
            TensorBoard(**arguments)


# -- combinations -------------------------------------------------------------------------------------------


def test_checkpoints_need_no_validation(tmp_path: Path) -> None:
    fit(net(), ModelCheckpoint(tmp_path / "{epoch}.nbdl"), validation_split=0.0, epochs=2)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_base_rate_is_what_callbacks_read_and_write() -> None:
    from nbdl.optimizers import SGD

    model = net(optimizer=SGD(0.1, decay=0.1))
    history = fit(model, LearningRateScheduler(), epochs=4)
    assert model.optimizer.learning_rate == 0.1
    assert history["learning_rate"] == pytest.approx([0.1] * 4)


def test_a_schedules_rate_is_that_of_the_last_step_with_accumulation_too() -> None:
    from nbdl.optimizers import SGD
    from nbdl.schedules import PiecewiseConstantDecay

    schedule = PiecewiseConstantDecay([5], [0.1, 0.01])  # 4 steps an epoch
    history = fit(net(optimizer=SGD(schedule, gradient_accumulation_steps=2)), ShowRate(), epochs=3)
    assert history["rate"] == pytest.approx([0.1, 0.01, 0.01])


class ShowRate(Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        from nbdl_standard.callbacks.learning_rate import rate_of

        logs["rate"] = rate_of(self)


def test_a_quiet_end_takes_the_averages_too() -> None:
    from nbdl.optimizers import SGD

    model = Sequential([Dense(7, input_dim=5), Dense(3)], seed=1)
    model.compile(SGD(2.0, use_ema=True), "mse")
    fit(model, TerminateOnNaN(), epochs=99)
    state, store = model.training_state, model.store
    assert state is not None
    weight = store.weights[0]
    assert np.array_equal(weight.value, store.view(state.slots[: store.trainable_size], weight))


def test_hooks_may_be_set_on_an_instance() -> None:
    names = [name for name in dir(Callback) if name.startswith("on_")]
    for base in (Callback, EarlyStopping, ModelCheckpoint, History):
        seen: list[str] = []
        own = base("{epoch}.none") if base is ModelCheckpoint else base()
        for name in names:
            setattr(own, name, lambda *arguments, name=name, seen=seen: seen.append(name))
        model = net()
        fit(model, own, epochs=2)
        assert seen.count("on_epoch_begin") == 2
        assert seen.count("on_train_batch_end") == seen.count("on_batch_begin") == 2 * 4
        assert seen.count("on_test_batch_end") == 2
        model.predict(X, callbacks=own)
        assert set(names) - {"on_divergence"} == set(seen)


def test_hooks_may_be_set_and_overridden_anywhere(tmp_path: Path) -> None:
    seen: list[str] = []

    class Late(Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.on_train_batch_end = lambda batch, logs: seen.append("late")  # type: ignore[method-assign]

    class More(ModelCheckpoint):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append("more")

    fit(net(), Late(), epochs=1)
    fit(net(), More(tmp_path / "m.nbdl"), epochs=1)
    assert seen == ["late"] * 4 + ["more"] * 4


def test_the_first_error_counts(tmp_path: Path) -> None:
    class Fails(Callback):
        def on_train_end(self, logs: Any = None) -> None:
            raise RuntimeError("the end fails")

    closed: list[int] = []
    others = (Fails(), LambdaCallback(on_train_end=lambda logs: closed.append(1)))
    with pytest.raises(Killed) as caught:
        fit(net(), *others, Kill(1))
    assert "on_train_end of Fails raised RuntimeError: the end fails" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="the end fails"):
        fit(net(), *others)
    assert closed == [1, 1]
    with pytest.raises(ConfigError, match="is a folder"):
        fit(net(), *others, CSVLogger(tmp_path))


def test_a_callback_that_did_not_begin_does_not_end() -> None:
    class Opens(Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            raise ValueError("no place")

        def on_train_end(self, logs: Any = None) -> None:
            self.file.close()  # type: ignore[attr-defined]

    with pytest.raises(ValueError, match="no place"):
        fit(net(), Opens())


def test_a_callback_that_fails_at_the_beginning_leaves_the_others_their_end() -> None:
    seen: list[str] = []

    class Fails(Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fit(net(), LambdaCallback(on_train_end=lambda logs: seen.append("end")), Fails())
    assert seen == ["end"]


@pytest.mark.parametrize("value", ["x", "0.5", None, [1.0]])
def test_what_is_no_number_stays_out_of_the_logs(value: Any, tmp_path: Path) -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["lr"] = value

    with pytest.raises(ConfigError, match=r"Adds: logs hold numbers, and logs\['lr'\] is now "):
        fit(net(), Adds(), CSVLogger(tmp_path / "log.csv"))
    assert not (tmp_path / "log.csv").exists() or "lr" not in (tmp_path / "log.csv").read_text()


@pytest.mark.parametrize("value", [1, True, np.float32(0.5), np.array(2.0), np.ones(3)])
def test_numbers_are_put_into_the_logs(value: Any) -> None:
    class Adds(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            logs["lr"] = value

    assert np.array_equal(fit(net(), Adds(), epochs=1)["lr"][0], value)
