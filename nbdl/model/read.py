"""Reading models: whole ones from their files, or weights alone. It never runs code of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from nbdl.data.encoding import Encoding
from nbdl.errors import (
    ConfigError,
    EncodedRowsWarning,
    FileFormatError,
    KernelError,
    NbdlError,
    UnknownNameError,
    warn,
)
from nbdl.model.arrays import arrays_of, set_by_name
from nbdl.model.configs import from_config
from nbdl.model.file_format import ANY_HEAD, CONFIG, FORMAT, HEAD_PART, SCHEMAS
from nbdl.model.owner import Owner, job_of
from nbdl.model.requirements import changed_in_place, checked_needs, other_version, refuse_missing, remedy
from nbdl.model.training_part import restore_training
from nbdl.network.network import Network
from nbdl.storage import schema
from nbdl.storage.archive import Archive, Npz
from nbdl.storage.outputs import as_path
from nbdl.units.kept import KeptError

M = TypeVar("M", bound=Owner)


def _unzipped(file: BinaryIO, name: str, otherwise: str, compressed: bool = False) -> Archive:
    """A zip of nbdl's; a file that Keras wrote is named as such."""
    keras = "nbdl reads its own formats (.nbdl, .npz); set_weights takes what get_weights of Keras's model returns"
    if file.read(8) == b"\x89HDF\r\n\x1a\n":
        raise FileFormatError(f"{name} is an HDF5 file, as Keras writes them; {keras}")
    archive = Archive(file, name, otherwise, compressed=compressed)
    if "model.weights.h5" in archive.names:
        raise FileFormatError(f"{name} is a file that Keras wrote; {keras}")
    return archive


def _opened(file: BinaryIO, name: str) -> Archive:
    """A model's file."""
    archive = _unzipped(file, name, f"{name} is not an nbdl model, or it is damaged")
    if HEAD_PART not in archive.names:
        raise FileFormatError(f"{name} is not an nbdl model: it has no {HEAD_PART}")
    return archive


def read_model(file: BinaryIO, name: str, make: Callable[[Network], M]) -> M:
    """A model from an open file.

    Args:
        name: of the file, for errors.
        make: makes the model around its network.
    """
    archive = _opened(file, name)
    head = archive.json(HEAD_PART, ANY_HEAD)
    if head["format"] > FORMAT:
        versions = head.get("versions")
        written = versions.get("nbdl") if isinstance(versions, dict) else None
        raise FileFormatError(
            f"{name} has format {head['format']}, written by nbdl {schema.shown(written or 'a newer version')}; this "
            f"version reads up to {FORMAT}: pip install -U nbdl"
        )
    head = archive.json(HEAD_PART, SCHEMAS[HEAD_PART])
    needs = checked_needs(head.get("plugins", []), name)
    try:
        refuse_missing(needs, name)
        return _restored(archive, make)
    except UnknownNameError as error:  # in a file that does not list its units
        raise ConfigError(f"{name}: {error}{''.join(remedy(need) for need in needs)}") from None
    except Exception as error:  # a plugin's constructor may raise anything
        if hint := other_version(needs, error):
            raise ConfigError(f"{name}: {error}. The file is whole: {hint}") from None
        if whose := changed_in_place(error):
            raise ConfigError(f"{name}: {error}. {whose}") from None
        if isinstance(error, KernelError | KeptError) or (
            isinstance(error, NbdlError) and str(error).startswith((f"{name} ", f"{name}: "))
        ):
            raise
        kind = "" if isinstance(error, NbdlError) else f"{type(error).__name__}: "
        raise FileFormatError(f"{name} is damaged: {kind}{error}") from error


def _restored(archive: Archive, make: Callable[[Network], M]) -> M:
    from nbdl.engine.store import only_weights

    weights, config = arrays_of(archive, "weights.npz"), archive.json("config.json", CONFIG)
    with only_weights(weights.shapes, archive.where):
        model = from_config(config, make)
        job = job_of(model)
        set_by_name(job.network, weights, archive.where)
    network = job.network
    network.fitted_names, network.target_names = (
        None if config.get(key) is None else tuple(config[key]) for key in ("feature_names", "target_names")
    )
    if "training.json" in archive.names:
        restore_training(job, archive)
    if "encoding.json" in archive.names:
        network.encoding = Encoding.from_config(archive.json("encoding.json", SCHEMAS["encoding.json"]))
    return model


def load_weights(model: Owner, path: str | Path) -> None:
    """Read weights that `save_weights` wrote, or those of a whole model's file."""
    network = job_of(model).network
    network.existing_weights()
    source = as_path(path, "path")
    if not source.is_file():
        raise FileFormatError(f"there is no file {source}")
    with source.open("rb") as file:
        archive = _unzipped(file, str(source), f"{source} is damaged or not made of plain arrays", compressed=True)
        is_model = HEAD_PART in archive.names
        set_by_name(network, arrays_of(archive, "weights.npz") if is_model else Npz(archive), str(source))
    if is_model and "encoding.json" in archive.names and network.encoding is None:
        warn(
            f"{source}: these weights were trained on encoded rows, and this model has no encoding: predictions for "
            "plain rows will be wrong. nbdl.load_model keeps the encoding; set model.encoding to it",
            EncodedRowsWarning,
        )
