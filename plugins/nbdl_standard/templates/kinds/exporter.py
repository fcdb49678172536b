"""my_unit: a model as JSON, layers and weights, for programs in other languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.model import fingerprint

if TYPE_CHECKING:
    from nbdl.model import Sequential


# Your format. Arguments after `path`, with defaults, are options: export_model(model, path, indent=2).
def export(model: Sequential, path: Path, indent: int = 0) -> None:
    """Write a model as JSON.

    Args:
        model: whose input shape is known.
        path: the file; nbdl has seen to it that it may be written.
        indent: spaces for each level. Default 0: all in one line.
    """
    layers = [
        {"config": layer.get_config(), "weights": {weight.name: weight.value.tolist() for weight in layer.weights}}
        for layer in model.layers
    ]
    # By the fingerprint `nbdl export --check` tells which model the file is of.
    text = json.dumps({"model": fingerprint(model), "layers": layers}, indent=indent or None)
    path.write_text(text, encoding="utf-8")


@hookimpl
def register_exporters(register: Any) -> None:
    # A format that has no words for some models raises nbdl.errors.ConfigError for them; this one has for all.
    failures = {"refuses what it cannot write": "a layer's config can be written, whatever the layer computes"}
    register("my_unit", export, suffixes=(".json",), description="layers and weights", expected_failures=failures)
