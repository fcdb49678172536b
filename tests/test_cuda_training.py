"""Whole fits on the simulated GPU: the CPU's figures within roundings, the same bits always, and what goes wrong."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbdl.engine.cuda import availability

if not availability.simulated():
    pytest.skip("kernels run in the simulator: set NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from test_divergence import Fragile

import nbdl
from nbdl.engine.cuda import executor, feed, fusion, mirror, open_runtime
from nbdl.errors import DataError, DeviceError, DivergenceError, NbdlError
from nbdl.layers import Dense, Dropout
from nbdl.training import steps as training

ROWS, BATCH = 7, 2  # an epoch is a graph of the simulator's, three steps, and a short last batch
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 3)).astype(np.float32)
Y = np.eye(2, dtype=np.float32)[RNG.integers(0, 2, ROWS)]
Change = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def one_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices as long as on a device that is fast."""
    monkeypatch.setattr(training, "SLICE_SECONDS", 1e9)


def deep(device: str, optimizer: Any) -> nbdl.Sequential:
    model = nbdl.Sequential(
        [Dense(4, "tanh", input_dim=3, kernel_regularizer="l2"), Dropout(0.25), Dense(2, "softmax")], seed=7
    )
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], device=device)
    return model


def net(device: str = "cuda", optimizer: Any = "rmsprop") -> nbdl.Sequential:
    """Little to compute: random numbers, a product, slots."""
    model = nbdl.Sequential([Dropout(0.25, input_shape=(3,)), Dense(2)], seed=3)
    model.compile(optimizer, "mse", device=device)
    return model


def fitted(model: nbdl.Sequential, x: Any = X, y: Any = Y, **options: Any) -> nbdl.Sequential:
    model.fit(x, y, **{"batch_size": BATCH, "epochs": 2, "verbose": 0, **options})
    return model


def bits(model: nbdl.Sequential) -> bytes:
    """Weights and the optimizer's slots."""
    state = model.training_state
    return b"".join(weight.tobytes() for weight in model.get_weights()) + (
        b"" if state is None else state.slots.tobytes()
    )


def weights(model: nbdl.Sequential) -> Any:
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


# -- the CPU's figures ------------------------------------------------------------------------------------


def adam() -> Any:
    return nbdl.optimizers.Adam(0.01)


def rmsprop() -> Any:
    return nbdl.optimizers.RMSprop(0.01, momentum=0.5)


def sgd() -> Any:
    return nbdl.optimizers.SGD(0.1)


def nesterov() -> Any:
    return nbdl.optimizers.SGD(0.1, momentum=0.9, nesterov=True)


@pytest.mark.parametrize(("build", "optimizer"), [(deep, adam), (net, rmsprop), (net, sgd), (net, nesterov)])
def test_a_fit_gives_what_the_cpu_gives(build: Any, optimizer: Any) -> None:
    found, wanted = (fitted(build(device, optimizer())) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(weights(found), weights(wanted), rtol=2e-5, atol=2e-6)
    assert found.history is not None
    assert wanted.history is not None
    for figure, values in wanted.history.history.items():
        np.testing.assert_allclose(found.history.history[figure], values, rtol=2e-5)
    assert found.training_state.iterations == wanted.training_state.iterations == 8


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_data_of_any_type(dtype: Any) -> None:
    """Bytes stay bytes on the device; all else becomes float32."""
    x = np.arange(ROWS * 3).reshape(ROWS, 3).astype(dtype) * dtype(3)
    labels = (np.arange(ROWS) % 2).astype(dtype)
    found = []
    for device in ("cuda", "cpu"):
        model = nbdl.Sequential([Dense(2, "softmax", input_dim=3)], seed=1)
        model.compile(nbdl.optimizers.SGD(1e-4), "sparse_categorical_crossentropy", device=device)
        fitted(model, x, labels, epochs=1)
        found.append([weights(model), model.predict(x), model.evaluate(x, labels)])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)


def test_predictions_and_figures_of_any_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [net("cuda"), net("cpu")]
    for rows in (1, 2, ROWS):
        gpu, cpu = ([model.predict(X[:rows]), model.evaluate(X[:rows], Y[:rows])] for model in models)
        np.testing.assert_allclose(gpu[0], cpu[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(gpu[1], cpu[1], rtol=1e-5)
    monkeypatch.setattr("nbdl.training.passes.rows_at_once", lambda *given: 3)
    np.testing.assert_allclose(models[0].predict(X), models[1].predict(X), rtol=1e-5, atol=1e-6)
    assert models[0].predict(X[:0]).shape == (0, 2)


# -- the same bits ----------------------------------------------------------------------------------------


def streamed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(feed, "RESIDENT_SHARE", -1.0)


def short_tables(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(executor, "TABLE_WORDS", 30)


def single_steps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(executor, "MOST_STEPS", 1)


def no_graphs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(executor, "DIRECT", 1 << 30)
    patch.setattr(executor.CudaExecutor, "_turns", lambda self, rows: [(1, int(count)) for count in rows])


def short_slices(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(training, "SLICE_SECONDS", 0.0)


def in_pieces(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(feed, "CHUNK_BYTES", 40)


@pytest.fixture(scope="module")
def reference() -> bytes:
    return bits(fitted(net()))


@pytest.mark.parametrize("change", [None, streamed, short_tables, single_steps, no_graphs, short_slices, in_pieces])
def test_the_way_does_not_show_in_the_bits(
    change: Change | None, reference: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    if change is not None:
        change(monkeypatch)
    assert bits(fitted(net())) == reference


def test_little_memory_streams_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many rows as a graph reads, twice, are on the device."""
    made: list[Any] = []
    ordinary = feed.Streamed.__init__
    monkeypatch.setattr(feed.Streamed, "__init__", lambda self, *given: made.append(self) or ordinary(self, *given))
    x, y, runtime, left = np.tile(X, (3, 1)), np.tile(Y, (3, 1)), open_runtime(), []
    for room in (400, None):  # all rows take 504 bytes, those of two graphs 288
        monkeypatch.setattr(runtime, "limit", None)
        model = fitted(net(), epochs=1)
        gc.collect()
        monkeypatch.setattr(runtime, "limit", room and runtime.allocated + room)
        left.append(bits(fitted(model, x, y, epochs=1)))
        assert len(made) == 1
    assert left[0] == left[1]


def test_resumed_fits_are_uninterrupted_ones(reference: bytes, tmp_path: Path) -> None:
    """Saved in between, on the device, and loaded on any."""
    model = fitted(net(), epochs=1)
    model.save(tmp_path / "net.nbdl")
    loaded = nbdl.load_model(tmp_path / "net.nbdl", device="cuda")
    assert loaded.device == "cuda"
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert bits(fitted(loaded, initial_epoch=1)) == reference
    on_cpu = nbdl.load_model(tmp_path / "net.nbdl")
    assert on_cpu.device == "cpu"
    np.testing.assert_allclose(weights(fitted(on_cpu, initial_epoch=1)), weights(loaded), rtol=2e-5, atol=2e-6)
    on_cpu.device = "cuda"
    np.testing.assert_allclose(on_cpu.predict(X), loaded.predict(X), rtol=1e-4, atol=1e-5)


def test_copies_go_on_alone(reference: bytes) -> None:
    model = fitted(net(), epochs=1)
    copied, pickled = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    assert (copied.device, copied.precision) == ("cuda", "float32")
    pickled.device = "cuda"
    before = bits(model)
    assert bits(fitted(copied, initial_epoch=1)) == reference
    assert bits(model) == before
    assert bits(fitted(pickled, initial_epoch=1)) == reference
    assert bits(fitted(model, initial_epoch=1)) == reference


class Between(nbdl.Callback):
    """Does something to the model after the first epoch."""

    def __init__(self, change: Callable[[Any], None]) -> None:
        self.change = change

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 0:
            self.change(self.model)


def halved_by_views(model: Any) -> None:
    for weight in model.weights:
        weight.value[...] *= np.float32(0.5)


def halved_by_set_weights(model: Any) -> None:
    model.set_weights([weight * np.float32(0.5) for weight in model.get_weights()])


@pytest.mark.parametrize("change", [halved_by_views, halved_by_set_weights])
def test_weights_that_are_changed_between_epochs_or_fits(change: Callable[[Any], None], tmp_path: Path) -> None:
    within = fitted(net(), callbacks=[Between(change)])
    model = fitted(net(), epochs=1)
    before = model.predict(X)
    model.save_weights(tmp_path / "weights.npz")
    change(model)
    assert not np.array_equal(model.predict(X), before)
    fitted(model, initial_epoch=1)
    assert bits(within) == bits(model)
    model.load_weights(tmp_path / "weights.npz")
    np.testing.assert_array_equal(model.predict(X), before)


def test_early_stopping_and_callbacks() -> None:
    found = []
    for device in ("cuda", "cpu"):
        seen: list[tuple[int, float]] = []
        stop = nbdl.callbacks.EarlyStopping(monitor="val_loss", patience=1, restore_best_weights=True)
        record = type("Record", (nbdl.Callback,), {
            "on_train_batch_end": lambda self, batch, logs=None, seen=seen: seen.append((batch, round(logs["loss"], 4)))
        })()  # fmt: skip
        model = net(device, nbdl.optimizers.SGD(0.9))
        fitted(model, epochs=6, validation_split=0.3, callbacks=[stop, record])
        assert model.history is not None
        found.append((seen, len(model.history.history["loss"]), weights(model)))
    assert found[0][:2] == found[1][:2]
    assert found[0][1] < 6
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=1e-4, atol=1e-5)


# -- several models, several threads --------------------------------------------------------------------------


def test_two_models_do_not_meet(reference: bytes) -> None:
    first, second = net(), net("cuda", nbdl.optimizers.SGD(0.1))
    fitted(first, epochs=1)
    fitted(second, epochs=1)
    fitted(first, initial_epoch=1)
    assert bits(first) == reference


def test_threads_predict_at_once() -> None:
    models = [net(), net("cuda", "adam")]
    models[1].set_weights([weight + 1 for weight in models[0].get_weights()])
    wanted = [model.predict(X) for model in models]
    wrong: list[Any] = []

    def predict(number: int) -> None:
        for rows in (ROWS, 2, ROWS):
            model = number % 2
            if not np.array_equal(models[model].predict(X[:rows]), wanted[model][:rows]):
                wrong.append(number)

    threads = [threading.Thread(target=predict, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# -- what goes wrong --------------------------------------------------------------------------------------


def fragile(device: str, limit: float, where: str = "forward") -> nbdl.Sequential:
    """Gives NaN in step `limit` + 2."""
    model = nbdl.Sequential([Dense(2, input_dim=3), Fragile(limit, where, name="fragile")], seed=5)
    model.compile("rmsprop", "mse", device=device)
    return model


class AfterEachStep(nbdl.Callback):
    def __init__(self) -> None:
        self.steps: list[bytes] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append(bits(self.model))


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_divergence_names_its_place_and_leaves_the_weights_from_before(where: str) -> None:
    """The step is the second of a graph: the graph's other steps change nothing either."""
    watch = AfterEachStep()
    with pytest.raises(DivergenceError):
        fitted(fragile("cuda", 4, where), callbacks=[watch])
    messages = []
    for device in ("cuda", "cpu"):
        model = fragile(device, 4, where)
        with pytest.raises(DivergenceError) as caught:
            fitted(model)
        error = caught.value
        assert (error.layer, error.epoch, error.step) == ("fragile", 2, 2)
        messages.append(str(error))
        if device == "cuda":
            assert bits(model) == watch.steps[4]
            assert model.training_state.iterations == 5
    assert messages[0] == messages[1]


def test_a_step_that_explodes_is_named() -> None:
    model = net("cuda", nbdl.optimizers.SGD(1e25))
    with pytest.raises(DivergenceError, match=r"diverged in epoch 1, step \d") as caught:
        fitted(model, 1e10 * X, 1e10 * Y)
    assert np.isfinite(weights(model)).all() or "holds weights" in str(caught.value)


def test_nan_in_the_data_is_refused_before_anything_runs() -> None:
    x = X.copy()
    x[3, 1] = math.nan
    model = net()
    before = bits(model)
    with pytest.raises(DataError, match="NaN in row 3"):
        fitted(model, x, Y)
    assert bits(model) == before


def test_checked_runs_name_the_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBDL_CHECK", "1")
    model = fragile("cuda", 1)
    with pytest.raises(DivergenceError, match=r"epoch 1, step 3.*'fragile'.*NaN"):
        fitted(model)
    healthy = net()
    fitted(healthy, epochs=1)
    monkeypatch.delenv("NBDL_CHECK")
    assert bits(healthy) == bits(fitted(net(), epochs=1))
    monkeypatch.setenv("NBDL_CHECK", "1")
    healthy.weights[0].value[0, 0] = math.inf
    with pytest.raises(NbdlError, match=r"NBDL_CHECK: dense.*infinity"):
        healthy.predict(np.abs(X) + 1)


def test_too_little_memory_is_an_error_that_leaves_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model, runtime = fitted(net(), epochs=1), open_runtime()
    before = bits(model)
    gc.collect()
    monkeypatch.setattr(runtime, "limit", runtime.allocated + 50)
    with pytest.raises(DeviceError, match=r"Not enough memory.*asked for.*are free"):
        fitted(model, batch_size=3)
    with pytest.raises(DeviceError, match="Not enough memory"):
        model.evaluate(X, Y)
    assert bits(model) == before
    monkeypatch.setattr(runtime, "limit", None)
    fitted(model, initial_epoch=1)
    assert bits(model) == bits(fitted(net()))


# -- planted defects ------------------------------------------------------------------------------------------


def no_guards(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fusion.Group, "guarded", False)


def not_pushed(patch: pytest.MonkeyPatch) -> None:
    ordinary = mirror.Mirror.push
    patch.setattr(mirror.Mirror, "push", lambda self: None if self.known else ordinary(self))


def not_pulled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(mirror.Mirror, "pull", lambda self: None)


def table_of_the_first_part(patch: pytest.MonkeyPatch) -> None:
    ordinary = executor.CudaExecutor._run_part

    def run_part(self: Any, batches: Any, part: slice) -> Any:
        return ordinary(self, batches, slice(0, part.stop - part.start))

    patch.setattr(executor.CudaExecutor, "_run_part", run_part)
    short_tables(patch)


def rings_swapped(patch: pytest.MonkeyPatch) -> None:
    streamed(patch)
    ordinary = feed.Streamed.provide
    patch.setattr(feed.Streamed, "provide", lambda self, turn, indices: ordinary(self, turn + 1, indices))


def wrong_seed(patch: pytest.MonkeyPatch) -> None:
    ordinary = executor.CudaExecutor._fill_tables

    def fill_tables(self: Any, steps: Any, scalars: Any, seed: int, *rest: Any) -> None:
        ordinary(self, steps, scalars, seed + 1, *rest)

    patch.setattr(executor.CudaExecutor, "_fill_tables", fill_tables)


@pytest.mark.parametrize("defect", [not_pulled, table_of_the_first_part, rings_swapped, wrong_seed])
def test_defects_show_in_the_bits(defect: Change, reference: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    defect(monkeypatch)
    with suppress(NbdlError):
        assert bits(fitted(net())) != reference


def test_a_missing_guard_shows_in_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    no_guards(monkeypatch)
    with pytest.raises((AssertionError, KeyError)):
        test_divergence_names_its_place_and_leaves_the_weights_from_before("forward")


def test_a_missing_push_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    not_pushed(monkeypatch)
    with pytest.raises(AssertionError):
        test_weights_that_are_changed_between_epochs_or_fits(halved_by_views, tmp_path)
