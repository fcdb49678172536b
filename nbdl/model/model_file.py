"""Files: one zip with a format number, JSON for settings, npz for numbers. Loading never runs code.

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
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from nbdl.data.encoding import ENCODING
from nbdl.data.table import listed
from nbdl.errors import (
    ConfigError,
    EncodedRowsWarning,
    FileFormatError,
    KernelError,
    NbdlError,
    UnknownNameError,
    warn,
)
from nbdl.model.notes import Note, noted, read_note
from nbdl.model.owner import Owner, job_of
from nbdl.model.requirements import (
    NEED,
    changed_in_place,
    checked_needs,
    needs_of,
    other_version,
    refuse_missing,
    remedy,
)
from nbdl.network.setup import Setup, TrainingState
from nbdl.plugins.registry import registry
from nbdl.storage import schema
from nbdl.storage.archive import MOST_JSON, Archive, Npz, json_value, npz
from nbdl.storage.atomic import write_atomically
from nbdl.storage.outputs import Known, as_path, check_file, is_model, zip_names
from nbdl.units.entry import Entry
from nbdl.units.kept import KeptError, check_remade, refuse_kept
from nbdl.units.keras_names import INSTEAD, explained
from nbdl.units.layer import Layer
from nbdl.units.metric_wrappers import LossMetric, WeightedMetric, unit_of
from nbdl.units.unit import Unit, serialize

if TYPE_CHECKING:
    import numpy as np

    from nbdl.model.sequential import Sequential
    from nbdl.units.metric import Metric

M = TypeVar("M", bound=Owner)

FORMAT = 1
HEAD_PART = "nbdl.json"
ANY_HEAD = schema.record({"format": schema.whole(1, 1 << 31)})  # of a later version as well
SIZES = schema.items(schema.whole(1), 100)
CONFIG = schema.record(
    {"layers": schema.items(schema.unit)},
    {
        "name": schema.name,
        "seed": schema.maybe(schema.whole(0, (1 << 64) - 1)),
        "order": schema.items(schema.whole()),
        "input_shape": schema.maybe(SIZES),
        "feature_names": schema.maybe(schema.items(schema.text)),
        "target_names": schema.maybe(schema.items(schema.text)),
    },
)
_METRIC = schema.record({"as": schema.name, "name": schema.name}, {"config": schema.plain, "weighted": schema.flag})
_LOSS = schema.record({"as": schema.name, "loss": schema.unit}, {"weighted": schema.flag})


def _metric(value: Any, place: str) -> str | None:
    """A metric, or a loss that is reported as one."""
    return (_LOSS if isinstance(value, dict) and "loss" in value else _METRIC)(value, place)


SCHEMAS = {
    HEAD_PART: schema.record(
        {"format": schema.whole(1, FORMAT)},
        {"versions": schema.entries(schema.text), "plugins": schema.items(NEED)},
    ),
    "config.json": CONFIG,
    "training.json": schema.record(
        {"optimizer": schema.unit, "loss": schema.unit, "metrics": schema.items(_metric)},
        {
            "iterations": schema.whole(),
            "epochs": schema.whole(),
            "slots": schema.items(schema.name, 100),
            "learning_rate": schema.maybe(schema.either("a number or a schedule", schema.number, schema.unit)),
        },
    ),
    "encoding.json": ENCODING,
}
# A fixed time in the zip: the same model gives the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


# -- writing ----------------------------------------------------------------------------------------------


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    # Numbers only. NumPy below 2.1 takes allow_pickle= for the name of an array.
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _json(part: str, value: Any) -> bytes:
    """A part as JSON, if it is what loading will take."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    problem = SCHEMAS[part](json.loads(text), "") or (f"{len(text):,} characters" if len(text) > MOST_JSON // 4 else "")
    if problem:
        raise ConfigError(f"the model cannot be saved: {part.removesuffix('.json')}: {problem}")
    return text.encode()


def why_not_resumable(model: Owner) -> str:
    """Why a file cannot hold how the model is trained: functions of its author's own; "" if it can."""
    try:
        _units(model)
        if model.compiled is not None:
            _training_config(model)
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
        _json("config.json", {**model.get_config(), **_names(model)})
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
        "nbdl.json": _json(
            "nbdl.json",
            {
                "format": FORMAT,
                "versions": _versions(),
                "plugins": needs_of(units if problem else _units(model)),
            },
        ),
        "config.json": _json("config.json", {**model.get_config(), **_names(model)}),
        "weights.npz": _npz({weight.name: weight.value for weight in model.weights}),
    }
    if model.compiled is not None and not problem:
        parts["training.json"] = _json("training.json", _training_config(model))
        if model.training_state is not None:
            parts["optimizer.npz"] = _npz(_slots(model))
    if model.encoding is not None:
        parts["encoding.json"] = _json("encoding.json", model.encoding.to_config())
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


def _training_config(model: Owner) -> dict[str, Any]:
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


def _slots(model: Owner) -> dict[str, np.ndarray]:
    state, store = model.training_state, model.store
    assert state is not None
    arrays = {}
    for number, slot in enumerate(state.slot_names):
        block = state.slots[number * store.trainable_size : (number + 1) * store.trainable_size]
        for weight in model.weights:
            if weight.trainable:
                arrays[f"{slot}/{weight.name}"] = store.view(block, weight)
    return arrays


def _target(path: str | Path, what: str, known: Known, suffix: str) -> Path:
    """Return where to write, with the refusals that save grief."""
    target = as_path(path, "path")
    if target.suffix.lower() in (".h5", ".hdf5", ".keras"):
        raise ConfigError(
            f"{target.name}: nbdl writes its own file format, not {target.suffix}; "
            f"use {target.with_suffix(suffix).name}"
        )
    check_file(target, what, known)
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
    weights = {weight.name: weight.value for weight in model.existing_weights()}
    write_atomically(target, noted(_npz(weights), note or {}))


def is_weights_of(model: Owner) -> Known:
    """A function that tells whether a file holds weights alone; version 0.1.0 wrote no note, names must tell then."""
    names = {f"{weight.name}.npy" for weight in model.existing_weights()}
    return lambda path: not is_model(path) and (read_note(path) is not None or set(zip_names(path)) == names)


# -- reading ----------------------------------------------------------------------------------------------


def model_from_config(config: dict[str, Any]) -> Sequential:
    """A model with initial weights."""
    from nbdl.model.sequential import Sequential

    return filled_from_config(Sequential, config)


def filled_from_config(kind: type[M], config: dict[str, Any]) -> M:
    """A model of a class, with initial weights."""
    if not isinstance(config, dict) or "layers" not in config:
        raise FileFormatError("not a model's config: it has no 'layers'")
    order = config.get("order", range(len(config["layers"])))
    if not all(number in range(len(config["layers"])) for number in order):
        raise FileFormatError(f"not a model's config: order: expected places among {len(config['layers'])} layers")
    layers = [registry.make("layers", layer, "the config's layers") for layer in config["layers"]]
    for layer, given in zip(layers, config["layers"], strict=True):
        if isinstance(given, dict) and isinstance(given.get("config"), dict):
            refuse_kept(layer, given["config"])
    make: Any = kind
    model: Any = make(name=config.get("name", "sequential"), seed=config.get("seed"))
    for place, number in enumerate(order):
        if place == 0 or not layers[number].declares_input:  # version 0.1.0 took further ones, which did nothing
            model.add(layers[number])
    if "input_shape" in config and model.layers and model.input_shape is None:
        model.build(tuple(config["input_shape"]))
    return cast(M, model)


@explained
def model_from_json(text: str) -> Sequential:
    """A model with initial weights from what `to_json` returned."""
    return model_from_config(json_value(text.encode(errors="surrogatepass"), "the text", CONFIG))


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


def _arrays(archive: Archive, part: str) -> Npz:
    """The arrays in a part of a model's file."""
    return npz(archive.read(part), f"{archive.where}: {part}")


@explained
def load_model(
    path: str | Path, custom_objects: Any = None, compile: bool = True, *, device: str = "cpu"
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
    with source.open("rb") as file:
        model = _model_from(file, str(source))
    if not compile:
        model.compiled = model.training_state = None
    model.device = device
    return model


def model_from_bytes(content: bytes, name: str = "the model") -> Sequential:
    """A model from the bytes of a file."""
    return _model_from(io.BytesIO(content), name)


def _model_from(file: BinaryIO, name: str) -> Sequential:
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
        return _restored(archive)
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
        what = "" if isinstance(error, NbdlError) else f"{type(error).__name__}: "
        raise FileFormatError(f"{name} is damaged: {what}{error}") from error


def _restored(archive: Archive) -> Sequential:
    from nbdl.engine.store import only_weights

    weights, config = _arrays(archive, "weights.npz"), archive.json("config.json", CONFIG)
    with only_weights(weights.shapes, archive.where):
        model = model_from_config(config)
        _set_by_name(model, weights, archive.where)
    network = job_of(model).network
    network.fitted_names, network.target_names = (
        None if config.get(key) is None else tuple(config[key]) for key in ("feature_names", "target_names")
    )
    if "training.json" in archive.names:
        _restore_training(model, archive)
    if "encoding.json" in archive.names:
        from nbdl.data.encoding import Encoding

        model.encoding = Encoding.from_config(archive.json("encoding.json", SCHEMAS["encoding.json"]))
    return model


def _restore_training(model: Owner, archive: Archive) -> None:
    from nbdl.network.update import new_slots

    config = archive.json("training.json", SCHEMAS["training.json"])
    metrics: list[tuple[str, Metric]] = []
    for one in config["metrics"]:
        loss = one.get("loss")
        made = registry.make("metrics", one) if loss is None else LossMetric(registry.make("losses", loss))
        metrics.append((one["as"], WeightedMetric(made) if one.get("weighted") else made))
    optimizer = registry.make("optimizers", config["optimizer"])
    rate = config.get("learning_rate")
    if rate is not None:  # in older files
        optimizer.learning_rate = registry.make("schedules", rate) if isinstance(rate, dict) else float(rate)
    model.compiled = Setup(optimizer, registry.make("losses", config["loss"]), metrics)
    if "optimizer.npz" not in archive.names:
        return
    names = tuple(config.get("slots", ()))
    possible = optimizer.possible_slots()
    if names not in (optimizer.all_slots(), tuple(slot for slot in possible if slot in names)):
        raise FileFormatError(
            f"{archive.where}: training.json: slots: expected {', '.join(possible)}, or some of these in this order, "
            f"got {', '.join(names) or 'none'}"
        )
    given = _arrays(archive, "optimizer.npz")
    wanted = {f"{slot}/{weight.name}": weight.shape for slot in names for weight in model.weights if weight.trainable}
    for name, shape in wanted.items():
        if given.shapes.get(name) != shape:
            raise FileFormatError(f"{archive.where}: the optimizer's {name} is missing or of another shape")
    slots = new_slots(optimizer, names, model.store.trainable_size)
    model.training_state = TrainingState(slots, names, config.get("iterations", 0), config.get("epochs", 0))
    for name, place in _slots(model).items():
        place[...] = _floats(given, name, archive.where)


def _set_by_name(model: Owner, given: Npz, where: str) -> None:
    """Set all weights, or none: names, shapes and types are looked at first."""
    from nbdl.engine.store import refuse_other_shape

    own = model.existing_weights() if model.layers and model.input_shape is not None else []
    expected = {weight.name: weight.tensor.shape for weight in own}
    missing, extra = sorted(set(expected) - set(given.shapes)), sorted(set(given.shapes) - set(expected))
    if missing or extra:
        raise FileFormatError(
            f"{where}: weights do not fit the model: "
            + "; ".join(text for text in (f"missing {listed(missing)}" * bool(missing),
                                          f"unknown {listed(extra)}" * bool(extra)) if text)
        )  # fmt: skip
    for name, shape in expected.items():
        refuse_other_shape(name, given.shapes[name], shape, where)
    values = {weight.name: _floats(given, weight.name, where) for weight in own}
    for weight in own:
        weight.value[...] = values[weight.name]


def _floats(given: Npz, name: str, where: str) -> np.ndarray:
    """An array of a file, if it is of float32."""
    import numpy as np

    found = given.read(name)
    if found.dtype != np.float32:
        raise FileFormatError(f"{where}: {name} holds {found.dtype}, not float32")
    return found


def load_weights(model: Owner, path: str | Path) -> None:
    """Read weights that `save_weights` wrote, or those of a whole model's file."""
    model.existing_weights()
    source = as_path(path, "path")
    if not source.is_file():
        raise FileFormatError(f"there is no file {source}")
    with source.open("rb") as file:
        archive = _unzipped(file, str(source), f"{source} is damaged or not made of plain arrays", compressed=True)
        is_model = HEAD_PART in archive.names
        _set_by_name(model, _arrays(archive, "weights.npz") if is_model else Npz(archive), str(source))
    if is_model and "encoding.json" in archive.names and model.encoding is None:
        warn(
            f"{source}: these weights were trained on encoded rows, and this model has no encoding: predictions for "
            "plain rows will be wrong. nbdl.load_model keeps the encoding; set model.encoding to it",
            EncodedRowsWarning,
        )
