"""Whole runs on the GPU: against the CPU, from one device to the other, and when something goes wrong."""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from gpu import agreement, library, nets
from gpu.context import Context

Case = Callable[["Bench"], str]
TF32_WEIGHTS = 2e-2  # difference of the weights, relative to how far they moved: some 3e-3 were computed for TF32
CHILD_SECONDS = 60.0


class NotRun(Exception):
    """What a case needs is not there."""


@dataclass(frozen=True)
class Bench:
    """What the cases run with."""

    device: str
    sizes: nets.Sizes
    epochs: int

    @property
    def runtime(self) -> Any:
        """The runtime of the device."""
        from nbdl.engine.cuda import open_runtime

        return open_runtime(0)


def training(context: Context) -> None:
    """Every case; one that fails leaves the others alone."""
    bench = Bench(context.device, nets.TINY if context.options.tiny else nets.FULL, 2)
    cases: dict[str, str] = {}
    for title, case in CASES.items():
        context.keep(at=title, cases=cases)
        if context.left() < 1.0:
            context.fail(f"no time was left for: {title}")
            break
        try:
            cases[title] = case(bench)
        except NotRun as error:
            cases[title] = f"not run: {error}"
            context.leave_unchecked(f"{title}: {error}")
        except Exception as error:
            traceback.print_exc()
            cases[title] = f"FAILED: {type(error).__name__}: {error}"
            context.fail(f"{title}: {type(error).__name__}: {error}")
    context.keep(at="the end", cases=cases)


def fit(model: Any, x: Any, y: Any, bench: Bench, **options: Any) -> dict[str, list[float]]:
    """Train quietly and return the history."""
    options = {"batch_size": bench.sizes.batch, "epochs": bench.epochs, "verbose": 0, **options}
    history: dict[str, list[float]] = model.fit(x, y, **options).history
    return history


def compared(make: Any, bench: Bench, x: Any, y: Any, **options: Any) -> str:
    """Train on both devices and compare."""
    cpu, there = make(bench.sizes, "cpu"), make(bench.sizes, bench.device)
    start = cpu.store.data.copy()
    figures = agreement.same_figures(fit(cpu, x, y, bench, **options), fit(there, x, y, bench, **options))
    weights = agreement.same_weights(start, cpu.store.data, there.store.data)
    return f"figures {figures:.1e}, weights {weights:.1e} apart"


# -- against the CPU -----------------------------------------------------------------------------------------


def whole_batches(bench: Bench) -> str:
    rows = bench.sizes.rows - bench.sizes.rows % bench.sizes.batch
    return compared(nets.lecture, bench, *nets.data(bench.sizes, rows))


def short_last_batch(bench: Bench) -> str:
    return compared(nets.lecture, bench, *nets.data(bench.sizes))


def in_order(bench: Bench) -> str:
    return compared(nets.lecture, bench, *nets.data(bench.sizes), shuffle=False)


def one_batch(bench: Bench) -> str:
    return compared(nets.lecture, bench, *nets.data(bench.sizes), batch_size=bench.sizes.rows)


def with_dropout(bench: Bench) -> str:
    return compared(nets.dropout, bench, *nets.data(bench.sizes))


def bytes_and_weights_of_rows(bench: Bench) -> str:
    x, y = nets.data(bench.sizes)
    weight = np.linspace(0.5, 1.5, len(x), dtype=np.float32)
    return compared(nets.lecture, bench, (x * 255).astype(np.uint8) // 64, y, sample_weight=weight)


def validation(bench: Bench) -> str:
    given = nets.data(bench.sizes, bench.sizes.rows // 2, seed=1)
    return compared(nets.lecture, bench, *nets.data(bench.sizes), validation_data=given)


def evaluate_and_predict(bench: Bench) -> str:
    model = nets.lecture(bench.sizes, "cpu")
    x, y = nets.data(bench.sizes)
    fit(model, x, y, bench)
    wanted, figures = model.predict(x), model.evaluate(x, y, return_dict=True)
    model.device = bench.device
    found = model.predict(x)
    assert found.shape == wanted.shape
    assert agreement.distance(found, wanted) < 1e-5, "predictions differ"
    again = model.evaluate(x, y, return_dict=True)
    agreement.same_figures({name: [value] for name, value in figures.items()}, {n: [v] for n, v in again.items()})
    return f"predictions {agreement.distance(found, wanted):.1e} apart"


# -- cuBLAS, which takes over from a size on that these nets do not have ---------------------------------------


def by_library(bench: Bench, precision: str = "float32") -> Any:
    """A model that was trained with every product by cuBLAS, in whole graphs.

    Raises:
        NotRun: there is no cuBLAS.
    """
    bench = of_many_steps(bench)
    seen = library.Seen()
    with library.products_by(bench.runtime, True):
        model = nets.lecture(bench.sizes, bench.device, precision=precision)
        fit(model, *nets.data(bench.sizes), bench, callbacks=[seen])
    seen.check(True)
    return model


def of_many_steps(bench: Bench) -> Bench:
    """With several graphs of steps an epoch, if there is cuBLAS."""
    if not library.there(bench.runtime):
        raise NotRun("cuBLAS was not found")
    return replace(bench, sizes=nets.of_many_steps(bench.sizes))


def beside_cpu(found: Any, bench: Bench, figures: float, weights: float) -> str:
    """Compare with the CPU, trained likewise, within what is allowed."""
    bench = of_many_steps(bench)
    cpu = nets.lecture(bench.sizes, "cpu")
    start = cpu.store.data.copy()
    wanted = fit(cpu, *nets.data(bench.sizes), bench)
    apart = agreement.same_figures(wanted, found.history.history, figures)
    moved = agreement.same_weights(start, cpu.store.data, found.store.data, weights)
    return f"figures {apart:.1e}, weights {moved:.1e} apart"


def cublas(bench: Bench) -> str:
    return beside_cpu(by_library(bench), bench, agreement.FIGURES, agreement.WEIGHTS)


def tf32(bench: Bench) -> str:
    """Nearly what the CPU gives, and not what float32 gives; the simulator knows no TF32."""
    found = by_library(bench, "tf32")
    if not bench.runtime.simulated:
        same = found.store.data.tobytes() == by_library(bench).store.data.tobytes()
        assert not same, "the same bits as in float32: its products are not TF32"
    return beside_cpu(found, bench, TF32_WEIGHTS, TF32_WEIGHTS)


def streaming_to_cublas(bench: Bench) -> str:
    bench, seen = of_many_steps(bench), library.Seen()
    with library.products_by(bench.runtime, True):
        said = streaming(bench, seen)
    seen.check(True)
    return said


# -- data, stopping, files -----------------------------------------------------------------------------------


def streaming(bench: Bench, *watching: Any) -> str:
    """Data that do not stay on the device give the bits of data that do."""
    from nbdl.engine.cuda import feed

    x, y = nets.data(bench.sizes)
    resident, streamed = nets.lecture(bench.sizes, bench.device), nets.lecture(bench.sizes, bench.device)
    wanted = fit(resident, x, y, bench)
    streams = mock.patch.object(feed, "Streamed", wraps=feed.Streamed)
    with mock.patch.object(feed, "RESIDENT_SHARE", -1.0), streams as used:
        found = fit(streamed, x, y, bench, callbacks=list(watching))
    assert used.called, "the data were put on the device all the same"
    assert found == wanted, "other figures than with the data on the device"
    assert streamed.store.data.tobytes() == resident.store.data.tobytes(), "other bits than with the data on the device"
    return "same bits as with the data on the device"


def early_stopping(bench: Bench) -> str:
    """Stops, and gives the best epoch's weights back."""
    from nbdl.callbacks import EarlyStopping

    x, y = nets.data(bench.sizes)
    stopped, short = nets.lecture(bench.sizes, bench.device), nets.lecture(bench.sizes, bench.device)
    never = EarlyStopping(monitor="loss", min_delta=1e9, patience=2, restore_best_weights=True)
    epochs = len(fit(stopped, x, y, bench, epochs=20, callbacks=[never])["loss"])
    fit(short, x, y, bench, epochs=1)
    assert epochs == 3, f"it stopped after {epochs} epochs rather than 3"
    assert stopped.store.data.tobytes() == short.store.data.tobytes(), "not the weights of the best epoch"
    return "the weights of epoch 1 after 3"


def callbacks(bench: Bench) -> str:
    """A callback's look at the weights shows the epoch's, and what it sets is what the next epoch starts from."""
    from nbdl import Callback

    class Halve(Callback):
        seen: list[float] = []

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            values = self.model.get_weights()
            self.seen.append(float(np.abs(values[0]).sum()))
            self.model.set_weights([value * np.float32(0.5) for value in values])

    x, y = nets.data(bench.sizes)
    seen = []
    for device in ("cpu", bench.device):
        Halve.seen = []
        fit(nets.lecture(bench.sizes, device), x, y, bench, epochs=3, callbacks=[Halve()])
        seen.append(list(Halve.seen))
    assert len(set(seen[1])) == 3, "the callback saw the same weights in each epoch"
    assert np.allclose(seen[0], seen[1], rtol=1e-3), f"the callback saw {seen[1]}, on the CPU {seen[0]}"
    return "as on the CPU"


def from_device_to_device(bench: Bench) -> str:
    """Save on one device, go on on another."""
    from nbdl import load_model

    x, y = nets.data(bench.sizes)
    found = []
    whole = nets.lecture(bench.sizes, "cpu")
    start = whole.store.data.copy()
    fit(whole, x, y, bench, epochs=4)
    for first, second in (("cpu", bench.device), (bench.device, "cpu"), (bench.device, bench.device)):
        with tempfile.TemporaryDirectory() as folder:
            model = nets.lecture(bench.sizes, first)
            fit(model, x, y, bench, epochs=2)
            model.save(Path(folder) / "model.nbdl")
            again = load_model(Path(folder) / "model.nbdl", device=second)
        fit(again, x, y, bench, epochs=4, initial_epoch=2)
        found.append(again.store.data)
    there = nets.lecture(bench.sizes, bench.device)
    fit(there, x, y, bench, epochs=4)
    assert found[2].tobytes() == there.store.data.tobytes(), "stopping and going on changes the bits"
    apart = max(agreement.same_weights(start, whole.store.data, one) for one in found)
    return f"weights {apart:.1e} apart"


# -- when something goes wrong -------------------------------------------------------------------------------


def raised(kind: type[Exception], function: Callable[[], Any]) -> Any:
    """The error that a call must end in."""
    try:
        function()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def nan_stops(bench: Bench) -> str:
    """Overflow stops training before the update, at the same step and layer as on the CPU."""
    from nbdl.errors import DivergenceError

    x, y = nets.data(bench.sizes)
    told = []
    for device in ("cpu", bench.device):
        model = nets.lecture(bench.sizes, device, loss="mse")
        weights = model.get_weights()
        weights[-2][:] = 3e38  # its products overflow
        model.set_weights(weights)
        before = model.store.data.copy()
        error = raised(DivergenceError, functools.partial(fit, model, x, y, bench))
        told.append((error.epoch, error.step, error.layer))
        assert error.layer, f"no layer is named: {error}"
        assert model.store.data.tobytes() == before.tobytes(), f"{device}: the weights were changed"
    assert told[0] == told[1], f"epoch, step and layer {told[1]}, on the CPU {told[0]}"
    return f"at epoch {told[0][0]}, step {told[0][1]}, layer {told[0][2]}"


def spoiled_weights(bench: Bench) -> str:
    """An update that overflows is found at the epoch's end."""
    from nbdl.errors import DivergenceError

    x, y = nets.data(bench.sizes)
    model = nets.lecture(bench.sizes, bench.device, optimizer="sgd")
    model.optimizer.learning_rate = 3e38
    error = raised(DivergenceError, lambda: fit(model, x, y, bench, epochs=3))
    return f"epoch {error.epoch}, step {error.step}"


def out_of_memory(bench: Bench) -> str:
    """An error that says how much is free; the weights stay, and with memory again the run works."""
    from nbdl.errors import DeviceError

    runtime, x, y = bench.runtime, *nets.data(bench.sizes)
    gc.collect()  # or what earlier cases have left is freed meanwhile
    if not runtime.simulated:
        raised(DeviceError, lambda: runtime.allocate(2 * runtime.free_memory()))
    model = nets.lecture(bench.sizes, bench.device)
    before = model.store.data.copy()
    with nearly_full(runtime):
        told = str(raised(DeviceError, lambda: fit(model, x, y, bench)))
    assert model.store.data.tobytes() == before.tobytes(), "the weights were changed"
    fit(model, x, y, bench, epochs=1)
    return told.splitlines()[0][:160]


@contextmanager
def nearly_full(runtime: Any) -> Iterator[None]:
    """Fill the device, but for less than a model takes."""
    if runtime.simulated:
        runtime.limit = runtime.allocated + 64
        try:
            yield
        finally:
            runtime.limit = None
        return
    from nbdl.errors import DeviceError

    blocks, size = [], int(runtime.free_memory())
    while size >= 1 << 18:
        try:
            blocks.append(runtime.allocate(size))
        except DeviceError:
            size //= 2
    try:
        yield
    finally:
        blocks.clear()
        runtime.synchronize()


def lost_device(bench: Bench) -> str:
    """In a process of its own, which cannot use the device afterwards."""
    command = [sys.executable, "-m", "gpu.lost"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_SECONDS, check=False)
    print(done.stdout, done.stderr)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or ["it said nothing"]
    assert done.returncode == 0, lines[-1]
    return f"the host keeps the last finished epoch: {lines[-1][:160]}"


CASES: dict[str, Case] = {
    "lecture net, short last batch": short_last_batch,
    "dropout net": with_dropout,
    "every product by cuBLAS": cublas,
    "TF32, when asked for": tf32,
    "data that do not stay on the device": streaming,
    "NaN stops the run": nan_stops,
    "lost device": lost_device,
    "out of memory": out_of_memory,
    "saved on one device, loaded on another": from_device_to_device,
    "validation and metrics": validation,
    "evaluate and predict": evaluate_and_predict,
    "early stopping, best weights restored": early_stopping,
    "a callback that changes weights": callbacks,
    "data that do not stay on the device, cuBLAS": streaming_to_cublas,
    "bytes as inputs, weights of rows": bytes_and_weights_of_rows,
    "weights that overflow": spoiled_weights,
    "lecture net, whole batches": whole_batches,
    "lecture net, rows in order": in_order,
    "lecture net, all rows in one batch": one_batch,
}
