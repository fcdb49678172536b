"""The same seed gives the same bits: any number of threads, either driver, any slices, stopped and gone on.

Digests are not frozen: they differ from one type of processor to another.
"""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl.engine.cpu import executor as cpu
from nbdl.engine.cpu import lowered
from nbdl.layers import Activation, Dense, Dropout, Input
from nbdl.model.owner import job_of
from nbdl.training import steps as training
from nbdl.units.registry import registry

Model = nbdl.Sequential


def small() -> tuple[Model, tuple[Any, Any], dict[str, Any]]:
    """One tile for everything."""
    model = Model(
        [
            Dense(16, activation="relu", input_dim=8, kernel_regularizer="l2"),
            Dropout(0.3),
            Dense(3, activation="softmax"),
        ],
        seed=7,
    )
    return model, data(110, 8, 3), {"batch_size": 32}


def wide() -> tuple[Model, tuple[Any, Any], dict[str, Any]]:
    """Tiles over the weights and the rows."""
    model = Model(
        [
            Dense(320, activation="sigmoid", input_dim=300),
            Dropout(0.5),
            Dense(260, activation="tanh", kernel_regularizer="l1"),
            Dense(5, activation="softmax"),
        ],
        seed=7,
    )
    return model, data(300, 300, 5), {"batch_size": 128}


def long() -> tuple[Model, tuple[Any, Any], dict[str, Any]]:
    """Blocks of rows that pass through all operations."""
    model = Model(
        [
            Dense(32, activation="tanh", input_dim=4, bias_regularizer="l2"),
            Dropout(0.2),
            Dense(16, activation="tanh"),
            Dense(4, activation="softmax"),
        ],
        seed=7,
    )
    return model, data(5000, 4, 4), {"batch_size": 2048}


NETS = {"whole": small, "tiles": wide, "blocks": long}


def data(rows: int, features: int, classes: int) -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    x = random.normal(size=(rows, features)).astype(np.float32)
    return x, (np.abs(x[:, 0]) * 2).astype(int) % classes


@pytest.fixture(params=NETS)
def make(request: pytest.FixtureRequest) -> Callable[[], tuple[Model, Callable[..., Any]]]:
    """A function that makes the net, compiled, and a function that fits it."""

    def made(optimizer: Any = "adam") -> tuple[Model, Callable[..., Any]]:
        model, (x, y), options = NETS[request.param]()
        model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])

        def fit(model: Model = model, **more: Any) -> Any:
            history = model.fit(x, y, verbose=0, **{"epochs": 3} | options | more)
            trained = [one for key, one in job_of(model).programs.executors.items() if key.program.mode == "train"]
            assert {one.partition.mode for one in trained} == {request.param}, "these sizes no longer show that mode"
            return history.history

        return model, fit

    return made


def bits(model: Model) -> bytes:
    """Weights, slots and counters."""
    state = model.training_state
    assert state is not None
    counters = f"{state.iterations} {state.epochs}".encode()
    return b"".join(weight.tobytes() for weight in model.get_weights()) + state.slots.tobytes() + counters


@pytest.fixture
def reference(make: Any) -> tuple[bytes, dict[str, list[float]]]:
    model, fit = make()
    history = fit(threads=1)
    return bits(model), history


def test_the_same_on_any_number_of_threads(make: Any, reference: Any) -> None:
    for threads in (1, 2, None):
        model, fit = make()
        history = fit(threads=threads)
        assert bits(model) == reference[0], f"threads={threads}"
        for name, figures in history.items():
            assert figures == pytest.approx(reference[1][name], rel=1e-12), name


def test_another_seed_gives_other_bits(make: Any, reference: Any) -> None:
    model, fit = make()
    other = Model.from_config(model.get_config() | {"seed": 8})
    other.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    assert (other.get_weights()[0] != model.get_weights()[0]).all()
    assert (other.get_weights()[1] == model.get_weights()[1]).all()  # zeros
    fit(other)
    assert bits(other) != reference[0]


def test_the_same_with_either_driver(make: Any, reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for name, other in (("serial_driver", cpu.parallel_driver), ("parallel_driver", cpu.serial_driver)):
        with monkeypatch.context() as patch:
            patch.setattr(lowered, "PARALLEL_STAGE_US", 0.0)
            patch.setattr(cpu, name, lambda other=other, name=name: (called.append(name), other())[1])
            model, fit = make()
            fit(threads=1 if name == "serial_driver" else 2)
            assert bits(model) == reference[0], f"instead of the {name}"
    assert "serial_driver" in called


@pytest.mark.parametrize("seconds", [0.0, 1e-4, 1e9])
def test_the_same_in_slices_of_any_length(
    make: Any, reference: Any, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SLICE_SECONDS", seconds)
    model, fit = make()
    fit()
    assert bits(model) == reference[0]


def test_the_same_in_every_process() -> None:
    code = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from test_bits import bits, small
model, (x, y), options = small()
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
model.fit(x, y, verbose=0, **options)
print(hashlib.sha256(bits(model)).hexdigest())
"""
    found = set()
    for hashing in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONHASHSEED": hashing, "OMP_NUM_THREADS": hashing},
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


class EveryBatch(nbdl.Callback):
    """Has a batch hook, so each slice is one step."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append(batch)


def test_the_same_with_batch_hooks(make: Any, reference: Any) -> None:
    model, fit = make()
    watch = EveryBatch()
    fit(callbacks=[watch])
    assert bits(model) == reference[0]
    steps = len(watch.batches) // 3
    assert watch.batches == [*range(steps)] * 3


def through_file(model: Model, folder: Path) -> Model:
    model.save(folder / "model.nbdl")
    return nbdl.load_model(folder / "model.nbdl")


WAYS: dict[str, Callable[[Model, Path], Model]] = {
    "saved and loaded": through_file,
    "deepcopy": lambda model, folder: copy.deepcopy(model),
    "pickle": lambda model, folder: pickle.loads(pickle.dumps(model)),
    "as it is": lambda model, folder: model,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_when_stopped_and_gone_on(way: str, make: Any, reference: Any, tmp_path: Path) -> None:
    model, fit = make()
    fit(epochs=1)
    other = WAYS[way](model, tmp_path)
    history = fit(other, epochs=3, initial_epoch=1)
    assert bits(other) == reference[0]
    assert history["loss"] == pytest.approx(reference[1]["loss"][1:], rel=1e-12)
    if other is not model:
        assert bits(model) != bits(other)


def test_looking_in_changes_nothing(make: Any, reference: Any) -> None:
    model, fit = make()
    x = np.zeros((40, model.input_shape[0]), np.float32)
    for epoch in range(3):
        fit(epochs=epoch + 1, initial_epoch=epoch)
        model.predict(x)
        model.evaluate(x, np.zeros(40))
        model.explain(print_fn=lambda line: None)
        model.get_weights()[0][...] = 0.0
    assert bits(model) == reference[0]


def all_optimizers() -> list[Any]:
    made = [
        pytest.param(entry.target, {}, id=entry.name)
        for entry in registry.entries("optimizers")
        if entry.owner.distribution == "nbdl"
    ]
    more = [
        pytest.param(entry.target, example, id=f"{entry.name} {example}")
        for entry in registry.entries("optimizers")
        for example in entry.options.get("examples", ())
    ]
    momentum = [
        pytest.param(nbdl.optimizers.SGD, {"momentum": 0.9}, id="SGD momentum"),
        pytest.param(nbdl.optimizers.SGD, {"momentum": 0.9, "nesterov": True}, id="SGD nesterov"),
        pytest.param(nbdl.optimizers.RMSprop, {"momentum": 0.5}, id="RMSprop momentum"),
    ]
    return [*made, *more, *momentum]


@pytest.mark.parametrize(("optimizer", "arguments"), all_optimizers())
def test_every_optimizer_gives_the_same_and_goes_on(optimizer: Any, arguments: Any, tmp_path: Path) -> None:
    found = []
    for stops in (False, True):
        model, (x, y), options = small()
        model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer(**arguments))
        model.fit(x, y, epochs=1 if stops else 2, verbose=0, **options)
        if stops:
            model = through_file(model, tmp_path)
            model.fit(x, y, epochs=2, initial_epoch=1, verbose=0, **options)
        found.append(bits(model))
    assert found[0] == found[1]


def test_a_changed_learning_rate_is_part_of_going_on(tmp_path: Path) -> None:
    found = []
    for reload in (False, True):
        model, (x, y), options = small()
        model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
        model.fit(x, y, verbose=0, **options)
        model.optimizer.learning_rate = 0.05
        if reload:
            model = through_file(model, tmp_path)
        model.fit(x, y, epochs=2, initial_epoch=1, verbose=0, **options)
        found.append(bits(model))
    assert found[0] == found[1]


# -- prediction and evaluation --------------------------------------------------------------------------------


@pytest.mark.parametrize("net", NETS)
def test_predictions_do_not_depend_on_the_batch_they_are_in(net: str) -> None:
    model, (x, _), _ = NETS[net]()
    whole = model.predict(x)
    assert np.array_equal(model.predict(x, threads=1), whole)
    for start, stop in ((0, 1), (1, 4), (17, 50), (3, 100), (0, len(x) - 1)):
        np.testing.assert_allclose(model.predict(x[start:stop]), whole[start:stop], rtol=2e-5, atol=1e-7)
    order = np.random.default_rng(0).permutation(len(x))
    np.testing.assert_allclose(model.predict(x[order]), whole[order], rtol=2e-5, atol=1e-7)
    np.testing.assert_allclose(model(x[5]), whole[5], rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("net", NETS)
def test_evaluation_equals_numpys(net: str) -> None:
    model, (x, y), options = NETS[net]()
    model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    model.fit(x, y, verbose=0, **options)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(x))
    p = forward(model, x.astype(np.float64))
    np.testing.assert_allclose(model.predict(x), p, rtol=2e-4, atol=1e-6)
    crossentropy = (-np.log(p[np.arange(len(y)), y]) * weight).sum() / len(y)
    figures = model.evaluate(x, y, sample_weight=weight, return_dict=True)
    assert figures["loss"] == pytest.approx(crossentropy + penalties(model), rel=1e-5)
    assert figures["accuracy"] == pytest.approx((p.argmax(1) == y).mean(), abs=2 / len(y))
    for threads in (1, 2):
        assert model.evaluate(x, y, sample_weight=weight, return_dict=True, threads=threads) == figures


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda z: np.maximum(z, 0.0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "softmax": lambda z: (
        np.exp(z - z.max(1, keepdims=True)) / np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)
    ),
}


def forward(model: Model, x: Any) -> Any:
    """The model in NumPy; dropout does nothing after training."""
    values = iter(model.get_weights())
    for layer in model.layers:
        if isinstance(layer, Dense):
            x = x @ next(values).astype(np.float64) + next(values)
        if layer.activation is not None:
            x = ACTIVATIONS[layer.activation.unit_name](x)
    return x


def penalties(model: Model) -> float:
    total = 0.0
    for weight in model.weights:
        if weight.regularizer is not None:
            w = weight.value.astype(np.float64)
            total += float({"l1": 0.01 * np.abs(w), "l2": 0.01 * w * w}[weight.regularizer.unit_name].sum())
    return total


def test_a_layer_that_is_used_twice_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    found = []
    for reload in (False, True):
        shared = Dense(6, activation="tanh")
        model = Model([Input((6,)), shared, shared, Activation("relu"), Dense(1)], seed=3)
        model.compile(loss="mse", optimizer="adam")
        x, _ = data(40, 6, 2)
        model.fit(x, x[:, :1], verbose=0)
        if reload:
            model = through_file(model, tmp_path)
        model.fit(x, x[:, :1], epochs=2, initial_epoch=1, verbose=0)
        found.append(bits(model))
    assert found[0] == found[1]
