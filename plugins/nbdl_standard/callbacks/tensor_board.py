"""TensorBoard: the figures as TensorBoard reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from nbdl import Callback, hookimpl
from nbdl.errors import ConfigError
from nbdl.storage import as_path, check_folder
from nbdl.units import BATCH_HOOKS
from nbdl_standard.callbacks.learning_rate import rate_of


class TensorBoard(Callback):
    """Writes event files for TensorBoard: figures of epochs, of training and validation side by side; weights.

    Formula: tag epoch_NAME for each figure, val_NAME as epoch_NAME of the run "validation", in steps of epochs from 0.

    The files are written by the package tensorboardX: `pip install 'nbdl[tensorboard]'`, then
    `tensorboard --logdir logs`.

    Args:
        log_dir: a folder; the runs are its folders "train" and "validation". Default "logs".
        histogram_freq: epochs between histograms of all weights; 0 for none. Default 0.
        update_freq: "epoch"; or "batch", or a number of steps, for the tags batch_NAME too, which makes a slice of each
            step. Default "epoch".

    Raises:
        ConfigError: an argument is out of range, log_dir cannot be written to, or tensorboardX is missing.

    Source: Keras 3, callbacks/tensorboard.py.

    >>> TensorBoard().log_dir
    'logs'
    """

    adds = ()
    ignored: ClassVar = {
        "write_graph": (True, False), "write_images": (False,), "write_steps_per_second": (False,),
        "profile_batch": (0,), "embeddings_freq": (0,), "embeddings_metadata": (None,),
    }  # fmt: skip
    instead: ClassVar = dict.fromkeys(("embeddings_freq", "embeddings_metadata"), "not there: see histogram_freq=...")
    positions = (
        "log_dir", "histogram_freq", "write_graph", "write_images", "write_steps_per_second", "update_freq",
        "profile_batch", "embeddings_freq", "embeddings_metadata",
    )  # fmt: skip

    def __init__(self, log_dir: Any = "logs", histogram_freq: int = 0, update_freq: int | str = "epoch") -> None:
        if update_freq not in ("epoch", "batch") and (not isinstance(update_freq, int) or update_freq < 1):
            raise ConfigError(f"TensorBoard: update_freq is 'epoch', 'batch' or a number of steps, got {update_freq!r}")
        if histogram_freq < 0:
            raise ConfigError(f"TensorBoard: histogram_freq is a number of epochs, got {histogram_freq!r}")
        self.log_dir = str(as_path(log_dir, "TensorBoard: log_dir"))
        self.histogram_freq, self.update_freq = int(histogram_freq), update_freq
        self._writers: dict[str, Any] = {}

    def wants_batches(self) -> bool:
        return self.update_freq != "epoch" or self._overrides(BATCH_HOOKS, TensorBoard)

    def on_train_begin(self, logs: Any = None) -> None:
        check_folder(Path(self.log_dir) / "train")
        self._writer("train")  # what is missing is said now, not after an epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        state, every = self.model.training_state, 1 if self.update_freq == "batch" else self.update_freq
        if state is None or not isinstance(every, int) or state.iterations % every:
            return
        for name, value in single(logs or {}):
            self._writer("train").add_scalar(f"batch_{name}", value, state.iterations)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        figures = {"learning_rate": rate_of(self), **(logs or {})}
        for name, value in single(figures):
            run = "validation" if name.startswith("val_") else "train"
            self._writer(run).add_scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for weight in self.model.weights:
                self._writer("train").add_histogram(f"{weight.name}/histogram", weight.value, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: Any = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, run: str) -> Any:
        if run not in self._writers:
            try:
                from tensorboardX import SummaryWriter
            except ImportError:
                raise ConfigError(
                    "TensorBoard: the package tensorboardX, which writes event files, is missing: "
                    "pip install 'nbdl[tensorboard]'"
                ) from None
            self._writers[run] = SummaryWriter(str(Path(self.log_dir) / run))
        return self._writers[run]


def single(figures: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The figures one by one: those of an array under its name and their number."""
    for name, value in figures.items():
        if hasattr(value, "tolist") and value.ndim:
            yield from ((f"{name}/{number}", one) for number, one in enumerate(value.reshape(-1).tolist()))
        else:
            yield name, value


@hookimpl
def register_callbacks(register: Any) -> None:
    register("TensorBoard", TensorBoard)
