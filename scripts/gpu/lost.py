"""A fit that loses its device, in a process of its own, which has no other afterwards: python -m gpu.lost"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from gpu import nets
from nbdl import Callback, load_model
from nbdl.engine.cuda import executor, open_runtime
from nbdl.engine.cuda.kernel_text import KernelText, Pointer
from nbdl.errors import DeviceLostError

EPOCHS, LOST_IN = 5, 2  # the epoch, from 0
FAR = 1 << 19  # its square as floats is a terabyte: nothing lies there
TEXT = """
def run(x, n):
    x[int64(n) * int64(n)] = float32(1.0)
"""


def lose(runtime: Any) -> None:
    """Write where no memory is; the simulator is only told that the device is lost."""
    if runtime.simulated:
        runtime.lost = "the simulated device is lost"
        return
    kernel = runtime.kernel(KernelText("write out of bounds", TEXT, ("float32*", "int32"), 1))
    block = runtime.allocate(4)
    runtime.launch(kernel, (1,), (1,), (Pointer(block, 0, 1), np.int32(FAR)))


class Kept(Callback):
    """What the host had after each epoch that was finished."""

    epochs, values = 0, b""
    begun = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Which epoch is under way."""
        self.begun = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Weights and slots."""
        self.epochs, self.values = epoch + 1, on_host(self.model)


def on_host(model: Any) -> bytes:
    """The weights and the optimizer's slots that host memory has."""
    return bytes(model.store.data.tobytes() + model.training_state.slots.tobytes())


def main() -> None:
    """Train, lose the device after an epoch's first steps, and look at what the host has."""
    runtime = open_runtime(0)
    sizes = nets.TINY if runtime.simulated else nets.FULL
    model, kept, whole = nets.lecture(sizes, "cuda"), Kept(), executor.CudaExecutor.run

    def run(self: Any, *arguments: Any) -> Any:
        report = whole(self, *arguments)  # the device now has newer weights than the host
        if kept.begun == LOST_IN and not runtime.lost:
            lose(runtime)
        return report

    x, y = nets.data(sizes)
    said = ""
    with mock.patch.object(executor.CudaExecutor, "run", run):
        try:
            model.fit(x, y, batch_size=sizes.batch, epochs=EPOCHS, verbose=0, callbacks=[kept])
        except DeviceLostError as error:
            said = str(error)
    assert said, "no DeviceLostError was raised"
    assert kept.epochs == LOST_IN, f"{kept.epochs} epochs were finished rather than {LOST_IN}"
    assert on_host(model) == kept.values, "the host has not what it had after the last finished epoch"
    try:
        runtime.synchronize()
    except DeviceLostError:
        pass
    else:
        raise AssertionError("the runtime went on with a device that is lost")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.nbdl")
        again = load_model(Path(folder) / "model.nbdl", device="cpu")
    assert on_host(again) == kept.values, "a saved model has not what the host had"
    print(said.splitlines()[0])


if __name__ == "__main__":
    main()
