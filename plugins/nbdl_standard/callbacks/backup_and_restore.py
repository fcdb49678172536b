"""BackupAndRestore: a training that is stopped goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbdl import Callback, hookimpl
from nbdl.errors import ConfigError, FileFormatError
from nbdl.saving import why_not_resumable

PREFIX = "epoch-"


class BackupAndRestore(Callback):
    """Saves the model after every epoch; the same `fit` in a new process goes on after the last whole one.

    Formula: weights, optimizer and counters of random numbers are those of the backup, so the result has the bits of a
    training that never stopped.

    What other callbacks have seen so far is not part of it: EarlyStopping counts anew.

    Args:
        backup_dir: a folder of its own, made if need be.
        save_freq: "epoch". (Keras also takes a number of steps, and then begins the epoch anew.)
        delete_checkpoint: remove the backup once training has come to its end. Default True.

    Raises:
        ConfigError: an argument is out of range, or the backup is of another model.

    Source: Keras 3, callbacks/backup_and_restore.py.

    >>> BackupAndRestore("backup").delete_checkpoint
    True
    """

    def __init__(self, backup_dir: Any, save_freq: str = "epoch", delete_checkpoint: bool = True) -> None:
        if not str(backup_dir):
            raise ConfigError("BackupAndRestore: backup_dir is the name of a folder, got ''")
        if save_freq != "epoch":
            raise ConfigError(f"BackupAndRestore: save_freq is 'epoch', got {save_freq!r}")
        self.backup_dir, self.save_freq, self.delete_checkpoint = str(backup_dir), save_freq, bool(delete_checkpoint)

    def on_train_begin(self, logs: Any = None) -> None:
        self._ended = False
        problem = why_not_resumable(self.model)
        if problem:
            raise ConfigError(f"BackupAndRestore: there is nothing that training could go on from: {problem}")
        found = self._backups()
        if not found:
            return
        done, path = found[-1]
        self._restore(path)
        self.params["initial_epoch"] = max(self.params["initial_epoch"], done)
        self._ended = done >= self.params["epochs"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        Path(self.backup_dir).mkdir(parents=True, exist_ok=True)
        done = epoch + 1
        self.model.save(Path(self.backup_dir) / f"{PREFIX}{done:06d}.nbdl")
        self._remove(self._backups()[:-1])
        self._ended = done >= self.params["epochs"]

    def on_train_end(self, logs: Any = None) -> None:
        if self.delete_checkpoint and (self._ended or self.model.stop_training):
            self._remove(self._backups())

    def _backups(self) -> list[tuple[int, Path]]:
        """Epochs done and file, the latest last."""
        files = Path(self.backup_dir).glob(f"{PREFIX}*.nbdl")
        return sorted((int(path.stem.removeprefix(PREFIX)), path) for path in files)

    def _remove(self, backups: list[tuple[int, Path]]) -> None:
        for _, path in backups:
            path.unlink(missing_ok=True)

    def _restore(self, path: Path) -> None:
        """Bring the model to where the backup's was, in place: the run that has begun knows the memory."""
        from nbdl import load_model

        model = self.model
        try:
            saved = load_model(path)
        except FileFormatError as error:
            raise ConfigError(f"BackupAndRestore: {error}; remove the file to begin anew") from None
        state, kept = model.training_state, saved.training_state
        assert state is not None
        same = saved.get_config()["layers"] == model.get_config()["layers"]
        if not same or kept is None or kept.slot_names != state.slot_names:
            raise ConfigError(
                f"BackupAndRestore: {path} is a backup of another model or optimizer; give another backup_dir, or "
                "remove it"
            )
        model.set_weights(saved.get_weights())
        state.slots[:] = kept.slots
        state.iterations, state.epochs, model.seed = kept.iterations, kept.epochs, saved.seed
        if not callable(model.optimizer.learning_rate):
            model.optimizer.learning_rate = saved.optimizer.learning_rate


@hookimpl
def register_callbacks(register: Any) -> None:
    register("BackupAndRestore", BackupAndRestore, examples=({"backup_dir": "backup"},))
