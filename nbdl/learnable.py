"""Whether a model's outputs are such that its loss can fall: what layers give, and what losses take."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nbdl.errors import CannotLearnWarning, warn
from nbdl.specs import SLACK

if TYPE_CHECKING:
    from nbdl.layer import Layer
    from nbdl.model import Sequential

LARGE = 1e3  # what reaches it, where activations are sampled, has no limit


def range_of(layer: Layer) -> tuple[float, float] | None:
    """The least and the largest output of a layer, None where it is not known."""
    return layer.output_range if layer.activation is None else layer.activation.output_range


def warn_of_outputs(model: Sequential) -> None:
    """Warn, once for each `compile`, of a model that cannot learn."""
    compiled = model.compiled
    if compiled is None or compiled.looked_at or not model.built or not model.layers:
        return
    compiled.looked_at = True
    for text in (*constant_layers(model), *unsuitable(model)):
        warn(f"This model cannot learn as it should: {text}", CannotLearnWarning)


def constant_layers(model: Sequential) -> list[str]:
    """What is wrong with layers whose outputs are the same whatever goes in."""
    found = [
        f"{type(layer).__name__} {layer.name!r} ends in {layer.activation.name!r} over a single output, which is "
        "always 1. For two classes and one output use 'sigmoid', for a number no activation"
        for layer, shape in zip(model.layers, model._shapes, strict=True)
        if layer.activation is not None and layer.activation.adds_up and shape[-1] == 1
    ]
    loss, outputs = model.compiled.loss if model.compiled else None, model.output_shape[-1]
    if not found and loss is not None and loss.over_columns and outputs == 1:
        found.append(
            f"the loss {loss.name!r} compares the outputs of a row with one another, and there is only one. For "
            "two classes and one output use 'binary_crossentropy' after 'sigmoid'"
        )
    return found


def unsuitable(model: Sequential) -> list[str]:
    """What is wrong with outputs that are no probabilities, before a loss that takes such."""
    assert model.compiled is not None
    loss = model.compiled.loss
    layer = next((one for one in reversed(model.layers) if not one.moves_only), None)
    if layer is None or loss.from_logits or loss.predictions != "probabilities":
        return []
    found = range_of(layer)
    if found is None or (found[0] >= -SLACK and found[1] <= 1.0 + SLACK):
        return []
    low, high = (math.copysign(math.inf, end) if abs(end) >= LARGE else round(end, 2) for end in found)
    remedy = " or ".join(repr(name) for name in type(loss).pairs) or "'sigmoid' or 'softmax'"
    own = "" if layer.activation is None else f", after {layer.activation.name!r},"
    logits = ", or the loss from_logits=True" if type(loss).pairs and high == math.inf and low == -math.inf else ""
    return [
        f"the loss {loss.name!r} takes probabilities, and the outputs of {type(layer).__name__} {layer.name!r}"
        f"{own} lie between {low:g} and {high:g}. Give the last layer activation={remedy}{logits}"
    ]
