"""Data of a model that knows no columns: an .npz file with an array for each input and output, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nbdl.cli.source import Reading
    from nbdl.model.base import Model


def inputs_from(source: str, model: Model, model_path: str, reading: Reading) -> list[NDArray[Any]]:
    """Return the inputs of a model, in order, from a file; a single one may be called x there.

    Raises:
        ConfigError: the source is no .npz file, or there are options for other files.
        DataError: an array is missing, or the file is damaged.
    """
    _refuse_others(source, model, model_path, reading)
    return _arrays(source, model.input_names, "x")


def targets_from(source: str, model: Model) -> list[NDArray[Any]]:
    """Return the targets of each loss of a model, in order, from a file; those of a single loss may be called y there.

    Raises:
        DataError: an array is missing, or the file is damaged.
    """
    return _arrays(source, _compared(model), "y")


def _compared(model: Model) -> list[str]:
    """Return the names of the outputs that are compared with targets."""
    from nbdl.model.owner import job_of

    job = job_of(model)
    return [] if job.setup is None else [job.network.output_names[goal.output] for goal in job.setup.goals]


def _refuse_others(source: str, model: Model, model_path: str, reading: Reading) -> None:
    """Refuse what is no .npz file, and say which arrays it would have."""
    if not source.lower().endswith(".npz"):
        inputs, targets = model.input_names, _compared(model)
        names = [*(inputs if len(inputs) > 1 else ["x"]), *(targets if len(targets) > 1 else ["y"])]
        raise ConfigError(
            f"{model_path}: `nbdl train` did not make this model, so it does not know how a table becomes numbers. "
            f"Give it an .npz file, written by numpy.savez(file, {', '.join(f'{name}=...' for name in names)})"
        )
    if reading.chosen or reading.folder is not None or reading.download:
        raise ConfigError(f"{source}: arrays are read as they are; give no --data, --download, --format or the like")


def _arrays(source: str, names: Sequence[str], alone: str) -> list[NDArray[Any]]:
    """Return arrays of a file by their names, of which a single one may have another."""
    from nbdl.data.source import check_file
    from nbdl.data.table import listed
    from nbdl.storage.archive import Archive, Npz

    path = Path(source).expanduser()
    check_file(path)
    problem = f"{path}: is not a whole .npz file. Write it with numpy.savez."
    with path.open("rb") as file:
        found = Npz(Archive(file, str(path), problem, DataError, compressed=True))
        if len(names) == 1 and names[0] not in found.names:
            names = [alone]
        missing = [name for name in names if name not in found.names]
        if missing:
            raise DataError(f"{path}: has no array {listed(missing)}. Arrays: {listed(found.names) or 'none'}.")
        return [found.read(name) for name in names]
