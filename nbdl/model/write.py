"""Writing models: the whole of one to its file, or its weights alone."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from nbdl.errors import ConfigError, warn
from nbdl.model.arrays import npz_bytes
from nbdl.model.file_format import EPOCH, FORMAT, json_part
from nbdl.model.notes import Note, noted, read_note
from nbdl.model.owner import Owner, job_of
from nbdl.model.requirements import needs_of
from nbdl.model.training_part import slots_of, training_config
from nbdl.storage.atomic import write_atomically
from nbdl.storage.outputs import Known, as_path, check_file, is_model, zip_names
from nbdl.units.entry import Entry
from nbdl.units.kept import check_remade
from nbdl.units.keras_names import explained
from nbdl.units.layer import Layer
from nbdl.units.metric_wrappers import unit_of
from nbdl.units.registry import registry
from nbdl.units.unit import Unit


def why_not_resumable(model: Owner) -> str:
    """Why a file cannot hold how the model is trained: functions of its author's own; "" if it can."""
    try:
        _units(model)
        if model.compiled is not None:
            training_config(job_of(model))
    except ConfigError as error:
        return str(error)
    return ""


def check_saveable(model: Owner) -> None:
    """Refuse a model that a file cannot hold, before it is trained.

    Raises:
        ConfigError: a layer is not registered, or its arguments cannot be written.
    """
    job_of(model).network.build()
    _units(model, with_compiled=False)
    try:
        json_part("config.json", {**model.get_config(), **_names(model)})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the model cannot be saved: {error}") from None


def _units(model: Owner, with_compiled: bool = True) -> list[Entry]:
    """The registered units that the model is made of."""
    found: list[Entry] = []
    seen: set[tuple[int, bool]] = set()

    def visit(value: Any, named: bool = True) -> None:
        if isinstance(value, list | tuple):
            for item in value:
                visit(item, named)
        if not isinstance(value, Unit) or (id(value), named) in seen:
            return
        seen.add((id(value), named))
        entry = registry.entry_of(value)
        if entry is not None:
            found.append(entry)
        elif named:
            raise ConfigError(
                f"{value!r} is not registered, so a file could not name it; make it a plugin, or register it "
                "with nbdl.register(...)"
            )
        visit(list(value.arguments.values()), named)  # first: they may lack a name
        if isinstance(value, Layer):
            check_remade(value)
        visit(list(vars(value).values()), False)  # made by the unit itself, from names or for its own use

    visit(job_of(model).network.entries)
    if with_compiled and model.compiled is not None:
        visit([model.compiled.optimizer, model.compiled.loss])
        visit([unit_of(metric) for _, metric in model.compiled.metrics])
    return found


def _versions() -> dict[str, str]:
    import importlib.metadata
    import platform

    packages = {name: importlib.metadata.version(name) for name in ("nbdl", "numba", "numpy")}
    return {"python": platform.python_version(), **packages}


def model_bytes(model: Owner, unbuilt: bool = False) -> bytes:
    """The whole model as the bytes of a file.

    Args:
        unbuilt: whether it may lack weights since the shape of its inputs is not known.
    """
    if model.layers and not (unbuilt and model.input_shape is None):
        job_of(model).network.build()
    units = _units(model, with_compiled=False)  # layers that a file cannot name are an error
    problem = why_not_resumable(model)
    if problem:
        warn(f"the model is saved without optimizer, loss and metrics; compile it again once it is loaded: {problem}")
    parts: dict[str, bytes] = {
        "nbdl.json": json_part(
            "nbdl.json",
            {
                "format": FORMAT,
                "versions": _versions(),
                "plugins": needs_of(units if problem else _units(model)),
            },
        ),
        "config.json": json_part("config.json", {**model.get_config(), **_names(model)}),
        "weights.npz": npz_bytes({name: one.value for name, one in job_of(model).network.named_weights().items()}),
    }
    if model.compiled is not None and not problem:
        parts["training.json"] = json_part("training.json", training_config(job_of(model)))
        if model.training_state is not None:
            parts["optimizer.npz"] = npz_bytes(slots_of(job_of(model)))
    if model.encoding is not None:
        parts["encoding.json"] = json_part("encoding.json", model.encoding.to_config())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()


def _names(model: Owner) -> dict[str, Any]:
    """The names of the columns that the model was fitted on, if it was on a data frame."""
    network = job_of(model).network
    names = {"feature_names": network.fitted_names or network.adapted_names, "target_names": network.target_names}
    return {key: list(value) for key, value in names.items() if value is not None}


def _target(path: str | Path, kind: str, known: Known, suffix: str) -> Path:
    """Return where to write, with the refusals that save grief."""
    target = as_path(path, "path")
    if target.suffix.lower() in (".h5", ".hdf5", ".keras"):
        raise ConfigError(
            f"{target.name}: nbdl writes its own file format, not {target.suffix}; "
            f"use {target.with_suffix(suffix).name}"
        )
    check_file(target, kind, known)
    return target


@explained
def save_model(model: Owner, path: str | Path, overwrite: bool = True, note: Note | None = None) -> None:
    """Write a model to one file.

    Args:
        overwrite: whether an earlier model is replaced; any other file never is.
        note: what a callback wants to find again in the file.

    Raises:
        ConfigError: a file is there that is no model, or `overwrite` is false; the place cannot be written; the name
            asks for another format; or the model holds a unit that is not registered.
    """
    target = _target(path, "a saved model", is_model, ".nbdl")
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} exists; pass overwrite=True to replace it")
    content = model_bytes(model)
    write_atomically(target, content if note is None else noted(content, note))


def save_weights(model: Owner, path: str | Path, note: Note | None = None) -> None:
    """Write the weights alone: an npz file, whatever its name.

    Args:
        note: as for `save_model`.

    Raises:
        ConfigError: a file is there that does not hold weights alone; or the place cannot be written.
    """
    target = _target(path, "a file of weights alone", is_weights_of(model), ".npz")
    model.existing_weights()
    weights = {name: weight.value for name, weight in job_of(model).network.named_weights().items()}
    write_atomically(target, noted(npz_bytes(weights), note or {}))


def is_weights_of(model: Owner) -> Known:
    """A function that tells whether a file holds weights alone; version 0.1.0 wrote no note, names must tell then."""
    model.existing_weights()
    names = {f"{name}.npy" for name in job_of(model).network.named_weights()}
    return lambda path: not is_model(path) and (read_note(path) is not None or set(zip_names(path)) == names)
