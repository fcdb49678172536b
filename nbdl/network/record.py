"""Recording a network: forward, loss, metrics, backward and update, as one program.

Training and inference are two recordings of the same layers; nothing here knows a device or a unit.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.network.setup import NOT_COMPILED
from nbdl.network.update import update
from nbdl.program.checks import result
from nbdl.program.functions import add, nothing, per, per_any, same, times
from nbdl.program.operation import Program
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Shape, Tensor
from nbdl.units.activation import Activation
from nbdl.units.loss import Loss, Pair
from nbdl.units.metric import Metric
from nbdl.units.optimizer import Optimizer
from nbdl.units.regularizer import Regularizer

if TYPE_CHECKING:
    from nbdl.engine.store import Store
    from nbdl.network.network import Network
    from nbdl.network.setup import Setup
    from nbdl.units.layer import Layer


def record(network: Network, setup: Setup | None, mode: str) -> Program:
    """Record the program of a network: to "predict", its "derivative", to "evaluate" or to "train".

    Args:
        setup: what `compile` chose; predictions and their derivative need none.

    Raises:
        ConfigError: there is no such mode, or no setup where one is needed.
    """
    network.build()
    return _refuse_foreign(_recorded(network, setup, mode), network)


def _recorded(network: Network, setup: Setup | None, mode: str) -> Program:
    layers, shape = network.layers, network.known_input_shape()
    if mode == "predict":
        return prediction_program(layers, shape, network.shapes)
    if mode == "derivative":
        return derivative_program(layers, shape, network.output_shape)
    if setup is None:
        raise ConfigError(NOT_COMPILED)
    objective = Objective(setup.loss, setup.metrics)
    target_shape = setup.loss.target_shape(network.output_shape)
    if mode == "evaluate":
        return evaluation_program(layers, shape, target_shape, objective, network.store)
    if mode == "train":
        return training_program(layers, shape, target_shape, objective, setup.optimizer, network.store, network.shapes)
    raise ConfigError(f"program: 'predict', 'derivative', 'evaluate' or 'train', got {mode!r}")


def _refuse_foreign(program: Program, network: Network) -> Program:
    """A layer knows the weights of one network, the one that was built last: their offsets are in that one's store."""
    own = {id(weight.tensor) for weight in network.weights}
    for operation in program.operations:
        for tensor in (*operation.inputs, *operation.outputs):
            if tensor.space == "weight" and operation.phase != "update" and id(tensor.storage) not in own:
                raise ConfigError(
                    f"layer {operation.layer!r} was put into another model after {network.name!r}, and its weights "
                    "went with it: give each model layers of its own; set_weights copies values"
                )
    return program


@dataclass(frozen=True)
class Node:
    """One step of the forward pass: a layer, or the activation that follows it."""

    layer: str
    unit: Layer | Activation
    x: Tensor
    y: Tensor
    saved: Any
    activity_regularizer: Regularizer | None = None


def forward(r: Recorder, layers: Sequence[Layer], x: Tensor, shapes: Sequence[Shape] = ()) -> list[Node]:
    """Record all layers; a layer's `activation` is a node of its own, wherever it was written.

    Args:
        shapes: of one row of each layer's outputs, as its `build` said.

    Raises:
        ConfigError: a layer does not return what it should.
    """
    nodes = []
    for number, layer in enumerate(layers):
        units: list[Layer | Activation] = [layer] if layer.activation is None else [layer, layer.activation]
        for unit in units:
            with r.recording(layer.name, "forward"):
                returned: Any = unit.forward(r, x)
                if not isinstance(returned, tuple) or len(returned) != 2 or not isinstance(returned[0], Tensor):
                    raise ConfigError(
                        f"{_who(layer.name, unit)}: forward returned {_described(returned)}; it returns y and what "
                        "backward needs: `return y, None`"
                    )
                y, saved = returned
            nodes.append(Node(layer.name, unit, x, y, saved, layer.activity_regularizer if unit is units[-1] else None))
            x = y
        if shapes and not (x.batched and x.features == math.prod(shapes[number])):
            raise ConfigError(
                f"{_who(layer.name, layer)}: forward gave {x.describe()}, and build said that a row of outputs has the "
                f"shape {shapes[number]}"
            )
    return nodes


def backward(r: Recorder, node: Node, gradient: Tensor) -> Tensor:
    """Record the gradients of one step of the forward pass; return that of its x.

    Raises:
        ConfigError: it is not returned.
    """
    with r.recording(node.layer, "backward"):
        returned: Any = node.unit.backward(r, node.x, node.y, gradient, node.saved)
    x = node.x
    if not isinstance(returned, Tensor) or returned.batched != x.batched or returned.features != x.features:
        raise ConfigError(
            f"{_who(node.layer, node.unit)}: backward returned {_described(returned)}; it returns dx, the gradient of "
            f"its inputs, which are {x.describe()}"
        )
    return returned


def _who(layer: str, unit: Layer | Activation) -> str:
    return f"layer {layer!r} ({type(unit).__name__})"


def _described(value: Any) -> str:
    return value.describe() if isinstance(value, Tensor) else repr(value)


def activity_gradient(r: Recorder, node: Node) -> Tensor:
    """The derivative by y of the penalty on a layer's outputs, which is a mean over the rows."""
    assert node.activity_regularizer is not None
    with r.recording(node.layer, "backward"):
        unit, y = node.activity_regularizer, node.y
        gradient = unit.gradient(r, y, r.map(nothing, y))
        return r.map(per, result(gradient, True, y.features, unit, "gradient", "g + the derivative"), r.rows)


def weight_penalties(r: Recorder, store: Store) -> Iterator[Tensor]:
    """The penalties of the weights that are trained, a scalar each."""
    for weight in store.weights:
        if weight.regularizer is not None and weight.trained:
            unit = weight.regularizer
            yield result(unit.penalty(r, weight.tensor), False, 1, unit, "penalty", "one number")


def activity_penalties(r: Recorder, nodes: Iterable[Node]) -> Iterator[Tensor]:
    """The penalties on layers' outputs, each the mean over the rows."""
    for node in nodes:
        if node.activity_regularizer is not None:
            unit = node.activity_regularizer
            penalty = unit.penalty(r, node.y)
            if isinstance(penalty, Tensor) and penalty.batched:
                penalty = r.sum(same, result(penalty, True, 1, unit, "penalty", "one number for each row"))
            yield r.map(per, result(penalty, False, 1, unit, "penalty", "one number"), r.rows)


def prediction_program(layers: Sequence[Layer], input_shape: Shape, shapes: Sequence[Shape] = ()) -> Program:
    """x → predictions; `shapes` are those of one row of each layer's outputs."""
    r = Recorder()
    x = r.input(input_shape, "x")
    nodes = forward(r, layers, x, shapes)
    with r.recording("predictions", "forward"):
        return r.finish(nodes[-1].y if nodes else x)


def derivative_program(layers: Sequence[Layer], input_shape: Shape, output_shape: Shape) -> Program:
    """x, dy → dx: the derivative of the predictions by the inputs, each row's times its dy."""
    r = Recorder()
    x, dy = r.input(input_shape, "x"), r.input(output_shape, "dy")
    gradient = dy
    for node in reversed(forward(r, layers, x)):
        gradient = backward(r, node, gradient)
    with r.recording("derivative", "backward"):
        return r.finish(gradient)


@dataclass(frozen=True)
class Objective:
    """What is minimised and reported: a loss, and metrics."""

    loss: Loss
    metrics: Sequence[tuple[str, Metric]]


def _refuse_logits_twice(loss: Loss, last: Node) -> None:
    name = last.unit.unit_name
    if loss.from_logits and name in type(loss).pairs:
        raise ConfigError(
            f"loss {loss.unit_name!r} with from_logits=True takes what {name} would be given, but layer "
            f"{last.layer!r} ends in {name}: leave out the one or the other"
        )


class _Objective:
    """The loss of one recording: on the predictions, or as one formula with the last activation."""

    def __init__(self, r: Recorder, loss: Loss, nodes: Sequence[Node], x: Tensor, y: Tensor) -> None:
        self.r, self.loss, self.y = r, loss, y
        self.nodes = list(nodes)
        self.p = nodes[-1].y if nodes else x
        with r.recording("loss", "loss"):
            self.counted = loss.counted(r, y)
            if self.counted is not None:
                self.counted = result(self.counted, True, 1, loss, "counted", "1 or 0 for each row")
        self.pair: Pair | None = None
        last = nodes[-1] if nodes else None
        if last is not None and isinstance(last.unit, Activation) and not last.unit.changed_arguments():
            _refuse_logits_twice(loss, last)
            found = loss.pairs.get(last.unit.unit_name)
            if found is not None:
                self.pair, self.last = found(loss), last

    def values(self) -> Tensor:
        """Rows × 1."""
        if self.pair is not None:
            values = self.pair.values(self.r, self.y, self.last.x, self.p, self.last.saved)
        else:
            values = self.loss.values(self.r, self.y, self.p)
        return result(values, True, 1, self.loss, "values", "the loss of each row")

    def gradient(self, weights: Tensor) -> tuple[Tensor, list[Node]]:
        """The derivative of the mean over the weighted rows, and the nodes that are left to go back through."""
        r = self.r
        with r.recording("loss", "backward"):
            if self.counted is None:
                share = r.map(per, weights, r.rows)
            else:
                share = r.map(per_any, weights, r.sum(same, self.counted))
            if self.pair is None:
                gradient = self._derivative(self.loss.gradient(r, self.y, self.p), self.p)
                return r.map(times, gradient, share), self.nodes
            gradient = self.pair.gradient(r, self.y, self.last.x, self.p, self.last.saved)
            gradient = r.map(times, self._derivative(gradient, self.last.x), share)
        if self.last.activity_regularizer is not None:  # of p: it goes back through the activation on its own
            gradient = r.map(add, gradient, backward(r, self.last, activity_gradient(r, self.last)))
        return gradient, self.nodes[:-1]

    def _derivative(self, value: Tensor, of: Tensor) -> Tensor:
        return result(value, True, of.features, self.loss, "gradient", "the derivative for each output of each row")


def _report(
    r: Recorder, objective: _Objective, weights: Tensor, store: Store, metrics: Sequence[tuple[str, Metric]]
) -> Tensor:
    """The log: the weighted sum of the loss over the rows, the penalties, the sums of each metric.

    Returns the first two, which must be finite."""
    with r.recording("loss", "loss"):
        losses = r.sum(times, objective.values(), weights, into=r.log("loss"))
        penalties = [*weight_penalties(r, store), *activity_penalties(r, objective.nodes)]
        if penalties:
            slot = r.log("penalty")
            total = functools.reduce(lambda total, value: r.map(add, total, value), penalties)
            r.map(same, total, into=[slot])
            losses = Tensor((2,), False, "log", "loss and penalty", losses.offset)
        if objective.counted is not None:
            r.sum(same, objective.counted, into=r.log("counted"))
        for name, metric in metrics:
            with r.recording(name, "loss"):
                y, p = objective.y, objective.p
                if metric.decides:
                    y, p = objective.loss.decided(r, y, p)
                metric.log(r, f"metric {name}", y, p, weights)
    return losses


def evaluation_program(
    layers: Sequence[Layer], input_shape: Shape, target_shape: Shape, objective: Objective, store: Store
) -> Program:
    """x, y, weights → sums of the loss and of each metric."""
    r = Recorder()
    x, y, weights = r.input(input_shape, "x"), r.input(target_shape, "y"), r.input((1,), "row weights")
    nodes = forward(r, layers, x)
    _report(r, _Objective(r, objective.loss, nodes, x, y), weights, store, objective.metrics)
    return r.finish()


def training_program(
    layers: Sequence[Layer],
    input_shape: Shape,
    target_shape: Shape,
    objective: Objective,
    optimizer: Optimizer,
    store: Store,
    shapes: Sequence[Shape] = (),
) -> Program:
    """One step: forward, loss, backward, check, update; `shapes` are those of one row of each layer's outputs.

    Raises:
        ConfigError: a layer gives no gradient for one of its weights, or does not return what it should.
    """
    r = Recorder(training=True)
    x, y, weights = r.input(input_shape, "x"), r.input(target_shape, "y"), r.input((1,), "row weights")
    nodes = forward(r, layers, x, shapes)
    goal = _Objective(r, objective.loss, nodes, x, y)
    losses = _report(r, goal, weights, store, objective.metrics)
    gradient, remaining = goal.gradient(weights)
    for node in reversed(remaining):
        if node.activity_regularizer is not None:
            gradient = r.map(add, gradient, activity_gradient(r, node))
        gradient = backward(r, node, gradient)
    for weight in store.weights:
        if weight.trained and weight.tensor not in r.gradients:
            raise ConfigError(
                f"{_who(weight.layer.name, weight.layer)}: backward gives no gradient of {weight.name!r}: call "
                "r.gradient(weight, ...) for each; what has none is made by b.state(...)"
            )
        if not weight.trained:  # of a frozen layer: what led to it alone is not part of the program
            r.gradients.pop(weight.tensor, None)
    update(r, optimizer, store, losses)
    return r.finish()
