"""The configuration of a model that is a graph: its layers, the calls of them, inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nbdl.errors import FileFormatError
from nbdl.model.owner import Owner, job_of, seed_of
from nbdl.network.graph import Graph, network_of
from nbdl.units.kept import refuse_kept
from nbdl.units.registry import registry
from nbdl.units.symbol import Call, Symbol
from nbdl.units.unit import serialize

Make = Callable[[dict[str, Any], list[Any]], Owner]  # of a model's configuration, and what was made so far


def graph_config(model: Owner, seen: dict[int, int]) -> dict[str, Any]:
    """A graph as plain data, without weights. A call names its layer and what it was called on, by their numbers.

    Args:
        seen: the layers and models that were written so far, in the models around this one too: ids and numbers. One
            that is met again is written as {"same": its number}.
    """
    graph = job_of(model).network
    assert isinstance(graph, Graph)
    layers = graph.layers
    numbers = {id(layer): number for number, layer in enumerate(layers)}
    where = {id(symbol): [number, symbol.index] for number, call in enumerate(graph.calls) for symbol in call.outputs}
    calls: list[dict[str, Any]] = []
    for call in graph.calls:
        layer = None if call.layer is None else numbers[id(call.layer)]
        if all(id(symbol) in where for symbol in call.inputs) and call.inputs:
            calls.append({"layer": layer, "inputs": [where[id(symbol)] for symbol in call.inputs]})
        else:
            declares = call.layer is not None and getattr(call.layer, "declares_input", False)
            shapes = [list(symbol.row_shape) for symbol in call.outputs]
            calls.append({"layer": layer if declares else None, "shapes": shapes})

    def places(symbols: Sequence[Symbol]) -> list[list[int]]:
        return [where[id(symbol)] for symbol in symbols]

    config: dict[str, Any] = {
        "name": model.name,
        "seed": model.seed,
        "layers": [written(layer, graph.title(layer), seen) for layer in layers],
        "calls": calls,
        "inputs": places(graph.inputs),
        "outputs": places(graph.results),
    }
    if graph.added:
        config["losses"] = places(graph.added)
    return config


def written(layer: Any, name: str, seen: dict[int, int]) -> dict[str, Any]:
    """A layer, or a model that serves as one, as plain data."""
    if id(layer) in seen:
        return {"same": seen[id(layer)]}
    seen[id(layer)] = len(seen)
    if network_of(layer) is None:
        return dict(serialize(layer))
    return {"name": name, "model": layer.config_within(seen)}


def graph_from(config: dict[str, Any], make_model: Make, made: list[Any]) -> Graph:
    """A graph from its configuration.

    Args:
        make_model: makes a model that serves as a layer from its configuration.
        made: the layers and models that were made so far, by number.

    Raises:
        FileFormatError: a number in it names nothing.
    """
    layers = [remade(one, make_model, made) for one in config["layers"]]
    calls: list[Call] = []

    def symbol_at(place: Sequence[int]) -> Symbol:
        number, index = place
        if number >= len(calls) or index >= len(calls[number].outputs):
            raise FileFormatError(f"not a model's config: expected a place among {len(calls)} calls, got {place}")
        return calls[number].outputs[index]

    for one in config["calls"]:
        number = one.get("layer")
        if number is not None and number >= len(layers):
            raise FileFormatError(f"not a model's config: expected one of {len(layers)} layers, got {number}")
        layer = None if number is None else layers[number]
        if "inputs" in one:
            if layer is None:
                raise FileFormatError("not a model's config: a call without a layer")
            given = [symbol_at(place) for place in one["inputs"]]
            found = layer(given[0] if len(given) == 1 else given)
            calls.append((found if isinstance(found, Symbol) else found[0]).call)
        elif layer is not None:
            symbol = layer.declared_symbol
            if symbol is None:
                raise FileFormatError("not a model's config: an input without a shape")
            calls.append(symbol.call)
        else:
            calls.append(Call(None))
            calls[-1].give(tuple(shape) for shape in one["shapes"])
    graph = Graph(
        config.get("name", "model"),
        seed_of(config.get("seed")),
        [symbol_at(place) for place in config["inputs"]],
        [symbol_at(place) for place in config["outputs"]],
    )
    for place in config.get("losses", ()):
        graph.add_penalty(symbol_at(place))
    return graph


def remade(config: Any, make_model: Make, made: list[Any]) -> Any:
    """A layer, or a model that serves as one, from what `written` gave.

    Raises:
        FileFormatError: it is the same as one that is not there.
    """
    if isinstance(config, dict) and "same" in config:
        if config["same"] >= len(made) or made[config["same"]] is None:
            raise FileFormatError(f"not a model's config: expected one of {len(made)} layers, got {config['same']}")
        return made[config["same"]]
    number = len(made)
    made.append(None)
    if isinstance(config, dict) and "model" in config:
        made[number] = make_model(config["model"], made)
    else:
        made[number] = registry.make("layers", config, "the config's layers")
        if isinstance(config, dict) and isinstance(config.get("config"), dict):
            refuse_kept(made[number], config["config"])
    return made[number]
