"""Objective: what is minimised and reported, the losses of the outputs, the penalties and the metrics."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from nbdl.errors import ConfigError
from nbdl.network.forward import Node, add_gradient
from nbdl.program.checks import result
from nbdl.program.functions import add, one_per, per, per_any, same, times
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.units.activation import Activation
from nbdl.units.loss import Loss, Pair

if TYPE_CHECKING:
    from nbdl.engine.store import Store
    from nbdl.network.setup import Goal


class OutputLoss:
    """The loss of one output in one recording: on its predictions, or as one formula with the last activation.

    Args:
        nodes: the forward pass.
        values: its tensors by number.
        number: of the output's tensor.
        y, weights: targets and the weights of the rows.
    """

    def __init__(
        self, r: Recorder, goal: Goal, nodes: Sequence[Node], values: Mapping[int, Tensor], number: int, y: Tensor,
        weights: Tensor,
    ) -> None:  # fmt: skip
        self.r, self.goal, self.y, self.weights, self.number = r, goal, y, weights, number
        self.p = values[number]
        loss = goal.loss
        with r.recording("loss", "loss"):
            self.counted = loss.counted(r, y)
            if self.counted is not None:
                self.counted = result(self.counted, True, 1, loss, "counted", "1 or 0 for each row")
        self.pair: Pair | None = None
        last = next((node for node in nodes if number in node.outputs), None)
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
            values = self.goal.loss.values(self.r, self.y, self.p)
        return result(values, True, 1, self.goal.loss, "values", "the loss of each row")

    def add_gradient(self, gradients: dict[int, Tensor]) -> None:
        """Add the derivative of the mean over the weighted rows, by the predictions or by the activation's input."""
        r, loss = self.r, self.goal.loss
        with r.recording("loss", "backward"):
            if self.counted is None:
                share = r.map(per, self.weights, r.rows)
            else:
                share = r.map(per_any, self.weights, r.sum(same, self.counted))
            if self.goal.weight != 1.0:
                share = r.map(times, share, self.goal.weight)
            if self.pair is None:
                number, of = self.number, self.p
                gradient = loss.gradient(r, self.y, self.p)
            else:
                number, of = self.last.inputs[0], self.last.x
                gradient = self.pair.gradient(r, self.y, self.last.x, self.p, self.last.saved)
            what = "the derivative for each output of each row"
            gradient = r.map(times, result(gradient, True, of.features, loss, "gradient", what), share)
        add_gradient(r, gradients, number, gradient)


def _refuse_logits_twice(loss: Loss, last: Node) -> None:
    name = last.unit.unit_name
    if loss.from_logits and name in type(loss).pairs:
        raise ConfigError(
            f"loss {loss.unit_name!r} with from_logits=True takes what {name} would be given, but layer "
            f"{last.layer!r} ends in {name}: leave out the one or the other"
        )


def report(
    r: Recorder, losses: Sequence[OutputLoss], nodes: Sequence[Node], store: Store, added: Sequence[Tensor]
) -> Tensor:
    """Record the log: the weighted sum of each loss over the rows, the penalties, the sums of each metric.

    Args:
        added: tensors whose means over the rows are added to the loss.

    Returns:
        Losses and penalties, which must be finite.
    """
    with r.recording("loss", "loss"):
        slots = [r.log(loss.goal.logged("loss")) for loss in losses]
        for loss, slot in zip(losses, slots, strict=True):
            r.sum(times, loss.values(), loss.weights, into=slot)
        penalties = [*weight_penalties(r, store), *activity_penalties(r, nodes), *(row_mean(r, x) for x in added)]
        if penalties:
            slots.append(r.log("penalty"))
            total = functools.reduce(lambda total, value: r.map(add, total, value), penalties)
            r.map(same, total, into=[slots[-1]])
        for loss in losses:
            goal = loss.goal
            if loss.counted is not None:
                r.sum(same, loss.counted, into=r.log(goal.logged("counted")))
            for name, metric in goal.metrics:
                with r.recording(name, "loss"):
                    y, p = loss.y, loss.p
                    if metric.decides:
                        y, p = goal.loss.decided(r, y, p)
                    metric.log(r, f"metric {goal.reported(name)}", y, p, loss.weights)
    return slots[0] if len(slots) == 1 else Tensor((len(slots),), False, "log", "loss and penalty", slots[0].offset)


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


def row_mean(r: Recorder, x: Tensor) -> Tensor:
    """The mean over the rows of the sum of a row."""
    total = r.sum(same, x, over="features") if x.features > 1 else x
    return r.map(per, r.sum(same, total), r.rows)


def row_mean_gradient(r: Recorder, x: Tensor) -> Tensor:
    """The derivative of `row_mean` by x."""
    return r.map(one_per, x, r.rows)
