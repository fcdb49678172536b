"""Models from their configuration: layers, name and seed, with initial weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from nbdl.errors import FileFormatError
from nbdl.model.owner import Owner
from nbdl.units.kept import refuse_kept
from nbdl.units.registry import registry

M = TypeVar("M", bound=Owner)


def from_config(config: dict[str, Any], make: Callable[..., M]) -> M:
    """A model with initial weights, from what `get_config` returned.

    Args:
        make: called with `name` and `seed`; it returns a model without layers, to which they can be added one by one.
    """
    if not isinstance(config, dict) or "layers" not in config:
        raise FileFormatError("not a model's config: it has no 'layers'")
    order = config.get("order", range(len(config["layers"])))
    if not all(number in range(len(config["layers"])) for number in order):
        raise FileFormatError(f"not a model's config: order: expected places among {len(config['layers'])} layers")
    layers = [registry.make("layers", layer, "the config's layers") for layer in config["layers"]]
    for layer, written in zip(layers, config["layers"], strict=True):
        if isinstance(written, dict) and isinstance(written.get("config"), dict):
            refuse_kept(layer, written["config"])
    model: Any = make(name=config.get("name", "sequential"), seed=config.get("seed"))
    for position, number in enumerate(order):
        if position == 0 or not layers[number].declares_input:  # version 0.1.0 took further ones, which did nothing
            model.add(layers[number])
    if "input_shape" in config and model.layers and model.input_shape is None:
        model.build(tuple(config["input_shape"]))
    return cast(M, model)
