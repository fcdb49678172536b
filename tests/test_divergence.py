"""NaN and infinity: named by layer, epoch and step; the weights are those from before that step."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Layer
from nbdl.engine.cpu.checked import CheckedExecutor
from nbdl.errors import ConfigError, DivergenceError, NbdlError
from nbdl.layers import Activation, Dense, Dropout
from nbdl.model.owner import job_of
from nbdl.training import steps as training
from nbdl.units.elementwise import elementwise
from nbdl.units.registry import registry

Array = Any


def count_on(n: float) -> float:
    return n + 1.0


def fragile(x: float, n: float, limit: float) -> float:
    return x * math.sqrt(limit - n)


def whole(x: float, n: float, limit: float) -> float:
    return x * (1.0 + 0.0 * n + 0.0 * limit)


class Fragile(Layer):
    """Counts its steps; after `limit` of them, one of its passes takes the root of a negative number."""

    def __init__(self, limit: float, where: str = "forward") -> None:
        self.limit, self.where = float(limit), where

    def build(self, b: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.count = b.state("count", (1,), "zeros")
        return shape

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        if not r.training:
            return r.map(same, x), None
        r.assign(self.count, r.map(count_on, self.count))
        return r.map(fragile if self.where == "forward" else whole, x, self.count, self.limit), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.map(fragile if self.where == "backward" else whole, dy, self.count, self.limit)


def same(x: float) -> float:
    return x


class Watch(nbdl.Callback):
    """Keeps what there is after each step, and whether the end of training was announced."""

    def __init__(self) -> None:
        self.steps: list[bytes] = []
        self.ended = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append(bits(self.model))

    def on_train_end(self, logs: Any = None) -> None:
        self.ended = True


def bits(model: nbdl.Sequential) -> bytes:
    assert model.training_state is not None
    return b"".join(weight.tobytes() for weight in model.get_weights()) + model.training_state.slots.tobytes()


# Sizes that the engine runs as a whole, in tiles and in blocks; rows of a batch; the last one is short.
NETS = {"whole": ((6, 8), 16, 71), "tiles": ((300, 320), 128, 500), "blocks": ((4, 32), 1500, 7000)}


def net(mode: str, limit: float, where: str) -> tuple[nbdl.Sequential, Array, Array, dict[str, Any]]:
    (features, units), batch, rows = NETS[mode]
    model = nbdl.Sequential(
        [
            Dense(units, activation="tanh", input_dim=features),
            Fragile(limit, where, name="fragile"),
            Dropout(0.2),
            Dense(2),
        ],
        seed=5,
    )
    model.compile(loss="mse", optimizer="adam")
    x = np.random.default_rng(0).normal(size=(rows, features)).astype(np.float32)
    return model, x, x[:, :2], {"batch_size": batch, "epochs": 4, "verbose": 0}


def diverges(model: nbdl.Sequential, x: Array, y: Array, **options: Any) -> DivergenceError:
    with pytest.raises(DivergenceError) as caught:
        model.fit(x, y, **options)
    return caught.value


@pytest.mark.parametrize("seconds", [0.0, 1e9])
@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("mode", NETS)
def test_a_planted_nan_is_named_and_its_step_not_made(
    mode: str, where: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SLICE_SECONDS", seconds)
    limit = 6  # the count is 0 in step 1, so the root is that of -1 in step 8
    model, x, y, options = net(mode, limit, where)
    watch = Watch()
    unharmed, *_ = net(mode, 1e6 + limit, "none")
    unharmed.fit(x, y, **options, callbacks=[first := Watch()])
    harmed, *_ = net(mode, limit, where)
    found = diverges(harmed, x, y, **options, callbacks=[watch])
    per_epoch = -(-len(x) // options["batch_size"])
    place = (8 - 1) // per_epoch + 1, (8 - 1) % per_epoch + 1
    for error in (found, diverges(model, x, y, **options)):
        assert (error.layer, error.epoch, error.step) == ("fragile", *place)
        assert f"epoch {place[0]}, step {place[1]}" in str(error)
        assert f"{where} `map" in str(error)
        assert "NaN" in str(error)
    assert len(watch.steps) == 7 < len(first.steps)
    assert bits(model) == bits(harmed) == watch.steps[-1]
    assert model.training_state is not None
    assert model.training_state.iterations == 7
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert np.isfinite(model.predict(x)).all()
    modes = {one.partition.mode for key, one in job_of(model).programs.executors.items() if key.program.mode == "train"}
    assert modes == {mode}, "these sizes no longer show that mode"


def root(x: float) -> float:
    return math.sqrt(x + 50.0)


def d_root(x: float, y: float) -> float:
    return 0.5 / y


@pytest.mark.parametrize("row", [0, 5, 39, 70])
def test_a_row_that_gives_nan_is_found_in_its_step(row: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SLICE_SECONDS", 1e9)
    unit = elementwise("activations", "root", (root, d_root))
    model = nbdl.Sequential([Activation(unit(), input_dim=3, name="roots"), Dense(1)], seed=1)
    model.compile(loss="mse", optimizer="sgd")
    x = np.random.default_rng(0).normal(size=(71, 3)).astype(np.float32)
    x[row, 1] = -60.0
    error = diverges(model, x, x[:, :1], batch_size=2, epochs=2, shuffle=False, verbose=0)
    assert (error.epoch, error.step, error.layer) == (1, row // 2 + 1, "roots")


def test_the_end_of_training_is_announced_and_the_best_weights_come_back() -> None:
    model, x, y, options = net("whole", 11, "forward")
    best: list[bytes] = []

    class Keep(nbdl.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            best.append(b"".join(weight.tobytes() for weight in self.model.get_weights()))

    stop = nbdl.callbacks.EarlyStopping(monitor="loss", patience=9, restore_best_weights=True)
    watch = Watch()
    assert diverges(model, x, y, **options, callbacks=[stop, watch, Keep()]).epoch == 3
    assert watch.ended
    assert b"".join(weight.tobytes() for weight in model.get_weights()) in best
    assert model.history is not None
    assert len(model.history.epoch) == 2


def plain(optimizer: Any = "sgd", activation: Any = None) -> tuple[nbdl.Sequential, Array]:
    model = nbdl.Sequential([Dense(8, activation=activation, input_dim=4), Dense(1)], seed=1)
    model.compile(loss="mse", optimizer=optimizer)
    return model, np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)


@pytest.mark.parametrize("rate", [1e3, 1e30, 1e38])
@pytest.mark.parametrize(
    "optimizer",
    [entry.name for entry in registry.entries("optimizers") if entry.owner.distribution == "nbdl"],
)
def test_an_exploding_learning_rate_ends_in_an_error_not_in_nan(optimizer: str, rate: float) -> None:
    model, x = plain(registry.get("optimizers", optimizer).target(learning_rate=rate))
    raised: DivergenceError | None = None
    try:
        history = model.fit(x, x[:, :1], batch_size=8, epochs=20, verbose=0).history["loss"]
    except DivergenceError as error:
        raised = error
    if raised is not None:
        assert (raised.epoch, raised.step) >= (1, 1)
        assert "smaller learning rate" in str(raised)
    else:  # a rule that bounds its steps, or has stopped moving
        assert np.isfinite(history).all()
        assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_loss_that_overflows_alone_stops_before_the_update() -> None:
    model, x = plain()
    before = model.get_weights()
    error = diverges(model, x, x[:, :1] * np.float32(1e30), batch_size=8, verbose=0)
    assert (error.epoch, error.step, error.layer) == (1, 1, "loss")
    assert model.training_state is not None
    assert model.training_state.iterations == 0
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_an_update_that_overflows_in_the_last_step_is_noticed() -> None:
    model, x = plain(nbdl.optimizers.SGD(3e38))
    error = diverges(model, x, x[:, :1] * 1e3, batch_size=64, verbose=0)
    assert (error.epoch, error.step) == (1, 1)
    assert "weights that are not finite" in str(error)


@pytest.mark.parametrize("rate", [math.nan, math.inf, 1e300, 1e39])
def test_a_learning_rate_that_is_no_float32_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match="learning_rate is a number of at least 0"):
        nbdl.optimizers.SGD(-rate)
    for optimizer in (nbdl.optimizers.SGD, nbdl.optimizers.Adam, nbdl.optimizers.Lamb):
        with pytest.raises(ConfigError, match="learning_rate is a number of at least 0 that float32 can hold"):
            optimizer(rate)
    model, x = plain(nbdl.optimizers.SGD(0.1))
    model.optimizer.learning_rate = rate
    before = model.get_weights()
    with pytest.raises(ConfigError, match="learning_rate is not a finite number"):
        model.fit(x, x[:, :1], verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    "activation",
    [entry.name for entry in registry.entries("activations") if entry.owner.distribution == "nbdl"],
)
def test_a_nan_in_a_weight_is_hidden_by_no_activation(activation: str) -> None:
    needed = {"config": {"threshold": 0.0, "default_value": 0.5}} if activation == "threshold" else {}
    model, x = plain(activation={"name": activation, **needed})
    model.fit(x, x[:, :1], verbose=0)
    weights = model.get_weights()
    weights[0][2, 3] = np.nan
    model.set_weights(weights)
    error = diverges(model, x, x[:, :1], verbose=0, epochs=2)
    assert (error.epoch, error.step, error.layer) == (1, 1, "dense_1")
    assert np.array_equal(model.get_weights()[0], weights[0], equal_nan=True)
    assert np.isnan(model.predict(x)).all()
    assert math.isnan(model.evaluate(x, x[:, :1]))


def test_training_goes_on_after_it() -> None:
    model, x = plain(nbdl.optimizers.SGD(1e30))
    start = model.get_weights()
    diverges(model, x, x[:, :1], batch_size=8, verbose=0)
    model.set_weights(start)
    model.optimizer.learning_rate = 0.05
    losses = model.fit(x, x[:, :1], epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_the_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(DivergenceError("text", 2, 3, "dense_1")))
    assert (str(error), error.epoch, error.step, error.layer) == ("text", 2, 3, "dense_1")


# -- checked runs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", NETS)
def test_checked_runs_give_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for check in ("0", "1"):
        monkeypatch.setenv("NBDL_CHECK", check)
        model, x, y, options = net(mode, 1e6, "none")
        model.compile(loss="mse", optimizer="sgd", metrics=["accuracy"])
        history = model.fit(x, y, **options | {"epochs": 1}).history
        found.append((history, model.get_weights()))
    assert found[0][0]["loss"] == pytest.approx(found[1][0]["loss"], rel=1e-5)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def honest(x: Array, y: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = 2.0 * x[i, j]


def beyond(x: Array, y: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = 2.0 * x[i, j]
    y[x.shape[0], 0] = 7.0


def meddling(x: Array, y: Array) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = 2.0 * x[i, j]
    x[0, 0] = 7.0


class Handwritten(Layer):
    """A layer with a body of its own."""

    def __init__(self, body: Any) -> None:
        self.body = body

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return r.kernel(self.body, x, shapes=[x.shape]), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return r.kernel(honest, dy, shapes=[x.shape])


@pytest.mark.parametrize(
    ("body", "said"),
    [(honest, ""), (beyond, r"\n  beyond reaches outside an array"), (meddling, r"\n  meddling writes to an input")],
)
@pytest.mark.parametrize("tried", [True, False], ids=["tried in Python", "compiled"])
def test_a_checked_run_catches_a_body_that_writes_elsewhere(
    body: Any, said: str, tried: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBDL_CHECK", "1")
    if not tried:
        monkeypatch.setattr(CheckedExecutor, "_try_in_python", lambda *_: None)
        said = " wrote outside its results" if body is beyond else said
    model = nbdl.Sequential([Dense(5, input_dim=4), Handwritten(body, name="mine"), Dense(1)], seed=1)
    model.compile(loss="mse", optimizer="sgd")
    x = np.ones((7, 4), np.float32)
    if not said:
        model.fit(x, x[:, :1], verbose=0)
        return
    with pytest.raises(NbdlError, match=f"(?s)mine.*{said}"):
        model.fit(x, x[:, :1], verbose=0)


POISSON = {"loss": "poisson"}
CLIPPED = {"loss": "mae", "optimizer": nbdl.optimizers.SGD(0.1, clipnorm=1.0)}
GLOBALLY = {"loss": "mae", "optimizer": nbdl.optimizers.SGD(0.1, global_clipnorm=1.0)}


@pytest.mark.parametrize(
    ("compiled", "scales", "words", "others"),
    [
        (POISSON, (1, 1, 1), ["values above 0", "'poisson'"], ["scaled", "learning rate"]),
        ({}, (1, 1, 1e38), ["scaled weights of rows or classes (they go up to 1e+38)"], ["inputs", "learning rate"]),
        ({}, (1, 1e30, 1), ["scaled targets (they go up to"], ["inputs", "weights of rows", "learning rate"]),
        ({}, (1e30, 1, 1), ["scaled inputs (they go up to"], ["targets", "weights of rows", "learning rate"]),
        (CLIPPED, (1e22, 1, 1), ["clipvalue", "scaled inputs"], ["learning rate"]),
        (GLOBALLY, (1e22, 1, 1), ["clipvalue", "scaled inputs"], ["learning rate"]),
        ({"optimizer": nbdl.optimizers.SGD(1e6)}, (1, 1, 1), ["a smaller learning rate", "scaled inputs"], ["go up"]),
    ],
)
def test_remedies_fit_the_cause(
    compiled: dict[str, Any], scales: tuple[float, ...], words: list[str], others: list[str]
) -> None:
    model, x = plain()
    model.compile(**{"loss": "mse", "optimizer": "sgd", **compiled})
    of_x, of_y, of_weights = (np.float32(scale) for scale in scales)
    y = np.abs(x[:, :1]) + 1
    error = str(
        diverges(model, x * of_x, y * of_y, sample_weight=np.full(64, of_weights), batch_size=8, epochs=9, verbose=0)
    )
    remedies = error.split("Usual remedies: ")[1]
    assert all(word in remedies for word in words), error
    assert not any(word in remedies for word in others), error


SOFTMAX = (Dense(3), Activation("softmax"), Dropout(0.9))


@pytest.mark.parametrize(
    ("layers", "loss"),
    [
        ((Dense(3, activation="relu"),), "categorical_crossentropy"),
        ((Dense(3, activation="relu"),), "sparse_categorical_crossentropy"),
        (SOFTMAX, "categorical_crossentropy"),
    ],
)
def test_outputs_that_are_no_probabilities_are_the_cause(layers: tuple[Layer, ...], loss: str) -> None:
    model = nbdl.Sequential([type(one).from_config(one.get_config()) for one in layers], seed=1)
    model.compile("sgd", loss)
    x, labels = np.random.default_rng(0).normal(size=(64, 4)), np.arange(64) % 3
    y = labels if loss.startswith("sparse") else np.eye(3)[labels]
    remedies = str(diverges(model, x, y, epochs=3, verbose=0)).split("Usual remedies: ")[1]
    wanted = "a last layer whose activation gives probabilities, values from 0 to 1, as the loss"
    assert remedies == f"{wanted} {loss!r} expects"


def test_outputs_that_are_probabilities_are_not_the_cause() -> None:
    model = nbdl.Sequential([Dense(3, activation="softmax")], seed=1)
    model.compile("sgd", "categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(64, 4)) * 1e38
    remedies = str(diverges(model, x, np.eye(3)[np.arange(64) % 3], epochs=3, verbose=0)).split("Usual remedies: ")[1]
    assert "scaled inputs" in remedies
    assert "probabilities" not in remedies
