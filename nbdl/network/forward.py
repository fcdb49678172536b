"""Forward and backward through the steps of a network, recorded unit by unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.program.checks import result
from nbdl.program.functions import add, nothing, per
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Shape, Tensor
from nbdl.units.activation import Activation
from nbdl.units.regularizer import Regularizer

if TYPE_CHECKING:
    from nbdl.network.network import Step
    from nbdl.units.layer import Layer


@dataclass(frozen=True)
class Node:
    """One unit of the forward pass: a layer, or the activation that follows it.

    Attributes:
        layer: the layer's name.
        inputs, outputs: the numbers of its tensors; below 0 between a layer and its activation.
        x, y: the tensors; a tuple of them for a layer that takes, or gives, several.
        saved: what `backward` needs.
    """

    layer: str
    unit: Layer | Activation
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    x: Any
    y: Any
    saved: Any
    activity_regularizer: Regularizer | None = None


def forward(
    r: Recorder, steps: Sequence[Step], values: dict[int, Tensor], shapes: Mapping[int, Shape] | None = None
) -> list[Node]:
    """Record all steps; a layer's `activation` is a node of its own, wherever it was written.

    Args:
        values: the tensors by number, those of the inputs; all others are added.
        shapes: of one row of each, as `build` said.

    Raises:
        ConfigError: a layer does not return what it should.
    """
    nodes: list[Node] = []
    for number, step in enumerate(steps):
        layer = step.layer
        units: list[Layer | Activation] = [layer] if layer.activation is None else [layer, layer.activation]
        inputs = step.inputs
        for unit in units:
            outputs = step.outputs if unit is units[-1] else (-1 - number,)
            several = unit is layer and layer.takes_several
            xs = tuple(values[one] for one in inputs)
            with r.recording(layer.name, "forward"):
                y, saved = _returned(unit.forward(r, *xs), layer, unit, len(outputs))
            for one, tensor in zip(outputs, y, strict=True):
                values[one] = tensor
            penalty = layer.activity_regularizer if unit is units[-1] else None
            x: Any = xs if several else xs[0]
            nodes.append(Node(layer.name, unit, inputs, outputs, x, y if len(y) > 1 else y[0], saved, penalty))
            inputs = outputs
        for one in step.outputs:
            tensor = values[one]
            if shapes and not (tensor.batched and tensor.features == math.prod(shapes[one])):
                raise ConfigError(
                    f"{_who(layer.name, layer)}: forward gave {tensor.describe()}, and build said that a row of "
                    f"outputs has the shape {shapes[one]}"
                )
    return nodes


def _returned(returned: Any, layer: Layer, unit: Layer | Activation, count: int) -> tuple[tuple[Tensor, ...], Any]:
    """The tensors that `forward` returned, and what it saved."""
    if isinstance(returned, tuple) and len(returned) == 2:
        y = returned[0] if isinstance(returned[0], tuple | list) else (returned[0],)
        if len(y) == count and all(isinstance(one, Tensor) for one in y):
            return tuple(y), returned[1]
    wanted = "y" if count == 1 else f"a tuple of {count} tensors"
    raise ConfigError(
        f"{_who(layer.name, unit)}: forward returned {_described(returned)}; it returns {wanted} and what backward "
        f"needs: `return {'y' if count == 1 else 'ys'}, None`"
    )


def backward(r: Recorder, nodes: Sequence[Node], gradients: dict[int, Tensor]) -> set[int]:
    """Record the gradients of all nodes, from the last to the first; those of a tensor that several read add up.

    Args:
        gradients: by the number of a tensor: those that the loss gives. All others are added, and what has been used
            is taken out.

    Returns:
        The ids of the units that a gradient reached.

    Raises:
        ConfigError: a unit does not return the gradients of its inputs.
    """
    reached = set()
    for node in reversed(nodes):
        found = [gradients.pop(number, None) for number in node.outputs]
        if node.activity_regularizer is not None:
            own = activity_gradient(r, node)
            found[0] = own if found[0] is None else r.map(add, found[0], own)
        if any(gradient is not None for gradient in found):
            reached.add(id(node.unit))
            ys = node.y if isinstance(node.y, tuple) else (node.y,)
            dy = tuple(r.map(nothing, y) if one is None else one for one, y in zip(found, ys, strict=True))
            for number, dx in zip(node.inputs, backward_of(r, node, dy if len(dy) > 1 else dy[0]), strict=True):
                add_gradient(r, gradients, number, dx)
    return reached


def add_gradient(r: Recorder, gradients: dict[int, Tensor], number: int, gradient: Tensor) -> None:
    """Add to the gradient of a tensor."""
    known = gradients.get(number)
    gradients[number] = gradient if known is None else r.map(add, known, gradient)


def backward_of(r: Recorder, node: Node, dy: Any) -> tuple[Tensor, ...]:
    """Record the gradients of one node; return those of its inputs.

    Raises:
        ConfigError: they are not returned.
    """
    with r.recording(node.layer, "backward"):
        returned: Any = node.unit.backward(r, node.x, node.y, dy, node.saved)
    several = isinstance(node.x, tuple)
    xs = node.x if several else (node.x,)
    found = returned if several and isinstance(returned, tuple | list) else (returned,)
    if len(found) != len(xs) or any(
        not isinstance(one, Tensor) or one.batched != x.batched or one.features != x.features
        for one, x in zip(found, xs, strict=True)
    ):
        inputs = ", ".join(x.describe() for x in xs)
        wanted = f"a tuple of {len(xs)} gradients, of its inputs" if several else "dx, the gradient of its inputs"
        raise ConfigError(
            f"{_who(node.layer, node.unit)}: backward returned {_described(returned)}; it returns {wanted}, which are "
            f"{inputs}"
        )
    return tuple(found)


def activity_gradient(r: Recorder, node: Node) -> Tensor:
    """The derivative by y of the penalty on a layer's outputs, which is a mean over the rows."""
    assert node.activity_regularizer is not None
    with r.recording(node.layer, "backward"):
        unit, y = node.activity_regularizer, node.y
        gradient = unit.gradient(r, y, r.map(nothing, y))
        return r.map(per, result(gradient, True, y.features, unit, "gradient", "g + the derivative"), r.rows)


def _who(layer: str, unit: Layer | Activation) -> str:
    return f"layer {layer!r} ({type(unit).__name__})"


def _described(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_described, value))})"
    return value.describe() if isinstance(value, Tensor) else repr(value)
