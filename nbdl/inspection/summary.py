"""summary: a table of the layers, in Keras 2's form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nbdl.network.graph import Graph, network_of

if TYPE_CHECKING:
    from nbdl.network.network import Network
    from nbdl.units.layer import Layer
    from nbdl.units.symbol import Call

POSITIONS = (0.45, 0.85, 1.0)  # where columns end, as shares of a line: those of Keras 2
GRAPH_POSITIONS = (0.33, 0.55, 0.67, 1.0)


def _shape(shape: Sequence[int]) -> str:
    return f"(None, {', '.join(map(str, shape))})"


def _row(fields: Sequence[str], ends: Sequence[float], line_length: int) -> str:
    positions = [int(line_length * share) for share in ends]
    line = ""
    for field, end in zip(fields, positions, strict=True):
        line = (line + field)[: end - 1].ljust(end)
    return line.rstrip()


def summary(network: Network, line_length: int | None = None, expand: bool = False) -> Iterator[str]:
    """Keras 2's table: layers, output shapes, numbers of weights; as Keras 3 has it of a model that is not built.

    Of a graph a further column says what each layer is connected to.

    Args:
        expand: show the layers of models within a graph too, each below its model and further to the right.
    """
    graph = network if isinstance(network, Graph) else None
    ends = POSITIONS if graph is None else GRAPH_POSITIONS
    line_length = line_length or (65 if graph is None else 98)
    known = bool(network.steps) and network.input_shapes is not None
    if known:
        network.build()
    counted: dict[int, tuple[int, int]] = {}
    for weight in network.weights:
        total, trainable = counted.get(id(weight.layer), (0, 0))
        size = math.prod(weight.tensor.shape)
        counted[id(weight.layer)] = (total + size, trainable + size * weight.trained)
    yield f'Model: "{network.name}"'
    yield "_" * line_length
    yield _row(["Layer (type)", "Output Shape", "Param #", "Connected to"][: len(ends)], ends, line_length)
    yield "=" * line_length
    rows = _chain_rows(network, known) if graph is None else _graph_rows(graph, expand)
    for number, (title, shape, layers, connected) in enumerate(rows):
        if number:
            yield "_" * line_length
        params = str(sum(counted.get(id(layer), (0, 0))[0] for layer in layers)) if known else "unbuilt"
        yield _row([title, shape, params, connected][: len(ends)], ends, line_length)
    total = sum(sizes[0] for sizes in counted.values())
    trainable = sum(sizes[1] for sizes in counted.values())
    yield "=" * line_length
    yield f"Total params: {total:,}"
    yield f"Trainable params: {trainable:,}"
    yield f"Non-trainable params: {total - trainable:,}"
    yield "_" * line_length


def _chain_rows(network: Network, known: bool, indent: str = "") -> Iterator[tuple[str, str, list[Layer], str]]:
    """Title, shape, layers and connection of each row."""
    for step in network.steps:
        shape = _shape(network.shapes[step.outputs[0]]) if known else "?"
        yield f"{indent}{step.layer.name} ({type(step.layer).__name__})", shape, [step.layer], ""


def _graph_rows(graph: Graph, expand: bool, indent: str = "") -> Iterator[tuple[str, str, list[Layer], str]]:
    """The same of a graph: a row for each layer, or model, with all that it is called on."""
    calls: dict[Any, list[Call]] = {}
    firsts = [symbol.call for symbol in graph.inputs]
    for call in graph.calls:
        calls.setdefault(call.layer if call.layer is not None else call, []).append(call)
    for layer, several in calls.items():
        inner = network_of(layer)
        title = f"{indent}{graph.title(layer)} ({type(layer).__name__})" if layer is several[0].layer else "input"
        shapes = [_shape(symbol.row_shape) for symbol in several[0].outputs]
        inputs = dict.fromkeys(
            graph.title(one.call.layer) or "input" for call in several for one in call.inputs if call not in firsts
        )
        yield title, ", ".join(shapes), inner.all_layers if inner else [layer], ", ".join(inputs)
        if expand and isinstance(inner, Graph):
            yield from _graph_rows(inner, expand, f"{indent}  ")
        elif expand and inner:
            yield from _chain_rows(inner, True, f"{indent}  ")
