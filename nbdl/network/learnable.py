"""Whether a network's outputs are such that its loss can fall: what layers give, and what losses take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl.errors import CannotLearnWarning, ConfigError, warn
from nbdl.units.loss import SLACK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nbdl.network.network import Network
    from nbdl.network.setup import Goal, Setup
    from nbdl.units.layer import Layer, Shape
    from nbdl.units.loss import Loss

DOMAINS = {"probabilities": (0.0, 1.0), "positive": (0.0, math.inf)}  # by what a loss says of predictions
LARGE = 1e3  # what reaches it, where activations are sampled, has no limit


def range_of(layer: Layer) -> tuple[float, float] | None:
    """The least and the largest output of a layer, None where it is not known."""
    return layer.output_range if layer.activation is None else layer.activation.output_range


def warn_of_outputs(network: Network, setup: Setup) -> None:
    """Warn, once for each `compile`, of a network that cannot learn."""
    if setup.warned or not network.built or not network.steps:
        return
    setup.warned = True
    texts = list(constant_layers(network))
    for goal in setup.goals:
        end = End(network, goal)
        texts += [*over_one(end), *unsuitable(end), *squeezed(end), *one_sided(end)]
    for text in dict.fromkeys(texts):
        warn(f"This model cannot learn as it should: {text}", CannotLearnWarning)


class End:
    """Where a network ends in an output that has a loss.

    Attributes:
        loss: of the output.
        shape: of one row of it.
        layers: the layers from the last one on backwards, as long as each has one input, without those that only move.
    """

    def __init__(self, network: Network, goal: Goal) -> None:
        number = network.outputs[goal.output]
        self.loss, self.shape = goal.loss, network.shapes[number]
        self.layers: list[Layer] = []
        makers = {one: step for step in network.steps for one in step.outputs}
        while number in makers:
            step = makers[number]
            if not step.layer.moves_only:
                self.layers.append(step.layer)
            if len(step.inputs) > 1 or len(step.outputs) > 1:
                break
            (number,) = step.inputs

    @property
    def last(self) -> Layer | None:
        """The last layer."""
        return next(iter(self.layers), None)


def constant_layers(network: Network) -> list[str]:
    """What is wrong with layers whose outputs are the same whatever goes in."""
    found = [
        f"{type(layer).__name__} {layer.name!r} ends in {layer.activation.name!r} over a single output, which is "
        "always 1. For two classes and one output use 'sigmoid', for a number no activation"
        for layer, shape in layer_shapes(network)
        if layer.activation is not None and layer.activation.adds_up and shape[-1] == 1
    ]
    trained = False
    for layer, shape in layer_shapes(network):
        if layer.compares_features and trained and math.prod(shape) == 1:
            found.append(
                f"{type(layer).__name__} {layer.name!r} compares the features of a row with one another, and there is "
                "only one: what the layers before it learn makes no difference. Leave it out"
            )
        trained |= bool(layer.weights)
    return found


def over_one(end: End) -> list[str]:
    """What is wrong with a loss that compares the outputs of a row where there is only one."""
    if not end.loss.over_columns or end.shape[-1] != 1 or (end.last is not None and _adds_up(end.last)):
        return []
    return [
        f"the loss {end.loss.name!r} compares the outputs of a row with one another, and there is only one. For "
        "two classes and one output use 'binary_crossentropy' after 'sigmoid'"
    ]


def _adds_up(layer: Layer) -> bool:
    return layer.activation is not None and layer.activation.adds_up


def layer_shapes(network: Network) -> list[tuple[Layer, Shape]]:
    """Each layer with the shape of a row of its outputs, in the order of the steps."""
    return [(step.layer, network.shapes[number]) for step in network.steps for number in step.outputs]


def unsuitable(end: End) -> list[str]:
    """What is wrong with outputs that are no probabilities, before a loss that takes such."""
    layer, loss = end.last, end.loss
    if layer is None or loss.from_logits or loss.predictions != "probabilities":
        return []
    if layer.zeroes:
        return [
            f"the loss {loss.name!r} takes probabilities, and {type(layer).__name__} {layer.name!r} sets some of the "
            "outputs to 0 while training. Put it before the last layer that has weights"
        ]
    found = range_of(layer)
    if found is None or within(found, loss):
        return []
    low, high = (math.copysign(math.inf, end) if abs(end) >= LARGE else round(end, 2) for end in found)
    remedy = " or ".join(repr(name) for name in type(loss).pairs) or "'sigmoid' or 'softmax'"
    own = "" if layer.activation is None else f", after {layer.activation.name!r},"
    logits = ", or the loss from_logits=True" if type(loss).pairs and high == math.inf and low == -math.inf else ""
    return [
        f"the loss {loss.name!r} takes probabilities, and the outputs of {type(layer).__name__} {layer.name!r}"
        f"{own} lie between {low:g} and {high:g}. Give the last layer activation={remedy}{logits}"
    ]


def within(found: tuple[float, float], loss: Loss) -> bool:
    """Whether outputs of that range are such as the loss takes."""
    low, high = DOMAINS.get(str(loss.predictions), (-math.inf, math.inf))
    return found[0] >= low - SLACK and found[1] <= high + SLACK


def fits(network: Network, goal: Goal) -> bool:
    """Whether an output is known to be such as its loss takes."""
    layer, loss = End(network, goal).last, goal.loss
    if layer is None or layer.zeroes:
        return False
    found = range_of(layer)
    return loss.from_logits or (found is not None and within(found, loss))


def squeezed(end: End) -> list[str]:
    """What is wrong with an activation of the loss's pairs, which takes logits, after outputs from 0 to 1."""
    loss = end.loss
    last, before, *_ = *end.layers, None, None
    if last is None or before is None or not last.activates_only or last.activation is None:
        return []
    found = range_of(before)
    if last.activation.unit_name not in type(loss).pairs or found is None or before.activation is None:
        return []
    if not (found[0] >= -SLACK and found[1] <= 1.0 + SLACK):
        return []
    return [
        f"{type(last).__name__} {last.name!r} applies {last.activation.name!r} to the outputs of "
        f"{type(before).__name__} {before.name!r} after {before.activation.name!r}, which lie between 0 and 1, so "
        "that no probability comes near 0 or 1. Leave one of the two activations out"
    ]


def one_sided(end: End) -> list[str]:
    """What is wrong with outputs that are never negative, before a loss that tells classes by the sign."""
    layer, loss = end.last, end.loss
    found = None if layer is None else range_of(layer)
    if layer is None or loss.targets != "signs" or found is None or found[0] < 0.0:
        return []
    own = "" if layer.activation is None else f", after {layer.activation.name!r},"
    return [
        f"the loss {loss.name!r} tells two classes by the sign, and the outputs of {type(layer).__name__} "
        f"{layer.name!r}{own} are never negative. Give the last layer no activation, or 'tanh'"
    ]


def warn_of_frozen(network: Network) -> None:
    """Warn before a training that changes no weight."""
    refuse_shared_and_frozen(network)
    if network.weights and not network.trainable_weights:
        warn(
            "This model cannot learn as it should: none of its weights is trainable. Set layer.trainable = True where "
            "one is to be trained",
            CannotLearnWarning,
        )


def refuse_shared_and_frozen(network: Network) -> None:
    """Refuse to train a model that would change no weight, and whose layers are part of another model.

    Raises:
        ConfigError: it is one. Keras's script of a GAN freezes its judge between two calls of `compile`, and the judge
            goes on learning by itself; here it would not.
    """
    if any(weight.trained for weight in network.weights) or not network.weights:
        return
    if any(other is not network for layer in network.all_layers for other in layer.networks):
        raise ConfigError(
            f"model {network.name!r} would change no weight: its layers, which another model uses too, are frozen, "
            "and `trainable` acts at once, whenever a model was compiled. Set trainable = True before its own "
            "steps, and False before those of the other model"
        )


def warn_of_values(network: Network, setup: Setup, targets: Sequence[NDArray[Any]]) -> None:
    """Warn of metrics that take each target for one of two classes, where targets are other values."""
    for goal, y in zip(setup.goals, targets, strict=True):
        outputs = math.prod(network.output_shapes[goal.output])
        names = [goal.reported(name) for name, metric in goal.metrics if metric.counts_classes(outputs)]
        if not names or math.prod(y.shape[1:]) != outputs:  # labels count as one-hot rows
            continue
        others = y[(y != 0) & (y != 1) & (y != -1)]
        if others.size:
            shown = ", ".join(repr(name) for name in names)
            who = f"the metric {shown} is" if len(names) == 1 else f"the metrics {shown} are"
            warn(
                f"{who} for targets of two classes, 0 and 1, and {others.size} of {y.size} numbers of y are neither, "
                f"such as {float(others[0]):g}. The figures do not tell how close predictions are; 'mae', 'r2_score' "
                "and other metrics of values do"
            )
