"""Models from their configuration: layers, name and seed, with initial weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nbdl.errors import FileFormatError
from nbdl.model.graph_config import graph_from, remade
from nbdl.model.owner import Owner, face_of, seed_of
from nbdl.network.chain import Chain
from nbdl.network.network import Network

M = TypeVar("M", bound=Owner)


def network_from(config: dict[str, Any], made: list[Any] | None = None) -> Network:
    """A network with initial weights, from what a model's `get_config` returned.

    Args:
        made: the layers and models that were made so far, for models around this one.

    Raises:
        FileFormatError: it is no such config.
    """
    if not isinstance(config, dict) or "layers" not in config:
        raise FileFormatError("not a model's config: it has no 'layers'")
    made = [] if made is None else made
    return graph_from(config, _model_from, made) if "calls" in config else _chain_from(config, made)


def _chain_from(config: dict[str, Any], made: list[Any]) -> Chain:
    order = config.get("order", range(len(config["layers"])))
    if not all(number in range(len(config["layers"])) for number in order):
        raise FileFormatError(f"not a model's config: order: expected places among {len(config['layers'])} layers")
    layers = [remade(layer, _model_from, made) for layer in config["layers"]]
    chain = Chain(config.get("name", "sequential"), seed_of(config.get("seed")))
    for position, number in enumerate(order):
        if position == 0 or not layers[number].declares_input:  # version 0.1.0 took further ones, which did nothing
            chain.add(layers[number])
    if "input_shape" in config and chain.layers and chain.input_shape is None:
        chain.build(tuple(config["input_shape"]))
    return chain


def _model_from(config: dict[str, Any], made: list[Any]) -> Owner:
    return face_of(network_from(config, made))


def from_config(config: dict[str, Any], make: Callable[[Network], M]) -> M:
    """A model with initial weights, from what `get_config` returned.

    Args:
        make: makes the model around its network.
    """
    return make(network_from(config))
