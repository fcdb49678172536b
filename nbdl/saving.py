"""Files: one zip with a format number, JSON for what is said and npz for numbers. Loading never runs code.

    nbdl.json        format number, versions, plugins needed
    config.json      layers, seed, names of columns
    training.json    optimizer, loss, metrics, steps and epochs done (if compiled)
    encoding.json    how data became inputs, class names (if the model has any)
    weights.npz      by name, "dense_1/kernel"
    optimizer.npz    the optimizer's slots, by slot and weight (if trained)

A file is written beside its place, flushed, then renamed: it is there whole or not at all.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nbdl.compiled import Compiled, LossMetric, TrainingState, WeightedMetric, unit_of
from nbdl.entries import Entry
from nbdl.errors import ConfigError, EncodedRowsWarning, FileFormatError, NbdlError, UnknownNameError, warn
from nbdl.files import write_atomically
from nbdl.needs import changed_in_place, checked_needs, needs_of, other_version, refuse_missing, remedy
from nbdl.notes import Note, noted, read_note
from nbdl.outputs import Known, as_path, check_file, is_model, zip_names
from nbdl.registry import registry
from nbdl.units import INSTEAD, Unit, explained, serialize

if TYPE_CHECKING:
    import numpy as np

    from nbdl.model import Sequential
    from nbdl.specs import Metric

M = TypeVar("M", bound="Sequential")

FORMAT = 1
# A fixed time in the zip: the same model gives the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


# -- writing ----------------------------------------------------------------------------------------------


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    # Numbers only. NumPy below 2.1 takes allow_pickle= for the name of an array.
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def why_not_resumable(model: Sequential) -> str:
    """Why a file cannot hold how the model is trained: functions of its author's own; "" if it can."""
    try:
        _units(model)
        if model.compiled is not None:
            _training_config(model)
    except ConfigError as error:
        return str(error)
    return ""


def check_saveable(model: Sequential) -> None:
    """Refuse a model that a file cannot hold, before it is trained.

    Raises:
        ConfigError: a layer is not registered, or its arguments cannot be written.
    """
    model.build()
    _units(model, with_compiled=False)
    try:
        _json(model.get_config())
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the model cannot be saved: {error}") from None


def _units(model: Sequential, with_compiled: bool = True) -> list[Entry]:
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
        visit(list(value.arguments.values()), named)
        visit(list(vars(value).values()), False)  # made by the unit itself, from names or for its own use

    visit(model._entries())
    if with_compiled and model.compiled is not None:
        visit([model.compiled.optimizer, model.compiled.loss])
        visit([unit_of(metric) for _, metric in model.compiled.metrics])
    return found


def _versions() -> dict[str, str]:
    import importlib.metadata
    import platform

    packages = {name: importlib.metadata.version(name) for name in ("nbdl", "numba", "numpy")}
    return {"python": platform.python_version(), **packages}


def model_bytes(model: Sequential, unbuilt: bool = False) -> bytes:
    """The whole model as the bytes of a file.

    Args:
        unbuilt: whether it may lack weights since the shape of its inputs is not known.
    """
    if model.layers and not (unbuilt and model.input_shape is None):
        model.build()
    units = _units(model, with_compiled=False)  # layers that a file cannot name are an error
    problem = why_not_resumable(model)
    if problem:
        warnings.warn(
            f"the model is saved without optimizer, loss and metrics; compile it again once it is loaded: {problem}",
            stacklevel=4,
        )
    parts: dict[str, bytes] = {
        "nbdl.json": _json(
            {
                "format": FORMAT,
                "versions": _versions(),
                "plugins": needs_of(units if problem else _units(model)),
            }
        ),
        "config.json": _json({**model.get_config(), **_names(model)}),
        "weights.npz": _npz({weight.name: weight.value for weight in model.weights}),
    }
    if model.compiled is not None and not problem:
        parts["training.json"] = _json(_training_config(model))
        state = model.training_state
        if state is not None:
            parts["optimizer.npz"] = _npz(_slots(model))
    if model.encoding is not None:
        parts["encoding.json"] = _json(model.encoding.to_config())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return buffer.getvalue()


def _names(model: Sequential) -> dict[str, Any]:
    """The names of the columns that the model was fitted on, if it was on a data frame."""
    names = {"feature_names": model._feature_names, "target_names": model._target_names}
    return {key: list(value) for key, value in names.items() if value is not None}


def _training_config(model: Sequential) -> dict[str, Any]:
    compiled, state = model.compiled, model.training_state
    assert compiled is not None
    config: dict[str, Any] = {
        "optimizer": serialize(compiled.optimizer),
        "loss": serialize(compiled.loss),
        "metrics": [{"as": name, **_metric_config(metric)} for name, metric in compiled.metrics],
    }
    if state is not None:
        config.update(iterations=state.iterations, epochs=state.epochs, slots=list(state.slot_names))
    return config


def _metric_config(metric: Any) -> dict[str, Any]:
    if isinstance(metric, WeightedMetric):
        return {"weighted": True, **_metric_config(metric.metric)}
    if isinstance(metric, LossMetric):
        return {"loss": serialize(metric.loss)}
    return dict(serialize(metric))


def _slots(model: Sequential) -> dict[str, np.ndarray]:
    state, store = model.training_state, model.store
    assert state is not None
    arrays = {}
    for number, slot in enumerate(state.slot_names):
        block = state.slots[number * store.trainable_size : (number + 1) * store.trainable_size]
        for weight in model.weights:
            if weight.trainable:
                arrays[f"{slot}/{weight.name}"] = store.view(block, weight)
    return arrays


def _target(path: str | Path, what: str, known: Known) -> Path:
    """Return where to write, with the refusals that save grief."""
    target = as_path(path, "path")
    if target.suffix.lower() in (".h5", ".hdf5", ".keras"):
        raise ConfigError(
            f"{target.name}: nbdl writes its own file format, not {target.suffix}; "
            f"use {target.with_suffix('.nbdl').name}"
        )
    check_file(target, what, known)
    return target


@explained
def save_model(model: Sequential, path: str | Path, overwrite: bool = True, note: Note | None = None) -> None:
    """Write a model to one file.

    Args:
        overwrite: whether an earlier model is replaced; any other file never is.
        note: what a callback wants to find again in the file.

    Raises:
        ConfigError: a file is there that is no model, or `overwrite` is false; the place cannot be written; the name
            asks for another format; or the model holds a unit that is not registered.
    """
    target = _target(path, "a saved model", is_model)
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} exists; pass overwrite=True to replace it")
    content = model_bytes(model)
    write_atomically(target, content if note is None else noted(content, note))


def save_weights(model: Sequential, path: str | Path, note: Note | None = None) -> None:
    """Write the weights alone: an npz file, whatever its name.

    Args:
        note: as for `save_model`.

    Raises:
        ConfigError: a file is there that does not hold weights alone; or the place cannot be written.
    """
    target = _target(path, "a file of weights alone", is_weights_of(model))
    weights = {weight.name: weight.value for weight in model.existing_weights()}
    write_atomically(target, noted(_npz(weights), note or {}))


def is_weights_of(model: Sequential) -> Known:
    """A function that tells whether a file holds weights alone; version 0.1.0 wrote no note, names must tell then."""
    names = {f"{weight.name}.npy" for weight in model.existing_weights()}
    return lambda path: not is_model(path) and (read_note(path) is not None or set(zip_names(path)) == names)


# -- reading ----------------------------------------------------------------------------------------------


def model_from_config(config: dict[str, Any]) -> Sequential:
    """A model with initial weights."""
    from nbdl.model import Sequential

    return filled_from_config(Sequential, config)


def filled_from_config(kind: type[M], config: dict[str, Any]) -> M:
    """A model of a class, with initial weights."""
    if not isinstance(config, dict) or "layers" not in config:
        raise FileFormatError("not a model's config: it has no 'layers'")
    layers = [registry.make("layers", layer, "the config's layers") for layer in config["layers"]]
    model = kind(name=config.get("name", "sequential"), seed=config.get("seed"))
    for place, number in enumerate(config.get("order", range(len(layers)))):
        if place == 0 or not layers[number].declares_input:  # version 0.1.0 took further ones, which did nothing
            model.add(layers[number])
    if "input_shape" in config and model.layers and model.input_shape is None:
        model.build(tuple(config["input_shape"]))
    return model


@explained
def model_from_json(text: str) -> Sequential:
    """A model with initial weights from what `to_json` returned."""
    try:
        config = json.loads(text)
    except ValueError as error:
        raise FileFormatError(f"not JSON: {error}") from None
    return model_from_config(config)


class _Archive:
    """An opened model file; every complaint names it."""

    def __init__(self, content: bytes, name: str) -> None:
        self.name = name
        if content[:8] == b"\x89HDF\r\n\x1a\n":
            raise FileFormatError(f"{name} is an HDF5 file; nbdl reads its own format (.nbdl)")
        try:
            self.zip = zipfile.ZipFile(io.BytesIO(content))
            self.names = set(self.zip.namelist())
        except zipfile.BadZipFile:
            raise FileFormatError(f"{name} is not an nbdl model, or it is damaged") from None
        if "nbdl.json" not in self.names:
            raise FileFormatError(f"{name} is not an nbdl model: it has no nbdl.json")

    def json(self, part: str) -> Any:
        """A JSON part."""
        try:
            return json.loads(self.zip.read(part))
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise FileFormatError(f"{self.name}: {part} is missing or damaged: {error}") from None

    def arrays(self, part: str) -> dict[str, np.ndarray]:
        """An npz part; pickles are refused."""
        return _arrays(io.BytesIO(self._read(part)), f"{self.name}: {part}")

    def _read(self, part: str) -> bytes:
        try:
            return self.zip.read(part)
        except (KeyError, zipfile.BadZipFile) as error:
            raise FileFormatError(f"{self.name}: {part} is missing or damaged: {error}") from None


def _arrays(file: Any, where: str) -> dict[str, np.ndarray]:
    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as loaded:
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, AttributeError) as error:
        reason = str(error).split(". ")[0]  # without NumPy's advice to load it all the same
        raise FileFormatError(f"{where} is damaged or not made of plain arrays: {reason}") from None


@explained
def load_model(
    path: str | Path, custom_objects: None = None, compile: bool = True, *, device: str = "cpu"
) -> Sequential:
    """A model from a file that `save` wrote, ready to predict or to go on training with the same bits.

    Args:
        custom_objects: not needed: call nbdl.register(...) with your units before loading.
        compile: whether to take the optimizer, the loss and the metrics from the file, too.
        device: where it is to run, see `Sequential.device`; the file does not depend on where it was trained.

    Raises:
        FileFormatError: not such a file, damaged, or from a newer version.
        ConfigError: a plugin that it needs is not installed, the message says which; or there is no such device, or
            it cannot run a layer.
        DeviceError: CUDA cannot be used; the message says what is missing and how to get it.
    """
    if custom_objects:
        raise ConfigError(f"load_model: custom_objects is {INSTEAD['custom_objects']}")
    source = as_path(path, "path")
    if not source.exists():
        raise FileFormatError(f"there is no file {source}")
    if source.is_dir():
        raise FileFormatError(f"{source} is a folder, not a model file")
    model = model_from_bytes(source.read_bytes(), str(source))
    if not compile:
        model.compiled = model.training_state = None
    model.device = device
    return model


def model_from_bytes(content: bytes, name: str = "the model") -> Sequential:
    """A model from the bytes of a file."""
    archive = _Archive(content, name)
    head = archive.json("nbdl.json")
    if not isinstance(head, dict) or not isinstance(head.get("format"), int):
        raise FileFormatError(f"{name}: nbdl.json has no format number")
    if head["format"] > FORMAT:
        written = head.get("versions", {}).get("nbdl", "a newer version")
        raise FileFormatError(
            f"{name} has format {head['format']}, written by nbdl {written}; this version reads up to {FORMAT}: "
            "pip install -U nbdl"
        )
    needs = checked_needs(head.get("plugins", []), name)
    try:
        refuse_missing(needs, name)
        return _restored(archive)
    except UnknownNameError as error:  # in a file that does not list its units
        raise ConfigError(f"{name}: {error}{''.join(remedy(need) for need in needs)}") from None
    except Exception as error:  # a plugin's constructor may raise anything
        if hint := other_version(needs, error):
            raise ConfigError(f"{name}: {error}. The file is whole: {hint}") from None
        if whose := changed_in_place(error):
            raise ConfigError(f"{name}: {error}. {whose}") from None
        if isinstance(error, NbdlError):
            raise
        raise FileFormatError(f"{name} is damaged: {type(error).__name__}: {error}") from None


def _restored(archive: _Archive) -> Sequential:
    config = archive.json("config.json")
    model = model_from_config(config)
    model._feature_names, model._target_names = (
        _restored_names(config, key, archive.name) for key in ("feature_names", "target_names")
    )
    _set_by_name(model, archive.arrays("weights.npz"), archive.name)
    if "training.json" in archive.names:
        _restore_training(model, archive)
    if "encoding.json" in archive.names:
        from nbdl.data.encoding import Encoding

        model.encoding = Encoding.from_config(archive.json("encoding.json"))
    return model


def _restored_names(config: dict[str, Any], key: str, name: str) -> tuple[str, ...] | None:
    names = config.get(key)
    if names is not None and not (isinstance(names, list) and all(isinstance(one, str) for one in names)):
        raise FileFormatError(f"{name}: config.json: {key} is not a list of names")
    return None if names is None else tuple(names)


def _restore_training(model: Sequential, archive: _Archive) -> None:
    from nbdl.updating import new_slots

    config = archive.json("training.json")
    metrics: list[tuple[str, Metric]] = []
    for one in config["metrics"]:
        loss = one.get("loss")
        made = registry.make("metrics", one) if loss is None else LossMetric(registry.make("losses", loss))
        metrics.append((one["as"], WeightedMetric(made) if one.get("weighted") else made))
    optimizer = registry.make("optimizers", config["optimizer"])
    rate = config.get("learning_rate")
    if rate is not None:  # in older files
        optimizer.learning_rate = registry.make("schedules", rate) if isinstance(rate, dict) else float(rate)
    model.compiled = Compiled(optimizer, registry.make("losses", config["loss"]), metrics)
    if "optimizer.npz" not in archive.names:
        return
    names = tuple(config["slots"])
    slots = new_slots(optimizer, names, model.store.trainable_size)
    model.training_state = TrainingState(slots, names, int(config["iterations"]), int(config["epochs"]))
    given = archive.arrays("optimizer.npz")
    for name, place in _slots(model).items():
        if name not in given or given[name].shape != place.shape:
            raise FileFormatError(f"{archive.name}: the optimizer's {name} is missing or of another shape")
        place[...] = given[name]


def _set_by_name(model: Sequential, arrays: dict[str, np.ndarray], where: str) -> None:
    """Set all weights, or none: names and shapes are looked at first."""
    import numpy as np

    own = model.existing_weights() if model.layers and model.input_shape is not None else []
    expected = {weight.name: weight.tensor.shape for weight in own}
    missing, extra = sorted(set(expected) - set(arrays)), sorted(set(arrays) - set(expected))
    if missing or extra:
        raise FileFormatError(
            f"{where}: weights do not fit the model: "
            + "; ".join(text for text in (f"missing {', '.join(missing)}" * bool(missing),
                                          f"unknown {', '.join(extra)}" * bool(extra)) if text)
        )  # fmt: skip
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise FileFormatError(f"{where}: {name} has shape {arrays[name].shape}, the model's has {shape}")
        if arrays[name].dtype != np.float32:
            raise FileFormatError(f"{where}: {name} holds {arrays[name].dtype}, not float32")
    for weight in own:
        weight.value[...] = arrays[weight.name]


def load_weights(model: Sequential, path: str | Path) -> None:
    """Read weights that `save_weights` wrote, or those of a whole model's file."""
    model.existing_weights()
    source = as_path(path, "path")
    if not source.is_file():
        raise FileFormatError(f"there is no file {source}")
    try:
        with zipfile.ZipFile(source) as archive:
            is_model = "nbdl.json" in archive.namelist()
    except zipfile.BadZipFile:
        is_model = False
    if is_model:
        opened = _Archive(source.read_bytes(), str(source))
        arrays = opened.arrays("weights.npz")
        if "encoding.json" in opened.names and model.encoding is None:
            warn(
                f"{source}: these weights were trained on encoded rows, and this model has no encoding: predictions "
                "for plain rows will be wrong. nbdl.load_model keeps the encoding; set model.encoding to it",
                EncodedRowsWarning,
            )
    else:
        arrays = _arrays(io.BytesIO(source.read_bytes()), str(source))
    _set_by_name(model, arrays, str(source))
