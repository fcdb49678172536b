"""Recording a network: forward, loss, metrics, backward and update, as one program.

Training and inference are two recordings of the same steps; nothing here knows a device or a unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbdl.errors import ConfigError
from nbdl.network.forward import add_gradient, backward, forward
from nbdl.network.objective import OutputLoss, report, row_mean_gradient
from nbdl.network.setup import NOT_COMPILED
from nbdl.network.update import update
from nbdl.program.functions import nothing, same
from nbdl.program.operation import Program
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor

if TYPE_CHECKING:
    from nbdl.engine.store import Weight
    from nbdl.network.network import Network
    from nbdl.network.setup import Setup


def record(network: Network, setup: Setup | None, mode: str) -> Program:
    """Record the program of a network: to "predict", its "derivative", to "evaluate" or to "train".

    "row" predicts from rows in which several inputs lie side by side, as nets in compiled code take them.

    Args:
        setup: what `compile` chose; predictions and their derivative need none.

    Raises:
        ConfigError: there is no such mode, or no setup where one is needed.
    """
    network.build()
    if mode == "predict":
        return prediction_program(network)
    if mode == "row":
        return row_program(network)
    if mode == "derivative":
        return derivative_program(network)
    if setup is None:
        raise ConfigError(NOT_COMPILED)
    if mode == "evaluate":
        return evaluation_program(network, setup)
    if mode == "train":
        return training_program(network, setup)
    raise ConfigError(f"program: 'predict', 'derivative', 'evaluate' or 'train', got {mode!r}")


def prediction_program(network: Network) -> Program:
    """Each input → predictions; several outputs lie side by side in a row."""
    r = Recorder()
    values = inputs_of(r, network)
    forward(r, network.steps, values, network.shapes)
    return r.finish(_predictions(r, network, values))


def row_program(network: Network) -> Program:
    """All inputs of a row side by side → predictions."""
    r = Recorder()
    values = parts_of(r, network)[1]
    forward(r, network.steps, values, network.shapes)
    return r.finish(_predictions(r, network, values))


def derivative_program(network: Network) -> Program:
    """x, dy → dx: the derivative of the predictions by the inputs, each row's times its dy.

    Several inputs lie side by side in x and dx, several outputs in dy.
    """
    r = Recorder()
    _, values = parts_of(r, network)
    sizes = [math.prod(shape) for shape in network.output_shapes]
    dy = r.input(network.output_shapes[0] if len(sizes) == 1 else (sum(sizes),), "dy")
    nodes = forward(r, network.steps, values)
    gradients: dict[int, Tensor] = {}
    with r.recording("derivative", "backward"):
        start = 0
        for number, size, shape in zip(network.outputs, sizes, network.output_shapes, strict=True):
            own = dy if len(sizes) == 1 else r.reshape(r.slice(dy, start, start + size), shape)
            add_gradient(r, gradients, number, own)
            start += size
    backward(r, nodes, gradients)
    with r.recording("derivative", "backward"):
        found = [
            gradients[number] if number in gradients else r.map(nothing, values[number])
            for number in range(len(network.input_names))
        ]
        return r.finish(found[0] if len(found) == 1 else _side_by_side(r, found))


def evaluation_program(network: Network, setup: Setup, training: bool = False) -> Program:
    """Inputs, targets, weights → sums of the losses and of each metric.

    Args:
        training: whether layers act as in training, for tests of gradients.
    """
    r = Recorder(training)
    values = inputs_of(r, network)
    targets = targets_of(r, network, setup)
    nodes = forward(r, network.steps, values)
    losses = [
        OutputLoss(r, goal, nodes, values, network.outputs[goal.output], y, weights)
        for goal, (y, weights) in zip(setup.goals, targets, strict=True)
    ]
    report(r, losses, nodes, network.store, [values[number] for number in network.penalties])
    return r.finish()


def training_program(network: Network, setup: Setup) -> Program:
    """One step: forward, loss, backward, check, update.

    Raises:
        ConfigError: a layer gives no gradient for one of its weights, or does not return what it should.
    """
    r, checked = _differentiated(network, setup)
    update(r, setup.optimizer, network.store, checked)
    return r.finish()


def gradient_program(network: Network, setup: Setup, weights: Sequence[Weight]) -> Program:
    """The loss, and behind all else in the log its gradients by these weights, penalties included."""
    network.build()
    r, _ = _differentiated(network, setup)
    for weight in weights:
        with r.recording(weight.name, "regularize"):
            w = weight.tensor
            g = r.gradients[w] if w in r.gradients else r.map(nothing, w)
            g = g if g.shape == w.shape else r.reshape(g, w.shape)
            if weight.regularizer is not None:
                g = weight.regularizer.gradient(r, w, g)
            r.map(same, g, into=[r.reshape(r.log(f"gradient of {weight.name}", w.features), w.shape)])
    return r.finish()


def _differentiated(network: Network, setup: Setup) -> tuple[Recorder, Tensor]:
    """Forward, losses and backward; the recorder, and the losses that must be finite."""
    r = Recorder(training=True)
    values = inputs_of(r, network)
    targets = targets_of(r, network, setup)
    nodes = forward(r, network.steps, values, network.shapes)
    losses = [
        OutputLoss(r, goal, nodes, values, network.outputs[goal.output], y, weights)
        for goal, (y, weights) in zip(setup.goals, targets, strict=True)
    ]
    checked = report(r, losses, nodes, network.store, [values[number] for number in network.penalties])
    gradients: dict[int, Tensor] = {}
    for loss in losses:
        loss.add_gradient(gradients)
    with r.recording("loss", "backward"):
        for number in network.penalties:
            add_gradient(r, gradients, number, row_mean_gradient(r, values[number]))
    _refuse_missing(r, network, backward(r, nodes, gradients))
    return r, checked


def _refuse_missing(r: Recorder, network: Network, reached: set[int]) -> None:
    """Refuse a layer that a gradient reached and that gives none for a weight; forget those of frozen layers.

    Raises:
        ConfigError: there is such a layer.
    """
    for weight in network.store.weights:
        if weight.trained and weight.tensor not in r.gradients and id(weight.layer) in reached:
            raise ConfigError(
                f"layer {weight.layer.name!r} ({type(weight.layer).__name__}): backward gives no gradient of "
                f"{weight.name!r}: call r.gradient(weight, ...) for each; what has none is made by b.state(...)"
            )
        if not weight.trained:  # of a frozen layer: what led to it alone is not part of the program
            r.gradients.pop(weight.tensor, None)


# -- what a batch brings ------------------------------------------------------------------------------------


def inputs_of(r: Recorder, network: Network) -> dict[int, Tensor]:
    """Record the inputs of a network; return them by number."""
    names, shapes = network.input_names, network.known_input_shapes()
    titles = ["x"] if len(names) == 1 else list(names)
    return {number: r.input(shape, title) for number, (title, shape) in enumerate(zip(titles, shapes, strict=True))}


def parts_of(r: Recorder, network: Network) -> tuple[Tensor, dict[int, Tensor]]:
    """Record one input with all inputs of a network side by side; return it, and its parts by number."""
    shapes = network.known_input_shapes()
    if len(shapes) == 1:
        x = r.input(shapes[0], "x")
        return x, {0: x}
    sizes = [math.prod(shape) for shape in shapes]
    x, values, start = r.input((sum(sizes),), "x"), {}, 0
    with r.recording("inputs", "forward"):
        for number, (size, shape) in enumerate(zip(sizes, shapes, strict=True)):
            values[number] = r.reshape(r.slice(x, start, start + size), shape)
            start += size
    return x, values


def targets_of(r: Recorder, network: Network, setup: Setup) -> list[tuple[Tensor, Tensor]]:
    """Record the targets of each loss, then the weights of the rows for each."""
    shapes = [goal.loss.target_shape(network.output_shapes[goal.output]) for goal in setup.goals]
    ys = [r.input(shape, goal.logged("y")) for goal, shape in zip(setup.goals, shapes, strict=True)]
    return [(y, r.input((1,), goal.logged("row weights"))) for goal, y in zip(setup.goals, ys, strict=True)]


def _predictions(r: Recorder, network: Network, values: dict[int, Tensor]) -> Tensor:
    found = [values[number] for number in network.outputs]
    with r.recording("predictions", "forward"):
        return found[0] if len(found) == 1 else _side_by_side(r, found)


def _side_by_side(r: Recorder, tensors: list[Tensor]) -> Tensor:
    return r.concat(*(r.reshape(tensor, (tensor.features,)) for tensor in tensors))
