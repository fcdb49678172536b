"""Where a model runs: chosen, checked, and nothing of it to be seen in results, callbacks, errors and files.

No GPU is needed: a stand-in computes as the CPU does, on weights and slots of its own between push and pull, so that
whoever forgets one of these gets other numbers.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from test_divergence import Fragile

import nbdl
from nbdl.cli import doctor, warmup
from nbdl.cli.app import app
from nbdl.engine import cuda
from nbdl.engine import executor as executors
from nbdl.engine.cpu import executor as cpu
from nbdl.engine.cpu.checked import CheckedExecutor
from nbdl.engine.cuda import availability
from nbdl.engine.store import aligned_zeros
from nbdl.errors import ConfigError, DeviceError, DeviceLostError, DivergenceError
from nbdl.layers import Dense, Dropout
from nbdl.model.owner import job_of
from nbdl.network import device as placing
from nbdl.network import executors as inference
from nbdl.network.device import DeviceWarning
from nbdl.training import steps as training

ROWS, BATCH = 70, 16
X = np.random.default_rng(0).normal(size=(ROWS, 6)).astype(np.float32)
Y = X[:, :2].copy()


# -- the stand-in -------------------------------------------------------------------------------------------


@dataclass
class OnDevice:
    """Data that an executor prepared; no other reads it."""

    array: Any
    owner: Any


class Machine:
    """What the stand-in was asked for, and what it is told to do wrong."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []
        self.prepared: list[int] = []
        self.forgets = ""  # a key of FORGOTTEN
        self.lost = False
        self.problem = ""
        self.cublas = "13.1.0"


machine = Machine()


def caller() -> str:
    """The name of the function that asked for a push or pull."""
    name = sys._getframe(2).f_code.co_name
    return sys._getframe(3).f_code.co_name if name == "fetch" else name


class OwnMemory:
    """Weights and slots in memory of the device's own, as a mixin to an executor."""

    def __init__(self, program: Any, store: Any, rows: int, gathered: Sequence[str | None], slots: Any) -> None:
        mine = store.copied()
        own_slots = None if slots is None else aligned_zeros(slots.size)
        super().__init__(program, mine, rows, gathered, own_slots)  # type: ignore[call-arg]
        self.host = [store.data] if slots is None else [store.data, slots]
        self.mine = [mine.data] if own_slots is None else [mine.data, own_slots]
        for memory in self.mine:
            memory[...] = np.nan
        self.synchronised: list[Any] | None = None
        self.ran = False

    def prepare(self, arrays: Sequence[Any]) -> list[OnDevice]:
        machine.prepared.append(len(arrays[0]))
        return [OnDevice(array.copy(), machine) for array in arrays]

    def push(self) -> None:
        if machine.forgets == f"push in {caller()}":
            return
        changed = self.synchronised is None or any(
            now.tobytes() != then.tobytes() for now, then in zip(self.host, self.synchronised, strict=True)
        )
        if changed:
            self._copy(self.host, self.mine)

    def pull(self) -> None:
        if machine.lost:
            raise DeviceLostError("pull: the device is lost")
        if machine.forgets == f"pull in {caller()}" or (machine.forgets == "pull after an error" and sys.exc_info()[0]):
            return
        if self.ran:
            self._copy(self.mine, self.host)
            self.ran = False

    def _copy(self, source: list[Any], to: list[Any]) -> None:
        for one, other in zip(source, to, strict=True):
            other[...] = one
        self.synchronised = [memory.copy() for memory in self.host]

    def run(self, batches: Any, threads: int | None = None) -> Any:
        if machine.lost:
            raise DeviceLostError("run: the device is lost")
        assert all(isinstance(source, OnDevice) and source.owner is machine for source in batches.sources), (
            "data that was not prepared"
        )
        there = copy.copy(batches)
        there.sources = [source.array for source in batches.sources]
        self.ran = True
        return super().run(there, threads)  # type: ignore[misc]


class DeviceExecutor(OwnMemory, cpu.CpuExecutor):
    """The stand-in's executor."""


class DeviceChecked(OwnMemory, CheckedExecutor):
    """The stand-in's executor for checked runs."""


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-in where the GPU's executors are imported from."""
    monkeypatch.setitem(globals(), "machine", Machine())

    def maker(kind: Any) -> Any:
        def make(program: Any, store: Any, rows: int, gathered: Any, slots: Any, number: int, precision: str,
                 fuse: bool = True) -> Any:  # fmt: skip
            machine.made.append((f"cuda:{number}" if number else "cuda", precision))
            return kind(program, store, rows, gathered, slots)

        return make

    kinds = {"executor": ("CudaExecutor", DeviceExecutor), "checked": ("CheckedCudaExecutor", DeviceChecked)}
    for name, (maker_name, kind) in kinds.items():
        module = types.ModuleType(f"nbdl.engine.cuda.{name}")
        vars(module)[maker_name] = maker(kind)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(cuda, name, module, raising=False)
    monkeypatch.setattr(cuda, "open_runtime", lambda number: number)
    monkeypatch.setattr(availability, "problem", lambda number=0: machine.problem)
    monkeypatch.setattr(availability, "simulated", lambda: False)
    monkeypatch.setattr(placing, "_cublas", lambda: machine.cublas)


# -- whole runs, on both ------------------------------------------------------------------------------------


def net(device: str, limit: float = 0.0, optimizer: Any = "adam") -> nbdl.Sequential:
    """A net with a state, random numbers and slots; it gives NaN after `limit` steps, unless that is 0."""
    fragile = Fragile(limit, "forward" if limit else "nowhere", name="fragile")
    return compiled(device, [Dense(8, activation="tanh", input_dim=6), fragile, Dropout(0.2), Dense(2)], optimizer)


def compiled(device: str, layers: list[Any], optimizer: Any = "adam") -> nbdl.Sequential:
    """A model of these layers."""
    model = nbdl.Sequential(layers, seed=5)
    model.compile(loss="mse", optimizer=optimizer, metrics=["accuracy"], device=device)
    return model


def plain_net(device: str) -> nbdl.Sequential:
    """A net of registered layers, which files can hold."""
    return compiled(device, [Dense(8, activation="tanh", input_dim=6), Dropout(0.2), Dense(2)])


def fitted(model: nbdl.Sequential, *callbacks: Any, **options: Any) -> list[Any]:
    """Fit, and return all there is to see of it."""
    given = {"batch_size": BATCH, "epochs": 4, "verbose": 0, **options}
    error = ""
    try:
        model.fit(X, Y, callbacks=list(callbacks), **given)
    except (DivergenceError, KeyboardInterrupt) as raised:
        error = f"{type(raised).__name__}: {raised}"
    return [error, *seen_of(model)]


def seen_of(model: nbdl.Sequential) -> list[Any]:
    """History, weights, training state and predictions."""
    state, history = model.training_state, model.history
    assert state is not None
    assert history is not None
    figures = [] if error_in(model) else [model.predict(X).tobytes(), tuple(model.evaluate(X, Y))]
    weights = b"".join(weight.tobytes() for weight in model.get_weights())
    return [dict(history.history), weights, state.slots.tobytes(), state.iterations, state.epochs, *figures]


def error_in(model: nbdl.Sequential) -> bool:
    """Whether weights are not finite."""
    return not all(np.isfinite(weight).all() for weight in model.get_weights())


class Looks(nbdl.Callback):
    """Keeps the weights that each hook of an epoch found; changes them in one of them."""

    def __init__(self, change: str = "") -> None:
        self.change, self.found = change, []

    def look(self, hook: str) -> None:
        self.found.append((hook, b"".join(weight.tobytes() for weight in self.model.get_weights())))
        if hook == self.change:
            self.model.set_weights([0.5 * weight for weight in self.model.get_weights()])

    def on_train_begin(self, logs: Any = None) -> None:
        self.look("train begin")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.look("epoch begin")

    def on_test_begin(self, logs: Any = None) -> None:
        self.look("test begin")

    def on_test_end(self, logs: Any = None) -> None:
        self.look("test end")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.look("epoch end")

    def on_train_end(self, logs: Any = None) -> None:
        self.look("train end")


class LooksAtBatches(Looks):
    """Also at each batch."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.look("batch begin")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.look("batch end")


class StopsInTheMiddle(Looks):
    """Ends training within the second epoch."""

    def on_progress(self, step: int, steps: int, logs: Any) -> None:
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps == 7:
            self.model.stop_training = True


def looked(device: str, callback: Looks, **options: Any) -> list[Any]:
    model = net(device)
    return [fitted(model, callback, **options), callback.found]


def interrupted(device: str) -> list[Any]:
    """Ctrl-C in the 7th step, of 5 an epoch."""
    model, runs = net(device), []
    ordinary = cpu.CpuExecutor.run

    def run(self: Any, batches: Any, threads: int | None = None) -> Any:
        runs.append(1)
        if len(runs) == 7:
            signal.raise_signal(signal.SIGINT)
        return ordinary(self, batches, threads)

    looks = Looks()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu.CpuExecutor, "run", run)
        found = fitted(model, looks)
    assert found[0].startswith("KeyboardInterrupt")
    return [*found, looks.found]


def early_stopped(device: str) -> list[Any]:
    model = net(device, optimizer=nbdl.optimizers.SGD(1.2))
    stop = nbdl.callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    found = fitted(model, stop, epochs=20, validation_split=0.3)
    assert len(found[1]["loss"]) < 20
    return found


def resumed(device: str) -> list[Any]:
    """Two epochs, to bytes and back, two epochs."""
    model = plain_net(device)
    fitted(model, epochs=2)
    again = pickle.loads(pickle.dumps(model))
    again.device = device
    return [pickle.dumps(model), *fitted(again, initial_epoch=2)]


def changed_between(device: str) -> list[Any]:
    """Weights that are set between predictions, evaluations and fits."""
    model = net(device)
    found = [fitted(model)]
    for factor in (0.5, 0.25):
        model.set_weights([factor * weight for weight in model.get_weights()])
        found.append([model.predict(X).tobytes(), model.evaluate(X, Y)])
    return [*found, fitted(model)]


def batches() -> list[Any]:
    """Of all sizes and two types."""
    cuts = [0, 4, 8, 9, 20, ROWS]
    parts = [(X[first:last], Y[first:last]) for first, last in itertools.pairwise(cuts)]
    return [(x.astype(np.float64) if number % 2 else x, y) for number, (x, y) in enumerate(parts)]


def streamed(device: str, *looks: Any) -> list[Any]:
    """Batches as they come."""
    model = net(device)
    model.fit(batches(), epochs=3, verbose=0, callbacks=list(looks), validation_data=batches())
    return seen_of(model)


def one_by_one(device: str) -> list[Any]:
    """Batches one at a time, and weights that are changed in between."""
    model, found = net(device), []
    for x, y in batches():
        found.append(model.train_on_batch(x, y))
        model.set_weights([0.75 * weight for weight in model.get_weights()])
    return [found, *(weight.tobytes() for weight in model.get_weights()), model.test_on_batch(X, Y)]


def diverged(device: str) -> list[Any]:
    found = fitted(net(device, limit=6))  # the root of -1 in step 8
    assert "first in layer 'fragile'" in found[0]
    return found


SCENARIOS: dict[str, Callable[[str], list[Any]]] = {
    "a fit": lambda device: fitted(net(device)),
    "a fit in order": lambda device: fitted(net(device), shuffle=False),
    "a fit of one batch": lambda device: fitted(net(device), batch_size=ROWS),
    "validation": lambda device: fitted(net(device), validation_split=0.3),
    "hooks that look": lambda device: looked(device, Looks(), validation_split=0.3),
    "hooks that change at an epoch's end": lambda device: looked(device, Looks("epoch end"), validation_split=0.3),
    "hooks that change at an epoch's begin": lambda device: looked(device, Looks("epoch begin")),
    "hooks that change before a test": lambda device: looked(device, Looks("test begin"), validation_split=0.3),
    "batch hooks that look": lambda device: looked(device, LooksAtBatches()),
    "batch hooks that change": lambda device: looked(device, LooksAtBatches("batch begin"), epochs=2),
    "batch hooks that change afterwards": lambda device: looked(device, LooksAtBatches("batch end"), epochs=2),
    "stopped in the middle": lambda device: looked(device, StopsInTheMiddle()),
    "early stopping": early_stopped,
    "Ctrl-C": interrupted,
    "divergence": diverged,
    "divergence in the last step": lambda device: fitted(
        net(device, optimizer=nbdl.optimizers.SGD(3e38)), batch_size=ROWS, epochs=1
    ),
    "saved and loaded": resumed,
    "changed between": changed_between,
    "batches as they come": streamed,
    "batches that change": lambda device: streamed(device, LooksAtBatches("batch begin")),
    "batches one at a time": one_by_one,
}


@pytest.mark.parametrize("seconds", [0.0, 1e9])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_shows_of_the_device(scenario: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SLICE_SECONDS", 0.0 if scenario in ("Ctrl-C", "stopped in the middle") else seconds)
    expected = SCENARIOS[scenario]("cpu")
    assert not machine.made
    assert SCENARIOS[scenario]("cuda") == expected
    assert ("cuda", "float32") in machine.made


FORGOTTEN = {
    # what is forgotten, by the function that does it: a scenario that shows it
    "push in on_device": "hooks that change at an epoch's end",
    "push in begin_chunk": "batch hooks that change",
    "push in run": "validation",
    "push in _replayed": "divergence",
    "pull in on_device": "a fit",
    "pull in _tell": "batch hooks that look",
    "pull in diverged": "divergence",
    "pull after an error": "Ctrl-C",
    "push in grow": "batches as they come",
    "pull in grow": "batches as they come",
}


@pytest.mark.parametrize("what", FORGOTTEN)
def test_what_is_forgotten_shows(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SLICE_SECONDS", 0.0)
    scenario = SCENARIOS[FORGOTTEN[what]]
    expected = scenario("cpu")
    machine.forgets = what
    try:
        found = scenario("cuda")
    except (AssertionError, DivergenceError):
        return
    assert found != expected


# -- a device that fails ------------------------------------------------------------------------------------


def test_a_lost_device_leaves_the_weights_of_the_last_epoch_and_the_first_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "SLICE_SECONDS", 0.0)

    class Loses(Looks):
        def on_progress(self, step: int, steps: int, logs: Any) -> None:
            machine.lost = len(self.found) == 4 and step == 3  # in the second epoch

    model, looks = net("cuda"), Loses()
    with pytest.raises(DeviceLostError, match="run: the device is lost"):
        model.fit(X, Y, batch_size=BATCH, epochs=4, verbose=0, callbacks=[looks])
    assert [hook for hook, _ in looks.found] == ["train begin", "epoch begin", "epoch end", "epoch begin", "train end"]
    assert looks.found[-1][1] == looks.found[2][1]
    machine.lost, model.device = False, "cpu"
    assert np.isfinite(model.predict(X)).all()


def test_a_device_that_is_lost_when_the_weights_are_fetched_is_an_error() -> None:
    class Loses(nbdl.Callback):
        def on_progress(self, step: int, steps: int, logs: Any) -> None:
            machine.lost = step == steps

    with pytest.raises(DeviceLostError, match="pull: the device is lost"):
        net("cuda").fit(X, Y, verbose=0, callbacks=[Loses()])


# -- which device -------------------------------------------------------------------------------------------


def test_a_device_may_be_set_at_any_time() -> None:
    model = nbdl.Sequential([Dense(2, input_dim=6)], seed=1)
    assert (model.device, model.precision) == ("cpu", "float32")
    model.device, model.precision = "cuda:1", "tf32"
    model.compile(loss="mse", optimizer="adam")
    assert (model.device, model.precision) == ("cuda:1", "tf32")
    model.compile(loss="mse", optimizer="adam", device="cuda:0", precision="float32")
    assert (model.device, model.precision) == ("cuda", "float32")


def test_changing_the_device_keeps_weights_training_and_executors() -> None:
    moved, stayed = net("cpu"), net("cpu")
    stayed.fit(X, Y, epochs=4, verbose=0)
    for epoch, device in enumerate(["cpu", "cuda", "cpu", "cuda:1"]):
        moved.device = device
        moved.fit(X, Y, initial_epoch=epoch, epochs=epoch + 1, verbose=0)
    assert seen_of(moved)[1:5] == seen_of(stayed)[1:5]
    before = list(machine.made)
    moved.device = "cuda"
    moved.fit(X, Y, verbose=0)
    assert machine.made == before
    assert {device for device, _ in before} == {"cuda", "cuda:1"}


def test_the_precision_reaches_the_device() -> None:
    model = net("cuda")
    model.precision = "tf32"
    model.predict(X)
    model.precision = "float32"
    model.predict(X)
    assert machine.made == [("cuda", "tf32"), ("cuda", "float32")]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cude", ["'cude'", "Did you mean 'cuda'?"]),
        ("gpu", ["'cpu', 'cuda', 'cuda:1'", "'auto'", "'gpu'", "Did you mean 'cuda'?"]),
        ("GPU:0", ["'GPU:0'", "Did you mean 'cuda'?"]),
        ("cuda:01", ["'cuda:01'"]),
        ("cuda:00", ["'cuda:00'"]),
        ("cpu:0", ["'cpu:0'"]),
        ("auto:0", ["'auto:0'"]),
        ("cuda:", ["'cuda:'"]),
        ("cuda:-1", ["'cuda:-1'"]),
        (0, ["got 0"]),
        (None, ["got None"]),
    ],
)
def test_a_device_that_does_not_exist_is_refused(name: Any, parts: list[str]) -> None:
    model = net("cpu")
    with pytest.raises(ConfigError) as caught:
        model.device = name
    assert all(part in str(caught.value) for part in parts)
    assert model.device == "cpu"


def test_a_precision_that_does_not_exist_is_refused() -> None:
    model = net("cpu")
    with pytest.raises(ConfigError, match=r"'float32' or 'tf32', got 'tf23'. Did you mean 'tf32'\?"):
        model.compile(loss="mse", precision="tf23")
    assert model.precision == "float32"


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_cuda_that_cannot_be_used_says_why(name: str, tmp_path: Path) -> None:
    machine.problem = "numba-cuda is missing: install it"
    model = plain_net("cpu")
    model.save(tmp_path / "net.nbdl")
    for ask in (
        lambda: setattr(model, "device", name),
        lambda: model.compile(loss="mse", device=name),
        lambda: nbdl.load_model(tmp_path / "net.nbdl", device=name),
    ):
        with pytest.raises(DeviceError, match=f"'{name}' cannot be used: numba-cuda is missing: install it"):
            ask()
    assert model.device == "cpu"


def test_auto_takes_the_gpu_or_warns() -> None:
    model = net("auto")
    assert model.device == "cuda"
    machine.problem = "no driver"
    with pytest.warns(UserWarning, match="'auto' is the CPU: no driver"):
        model.device = "auto"
    assert model.device == "cpu"


ASK: dict[str, Callable[[nbdl.Sequential, Path, str], Any]] = {
    "compile": lambda model, path, name: model.compile(loss="mse", device=name),
    "device": lambda model, path, name: setattr(model, "device", name),
    "load_model": lambda model, path, name: nbdl.load_model(path, device=name),
}


@pytest.mark.parametrize("how", ASK)
def test_a_warning_points_at_the_users_line(how: str, tmp_path: Path) -> None:
    machine.problem = "no driver"
    model = plain_net("cpu")
    model.save(tmp_path / "net.nbdl")
    with pytest.warns(DeviceWarning) as caught:
        ASK[how](model, tmp_path / "net.nbdl", "auto")
    line = next(number for number, text in enumerate(SOURCE, 1) if text.startswith(f'    "{how}": lambda'))
    assert [(one.filename, one.lineno) for one in caught] == [(__file__, line)]


SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()


# -- what a device cannot run -------------------------------------------------------------------------------


def doubled(x: Any, out: Any) -> None:
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            out[row, column] = 2.0 * x[row, column]


def doubled_cuda(row: Any, thread: Any, threads: Any, x: Any, out: Any) -> None:
    if thread == 0:
        for column in range(6):
            out[row * 6 + column] = 2.0 * x[row * 6 + column]


class Doubled(nbdl.Layer):
    """Kernels of its own, with a CUDA body in these phases."""

    def __init__(self, on_cuda: tuple[str, ...] = ()) -> None:
        self.on_cuda = on_cuda

    def build(self, b: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return self.kernel(r, x, "training" if r.training else "prediction"), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return self.kernel(r, dy, "backward")

    def kernel(self, r: Any, x: Any, phase: str) -> Any:
        return r.kernel(doubled, x, shapes=[x.shape], cuda=doubled_cuda if phase in self.on_cuda else None)


PHASES = ("training", "prediction", "backward")
REFUSED = r"layer 'mine' \(of 'test_device'\) cannot run on a GPU: its kernel .*doubled.* has no CUDA body"


def doubling(*on_cuda: str, input_dim: int | None = 6) -> nbdl.Sequential:
    """A model with such a layer, on the CPU."""
    first = Dense(6) if input_dim is None else Dense(6, input_dim=input_dim)
    return nbdl.Sequential([first, Doubled(on_cuda, name="mine"), Dense(2)], seed=0)


@pytest.mark.parametrize("missing", PHASES)
def test_a_layer_for_cpus_alone_is_refused_when_the_model_is_compiled(missing: str) -> None:
    model = doubling(*(phase for phase in PHASES if phase != missing))
    with pytest.raises(ConfigError, match=REFUSED):
        model.compile(loss="mse", device="cuda")
    assert model.device == "cpu"
    assert model.compiled is None
    model.compile(loss="mse", optimizer="sgd")
    fit = model.fit(X, Y, verbose=0)
    with pytest.raises(ConfigError, match=REFUSED):
        model.device = "cuda"
    assert model.device == "cpu"
    before = model.compiled, model.training_state
    with pytest.raises(ConfigError, match=REFUSED):
        model.compile(loss="mse", optimizer="adam", device="cuda")
    assert (model.compiled, model.training_state) == before
    assert model.fit(X, Y, verbose=0).history["loss"] < fit.history["loss"]


def test_a_layer_with_cuda_bodies_is_not_refused() -> None:
    model = doubling(*PHASES)
    model.compile(loss="mse", device="cuda")
    assert model.device == "cuda"
    forward = doubling("prediction")
    forward.device = "cuda"  # not compiled, it only predicts
    with pytest.raises(ConfigError, match=REFUSED):
        forward.compile(loss="mse")
    assert forward.compiled is None


def test_such_a_layer_is_refused_when_the_model_is_built_later() -> None:
    model = doubling(input_dim=None)
    model.compile(loss="mse", device="cuda")
    with pytest.raises(ConfigError, match=REFUSED):
        model.fit(X, Y, verbose=0)
    grown = nbdl.Sequential([Dense(6, input_dim=6)])
    grown.device = "cuda"
    layer = Doubled(name="mine")
    with pytest.raises(ConfigError, match=REFUSED):
        grown.add(layer)
    assert len(grown.layers) == 1
    other = nbdl.Sequential([Dense(6, input_dim=6), layer])  # it belongs to no model yet
    assert other.predict(X).shape == (ROWS, 6)


def test_such_a_layer_is_refused_when_a_model_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_net("cpu").save(tmp_path / "net.nbdl")
    for name in ("forward", "backward"):
        monkeypatch.setattr(Dropout, name, getattr(Doubled, name))
    monkeypatch.setattr(Dropout, "kernel", lambda _, r, x, phase: r.kernel(doubled, x, shapes=[x.shape]), raising=False)
    with pytest.raises(ConfigError, match=REFUSED.replace("mine", "dropout_1")):
        nbdl.load_model(tmp_path / "net.nbdl", device="cuda")


@pytest.mark.parametrize("input_dim", [6, None])
def test_auto_falls_back_for_such_a_layer(input_dim: int | None) -> None:
    model = doubling(input_dim=input_dim)
    with warnings.catch_warnings(record=True, action="always") as caught:
        model.compile(loss="mse", device="auto")
        model.fit(X, Y, verbose=0)
        model.predict(X)
    assert [one.filename for one in caught] == [__file__]
    assert re.match(f"device 'auto' is the CPU: {REFUSED}", str(caught[0].message))
    assert model.device == "cpu"
    assert not machine.made


def test_what_cannot_be_recorded_yet_is_said_by_the_run() -> None:
    class Refuses(nbdl.losses.MeanSquaredError):
        def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
            if output_shape != (2,):
                raise IndexError("two outputs are wanted")
            return output_shape

    model = nbdl.Sequential([Dense(3, input_dim=6)])
    model.compile(loss=Refuses(), device="cuda")
    with pytest.raises(IndexError, match="two outputs are wanted"):
        model.fit(X, Y, verbose=0)
    model.add(Dense(2))
    model.fit(X, Y, verbose=0)


def test_tf32_needs_cublas() -> None:
    machine.cublas = ""
    model = plain_net("cuda")
    for ask in (
        lambda: setattr(model, "precision", "tf32"),
        lambda: model.compile(loss="mse", precision="tf32"),
        lambda: plain_net("cpu").compile(loss="mse", precision="tf32", device="cuda"),
    ):
        with pytest.raises(ConfigError, match=r"'tf32' needs cuBLAS, and none was found: pip install 'nbdl\[cublas\]'"):
            ask()
    assert (model.device, model.precision) == ("cuda", "float32")


def test_tf32_has_no_effect_on_the_cpu_which_is_said() -> None:
    model = plain_net("cpu")
    with pytest.warns(DeviceWarning, match="'tf32' has no effect on the CPU") as caught:
        model.compile(loss="mse", precision="tf32")
    assert [one.filename for one in caught] == [__file__]
    model.device = "cuda"
    with pytest.warns(DeviceWarning, match="'tf32' has no effect on the CPU"):
        model.device = "cpu"


# -- Numba's simulator --------------------------------------------------------------------------------------


SEES = (
    "import os, sys; {before}; from nbdl.engine.cuda.availability import simulated; "
    "import nbdl.engine.cuda.availability as a; first = simulated(); import numba; {after}; "
    "print(first, simulated(), bool(numba.config.ENABLE_CUDASIM))"
)


@pytest.mark.parametrize(
    ("value", "seen"), [("1", True), (" 2 ", True), ("-1", True), ("0", False), ("", False), ("true", False)]
)
def test_the_simulator_is_where_numba_sees_it(value: str, seen: bool) -> None:
    assert sees("pass", "pass", value) == [str(seen)] * 3


def test_the_simulator_is_not_where_it_was_asked_for_too_late() -> None:
    assert sees("import numba", "os.environ['NUMBA_ENABLE_CUDASIM'] = '1'", "0") == ["False"] * 3
    assert sees("import numba", "os.environ.pop('NUMBA_ENABLE_CUDASIM')", "1") == ["True"] * 3


def sees(before: str, after: str, value: str) -> list[str]:
    """What nbdl has for the simulator before Numba is imported and after it, and what Numba has."""
    code = SEES.format(before=before, after=after)
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": value}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_ldexp_in_the_simulator_takes_a_float() -> None:
    code = (
        "from nbdl.engine.cuda.dialect import scope; import numpy as np; math = scope('simulator')['math']; "
        "found = math.ldexp(np.float32(1.5), np.float32(2)); assert found == 6 and found.dtype == np.float32"
    )
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_no_cuda_is_looked_for_unless_it_is_asked_for() -> None:
    code = (
        "import sys, numpy as np, nbdl; from nbdl.layers import Dense; x = np.ones((4, 3), np.float32); "
        "model = nbdl.Sequential([Dense(2, input_dim=3)]); model.compile(loss='mse', device='cpu'); "
        "model.fit(x, x[:, :2], verbose=0, validation_split=0.5); model.predict(x); model(x); "
        "print([name for name in sys.modules if name.startswith(('nbdl.engine.cuda', 'cuda', 'numba_cuda'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_plain_python_wins_over_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    machine.problem, machine.cublas = "nothing of CUDA is installed", ""
    model = net("cuda")
    model.precision = "tf32"
    assert (model.device, model.precision) == ("cuda", "tf32")
    model.fit(X, Y, verbose=0)
    model.predict(X)
    assert not machine.made
    model.device = "auto"
    assert model.device == "cpu"
    doubling().device = "cuda"


# -- what is the same on all --------------------------------------------------------------------------------


def test_a_call_of_the_model_stays_on_the_cpu() -> None:
    on_cpu, on_gpu = net("cpu"), net("cuda")
    assert on_gpu(X).tobytes() == on_cpu(X).tobytes()
    assert on_gpu.as_njit()(X[0]).tobytes() == on_cpu(X[0]).tobytes()
    big = np.zeros((50_000, 6), np.float32)
    assert on_gpu(big).shape == (50_000, 2)
    assert not machine.made
    on_gpu.predict(X[:1])
    assert machine.made


def test_files_know_nothing_of_the_device(tmp_path: Path) -> None:
    files = []
    for device in ("cpu", "cuda"):
        model = plain_net(device)
        model.fit(X, Y, verbose=0)
        model.save(tmp_path / device)
        files.append((tmp_path / device).read_bytes())
    assert files[0] == files[1]
    assert nbdl.load_model(tmp_path / "cuda").device == "cpu"
    assert nbdl.load_model(tmp_path / "cpu", device="cuda").device == "cuda"
    assert pickle.loads(pickle.dumps(model)).device == "cpu"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_on_the_same_device(copied: Callable[[Any], Any]) -> None:
    model = plain_net("cuda:1")
    model.precision = "tf32"
    again = copied(model)
    assert (again.device, again.precision) == ("cuda:1", "tf32")
    again.set_weights([0 * weight for weight in again.get_weights()])
    assert model.get_weights()[0].any()


def test_what_a_callback_sets_takes_effect_at_the_next_call() -> None:
    class Moves(nbdl.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.device = "cuda"

    model = plain_net("cpu")
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[Moves()])
    assert not machine.made
    model.predict(X)
    assert machine.made


@pytest.mark.parametrize(
    ("device", "what"), [("cpu", "stages"), ("cuda", "launches"), ("cuda:7", "launches"), ("auto", "launches")]
)
def test_explain_shows_the_schedule_of_any_device(device: str, what: str) -> None:
    lines: list[str] = []
    plain_net("cpu").explain(schedule=True, device=device, print_fn=lines.append)
    assert f" {what}" in lines[0]


def test_explain_refuses_a_device_that_does_not_exist() -> None:
    for device in ("tpu", "cuda:x", "", 0):
        with pytest.raises(ConfigError, match="device is 'cpu', 'cuda'"):
            plain_net("cpu").explain(device=device)  # type: ignore[arg-type]
    machine.problem = "no driver"
    lines: list[str] = []
    plain_net("cpu").explain(schedule=True, device="cuda", print_fn=lines.append)
    with pytest.warns(DeviceWarning, match="no driver"):
        plain_net("cpu").explain(schedule=True, device="auto", print_fn=lines.append)
    heads = [line for line in lines if line.startswith("schedule")]
    assert ["launches" in head for head in heads] == [True, False]


def test_data_goes_to_the_device_once_in_a_fit() -> None:
    net("cuda").fit(X, Y, epochs=5, verbose=0, validation_split=0.3)
    assert machine.prepared == [49, 21]


def test_a_gpu_takes_more_rows_at_once() -> None:
    program = net("cpu").program("predict")
    assert inference.rows_at_once(program, 1 << 20) < inference.rows_at_once(program, 1 << 20, "cuda")


def test_checked_runs_use_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBDL_CHECK", "1")
    found = []
    for device in ("cpu", "cuda"):
        model = net(device)
        model.fit(X[:20], Y[:20], verbose=0)
        found.append(seen_of(model))
    assert found[0] == found[1]
    assert machine.made


def test_executors_have_what_the_protocol_asks_for() -> None:
    wanted = {name for name in vars(executors.Executor) if not name.startswith("_")}
    model = net("cuda")
    model.fit(X, Y, verbose=0)
    made = [one for key, one in job_of(model).programs.executors.items() if key.program.mode == "train"]
    assert made
    assert all(wanted <= set(dir(one)) for one in made)


# -- the command line ---------------------------------------------------------------------------------------


def run(*arguments: str, code: int = 0) -> Result:
    """Run a command in this process and expect an exit code."""
    result = CliRunner().invoke(app, list(arguments), prog_name="nbdl")
    assert result.exit_code == code, (result.output, result.exception)
    return result


TRAIN = ("train", "digits", "--epochs", "2", "--progress", "none", "-o")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_run_on_the_device(folder: Path) -> None:
    run(*TRAIN, "net.nbdl")
    first = (folder / "net.nbdl").read_bytes()
    evaluated, predicted = run("evaluate", "net.nbdl", "digits").stdout, run("predict", "net.nbdl", "digits").stdout
    assert not machine.made
    text = run(*TRAIN, "net.nbdl", "--device", "cuda:1", "--precision", "tf32").stdout
    assert "on cuda:1" in text
    assert set(machine.made) == {("cuda:1", "tf32")}
    assert (folder / "net.nbdl").read_bytes() == first
    machine.made.clear()
    assert run("evaluate", "net.nbdl", "digits", "--device", "cuda").stdout == evaluated
    assert run("predict", "net.nbdl", "digits", "--device", "auto", "--precision", "tf32").stdout == predicted
    assert set(machine.made) == {("cuda", "float32"), ("cuda", "tf32")}


def test_a_wrong_device_is_refused_before_anything_is_read() -> None:
    assert "Did you mean 'cuda'?" in run("train", "no-such-file.csv", "--device", "cudda", code=2).stderr
    machine.problem = "no driver; install one"
    error = run("train", "no-such-file.csv", "--device", "cuda", code=1).stderr
    assert error == "Error: device 'cuda' cannot be used: no driver; install one\n"


@pytest.mark.parametrize("filter", ["ignore", "error", "default"])
def test_auto_falls_back_with_one_line(folder: Path, filter: Any) -> None:
    machine.problem = "no driver; install one"
    with warnings.catch_warnings():
        warnings.simplefilter(filter)  # as PYTHONWARNINGS does
        result = run(*TRAIN, "net.nbdl", "--device", "auto")
    assert result.stderr == "Warning: device 'auto' is the CPU: no driver; install one\n"
    assert not machine.made


def test_auto_falls_back_for_a_layer_with_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(network: Any, setup: Any) -> None:
        raise ConfigError("no CUDA body")

    run(*TRAIN, "net.nbdl")
    monkeypatch.setattr(placing, "_check_bodies", refuse)
    result = run("evaluate", "net.nbdl", "digits", "--device", "auto")
    assert result.stderr == "Warning: device 'auto' is the CPU: no CUDA body\n"
    assert "no CUDA body" in run("evaluate", "net.nbdl", "digits", "--device", "cuda", code=2).stderr


def test_tf32_on_the_cpu_is_said_in_one_line(folder: Path) -> None:
    said = "Warning: --precision tf32 has no effect on the CPU, which computes in float32\n"
    assert run(*TRAIN, "net.nbdl", "--precision", "tf32").stderr == said
    assert run("predict", "net.nbdl", "digits", "--precision", "tf32").stderr == said
    machine.cublas = ""
    error = run(*TRAIN, "net.nbdl", "--device", "cuda", "--precision", "tf32", code=2).stderr
    assert error == "Error: --precision tf32 needs cuBLAS, and none was found: pip install 'nbdl[cublas]'\n"


STAND_INS = {
    "simulator": "Numba's simulator (NUMBA_ENABLE_CUDASIM)",
    "plain": "plain Python (NUMBA_DISABLE_JIT)",
}


@pytest.mark.parametrize("which", STAND_INS)
@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_what_stands_in_for_a_gpu_is_said(
    which: str, device: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if which == "simulator":
        monkeypatch.setattr(availability, "simulated", lambda: True)
    else:
        monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
        machine.problem = "nothing of CUDA is installed"
    found = run(*TRAIN, "net.nbdl", "--dry-run", "--device", device)
    if (which, device) == ("plain", "auto"):
        assert found.stderr == ""
        return
    assert found.stderr == f"device cuda is {STAND_INS[which]}: for tests, some thousand times slower\n"
    assert f"on cuda: {STAND_INS[which]}" in found.stdout
    monkeypatch.setattr("nbdl.cli.doctor.SECTIONS", {"CUDA": doctor.cuda, "plugins": doctor.plugins})
    usable = json.loads(run("doctor", "--json").stdout)["CUDA"]["usable"]
    assert usable == f"as {STAND_INS[which]}: for tests, some thousand times slower"


def test_explain_on_the_command_line(folder: Path) -> None:
    run(*TRAIN, "net.nbdl")
    for device, what in {"cpu": "stages", "cuda": "launches", "cuda:3": "launches", "auto": "launches"}.items():
        assert f" {what}" in run("explain", "net.nbdl", "--schedule", "--device", device).stdout.split("\n")[0]
    assert " stages" in run("explain", "net.nbdl", "--schedule").stdout.split("\n")[0]
    assert "Did you mean 'cuda'?" in run("explain", "net.nbdl", "--schedule", "--device", "gpu", code=2).stderr
    assert "add --schedule" in run("explain", "net.nbdl", "--device", "cuda", code=2).stderr


def test_doctor_says_what_there_is_of_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    machine.problem = "no driver; install one"
    found = json.loads(run("doctor", "--json").stdout)["CUDA"]
    assert found["usable"] == "no: no driver; install one"
    assert set(found) == {"usable", "numba-cuda", "cuda-core", "driver", "cuBLAS", "PTX cache"}
    monkeypatch.setattr("nbdl.cli.doctor.driver", lambda: 1 / 0)
    assert "unknown: ZeroDivisionError" in run("doctor").stdout


def test_warmup_compiles_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = list(warmup.all_trials())
    monkeypatch.setattr(warmup, "all_trials", lambda: iter(trials[:1]))
    assert "ptx" in run("warmup", "--device", "cuda").stdout
    assert ("cuda", "float32") in machine.made


# -- the script that compiles all kernels -------------------------------------------------------------------


@pytest.mark.parametrize("what", [[], ["--check"], ["--planted"], ["--compiler", "mlir"]])
def test_the_script_of_kernels_says_in_a_line_what_is_missing(what: list[str]) -> None:
    done = script(*what)
    package, install = ("numba-cuda-mlir",) * 2 if "mlir" in what else ("numba-cuda", "nbdl[ptx]")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{package} is not installed: pip install '{install}'\n"


def test_the_script_of_kernels_has_help_without_anything_installed() -> None:
    done = script("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--planted" in done.stdout


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it by Python without any package."""
    command = [sys.executable, "-S", str(Path(__file__).parents[1] / "scripts" / "ptx.py"), *arguments]
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
