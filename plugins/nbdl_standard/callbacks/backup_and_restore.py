"""BackupAndRestore: a training that is stopped goes on where it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from nbdl import Callback, hookimpl
from nbdl.errors import ConfigError, FileFormatError
from nbdl.storage import as_path, check_file, check_folder, schema, sweep, write_own

PREFIX = "epoch-"
NAME = re.compile(rf"{PREFIX}(\d{{6,}})\.nbdl")
NOTE, NOTE_FORM = {"backup": True}, schema.record({"backup": schema.flag})


class BackupAndRestore(Callback):
    """Saves the model after every epoch; the same `fit` in a new process goes on after the last whole one.

    Formula: weights, optimizer and counters of random numbers are those of the backup, so the result has the bits of a
    training that never stopped.

    An epoch is backed up when the next one begins, so that all callbacks have seen its end. What they have seen so far
    is not part of the backup: EarlyStopping counts from the beginning. (ModelCheckpoint finds the best figure in its
    file.)

    Args:
        backup_dir: a folder of its own, made if need be. Only backups in it are ever replaced or removed.
        save_freq: "epoch". (Keras also takes a number of steps, and then begins the epoch anew.)
        delete_checkpoint: remove the backup once training has come to its end. Default True.

    Raises:
        ConfigError: an argument is out of range, or the backup is of another model.

    Source: Keras 3, callbacks/backup_and_restore.py.

    >>> BackupAndRestore("backup").delete_checkpoint
    True
    """

    model: Any  # the whole model, since it is saved

    adds = ()
    ignored: ClassVar = {"double_checkpoint": (False,)}
    positions = ("backup_dir", "save_freq", "double_checkpoint", "delete_checkpoint")

    def __init__(self, backup_dir: Any, save_freq: str = "epoch", delete_checkpoint: bool = True) -> None:
        if save_freq != "epoch":
            raise ConfigError(f"BackupAndRestore: save_freq is 'epoch', got {save_freq!r}")
        self.backup_dir = str(as_path(backup_dir, "BackupAndRestore: backup_dir"))
        self.save_freq, self.delete_checkpoint = save_freq, bool(delete_checkpoint)

    def on_train_begin(self, logs: Any = None) -> None:
        from nbdl.model import why_not_resumable

        self._ended, self._waiting = False, 0
        problem = why_not_resumable(self.model)
        if problem:
            raise ConfigError(f"BackupAndRestore: there is nothing that training could go on from: {problem}")
        check_folder(Path(self.backup_dir))
        found = self._backups()
        self._refuse_others(found[-1][0] if found else 0)
        if not found:
            return
        done, path = found[-1]
        self._restore(path)
        self.params["initial_epoch"] = max(self.params["initial_epoch"], done)
        self._ended = done >= self.params["epochs"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._save()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._waiting = epoch + 1
        self._ended = self._waiting >= self.params["epochs"]
        if self._ended or self.model.stop_training:  # there may be no next one
            self._save()

    def on_train_end(self, logs: Any = None) -> None:
        if self.delete_checkpoint and (self._ended or self.model.stop_training):
            self._remove(self._backups())

    def _save(self) -> None:
        """Back up the epochs that are done and not in a backup yet."""
        from nbdl.model import model_bytes, noted

        if not self._waiting:
            return
        folder = Path(self.backup_dir)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{PREFIX}{self._waiting:06d}.nbdl"
        check_file(path, "a backup of a training", is_backup)
        sweep(folder)
        write_own(path, noted(model_bytes(self.model), NOTE), flush=True)
        self._remove(self._backups()[:-1])
        self._waiting = 0

    def _refuse_others(self, done: int) -> None:
        """Refuse files under the names of backups to come, before an epoch is lost by them."""
        for path in Path(self.backup_dir).glob(f"{PREFIX}*.nbdl"):
            match = NAME.fullmatch(path.name)
            if match and done < int(match[1]) <= self.params["epochs"]:
                check_file(path, "a backup of a training", is_backup)

    def _backups(self) -> list[tuple[int, Path]]:
        """Epochs done and file, the latest last."""
        files = {path: NAME.fullmatch(path.name) for path in Path(self.backup_dir).glob(f"{PREFIX}*.nbdl")}
        return sorted((int(match[1]), path) for path, match in files.items() if match and is_backup(path))

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
            raise ConfigError(f"BackupAndRestore: {error}; remove the file to begin again") from None
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


def is_backup(path: Path) -> bool:
    """Whether a file is a backup, rather than a model that was saved under such a name."""
    from nbdl.model import read_note

    note = None if path.is_symlink() else read_note(path, NOTE_FORM)
    return note is not None and note["backup"]


@hookimpl
def register_callbacks(register: Any) -> None:
    register("BackupAndRestore", BackupAndRestore, examples=({"backup_dir": "backup"},))
