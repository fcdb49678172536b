"""summary: a table of the layers, in Keras 2's form."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbdl.network.network import Network


def _shape(shape: Sequence[int]) -> str:
    return f"(None, {', '.join(map(str, shape))})"


def _row(fields: Sequence[str], line_length: int) -> str:
    positions = [int(line_length * share) for share in (0.45, 0.85, 1.0)]
    line = ""
    for field, end in zip(fields, positions, strict=True):
        line = (line + field)[: end - 1].ljust(end)
    return line.rstrip()


def summary(network: Network, line_length: int = 65) -> Iterator[str]:
    """Keras 2's table: layers, output shapes, numbers of weights; as Keras 3 has it of a model that is not built."""
    known = bool(network.layers) and network.input_shape is not None
    if known:
        network.build()
    shapes = [_shape(shape) for shape in network.shapes] if known else ["?" for _ in network.layers]
    counted: dict[int, tuple[int, int]] = {}
    for weight in network.weights:
        total, trainable = counted.get(id(weight.layer), (0, 0))
        size = math.prod(weight.tensor.shape)
        counted[id(weight.layer)] = (total + size, trainable + size * weight.trained)
    yield f'Model: "{network.name}"'
    yield "_" * line_length
    yield _row(["Layer (type)", "Output Shape", "Param #"], line_length)
    yield "=" * line_length
    for number, (layer, shape) in enumerate(zip(network.layers, shapes, strict=True)):
        if number:
            yield "_" * line_length
        title = f"{layer.name} ({type(layer).__name__})"
        params = str(counted.get(id(layer), (0, 0))[0]) if known else "unbuilt"
        yield _row([title, shape, params], line_length)
    total = sum(sizes[0] for sizes in counted.values())
    trainable = sum(sizes[1] for sizes in counted.values())
    yield "=" * line_length
    yield f"Total params: {total:,}"
    yield f"Trainable params: {trainable:,}"
    yield f"Non-trainable params: {total - trainable:,}"
    yield "_" * line_length
