"""Exporting: a model as a file of another format, which an exporter of some plugin writes."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, UnknownNameError, did_you_mean
from nbdl.storage.outputs import as_path, check_file

if TYPE_CHECKING:
    from nbdl.model.owner import Owner
    from nbdl.program.operation import Operation
    from nbdl.units.entry import Entry

MARK = "nbdl model "
HEAD_BYTES = 1 << 16  # of a file, among which the mark is
_MARKED = re.compile(re.escape(MARK.encode()) + b"[0-9a-f]{16}")


def export_model(model: Owner, path: str | Path, format: str | None = None, **options: Any) -> str | None:
    """Write a model to a file of another format: a snapshot, which does not follow the model.

    Args:
        model: a model whose input shape is known.
        path: the file. One that an export wrote is replaced, any other is not.
        format: name or suffix of an exporter; default: by the suffix of `path`.
        options: what the exporter takes.

    Returns:
        What to do with the file next, a line for the shell, if the exporter says so.

    Raises:
        ConfigError: an unknown format or option, a file that must not be replaced, or a model that the format
            cannot express.
    """
    target = as_path(path, "path").expanduser()
    entry = exporter(target, format)
    _check_options(entry.name, entry.target, options)
    refuse_overwriting(target)
    following: str | None = entry.target(model, target, **options)
    return following


def exporter(path: str | Path | None, format: str | None) -> Entry:
    """The exporter of a format's name or suffix; without a format, of the suffix that ends the path.

    Raises:
        UnknownNameError: there is none; the message lists those that there are.
    """
    from nbdl.units.registry import registry

    entries = registry.entries("exporters")
    suffixes = {suffix: entry for entry in entries for suffix in entry.options.get("suffixes", ())}
    known = ", ".join(f"{entry.name} ({', '.join(entry.options.get('suffixes', ()))})" for entry in entries)
    if format is not None:
        found = registry.find("exporters", format) or suffixes.get(f".{format.lower().lstrip('.')}")
        hint = did_you_mean(format, [entry.name for entry in entries])
        asked = f"unknown export format {format!r}"
    else:
        ending = [suffix for suffix in suffixes if str(path or "").lower().endswith(suffix)]
        found = suffixes[max(ending, key=len)] if ending else None
        hint = "" if path is None else did_you_mean(Path(path).suffix, suffixes)
        asked = "no export format was given" if path is None else f"{path}: its suffix names no export format"
    if found is None:
        raise UnknownNameError(f"{asked}.{hint} Known: {known or 'none'}")
    return found


def fingerprint(model: Owner) -> str:
    """What every exporter writes into its file: "nbdl model " and a digest of layers, weights and encoding."""
    config = {key: value for key, value in model.get_config().items() if key not in ("name", "seed")}
    encoding = None if model.encoding is None else model.encoding.to_config()
    digest = hashlib.sha256(json.dumps([config, encoding], sort_keys=True).encode())
    for weight in model.weights:
        digest.update(f"\0{weight.name} {weight.value.shape}\0".encode())
        digest.update(weight.value.tobytes())
    return MARK + digest.hexdigest()[:16]


def is_export_of(model: Owner, path: str | Path) -> bool:
    """Whether a file was exported from a model as it is now, with these weights."""
    return fingerprint(model).encode() in _MARKED.findall(_head(as_path(path, "path").expanduser()))


def refuse_overwriting(path: Path) -> None:
    """Raise ConfigError where an export cannot be written, or should not."""
    check_file(path, "an export of a model", lambda earlier: bool(_MARKED.search(_head(earlier))))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def owner_of(model: Owner, operation: Operation) -> str:
    """The layer that recorded an operation, and the plugin that it or its scalar function is from."""
    from nbdl.units.registry import registry

    module = getattr(operation.function, "__module__", None)
    entries = [entry for entry in registry.entries() if entry.module == module]
    recorded = [registry.entry_of(layer) for layer in model.layers if layer.name == operation.layer]
    entries += [entry for entry in recorded if entry is not None]
    plugin = f" (plugin {entries[0].owner.plugin!r} of {entries[0].owner})" if entries else ""
    return f"layer {operation.layer!r}{plugin}"


def _check_options(name: str, function: Callable[..., Any], options: dict[str, Any]) -> None:
    known = list(inspect.signature(function).parameters)[2:]
    for option, value in options.items():
        if option not in known:
            raise ConfigError(
                f"the export format {name!r} does not take {option}={value!r}.{did_you_mean(option, known)} "
                f"It takes: {', '.join(known) or 'no options'}"
            )
