"""The update phase of a training step: regularizer → check → clip → optimizer → states → constraint.

An optimizer's rule is one scalar function. What its common arguments ask for becomes part of that function, so the
plain rule costs nothing more, and all of it is one pass over the weights; only norms are sums of their own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbdl.engine.store import aligned_zeros, end_of
from nbdl.errors import ConfigError
from nbdl.program.checks import most_operands, result
from nbdl.program.functions import add, same, square
from nbdl.program.language.source import compose
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Shape, Tensor
from nbdl.units.optimizer import ACCUMULATED, AVERAGE, CLIP, MOMENTUM, OVERWRITE, SHARE, Optimizer
from nbdl.units.unit import Scalar

# Common arguments that take operands of an update.
COMMON_OPERANDS = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_overwrite_frequency",
                   "gradient_accumulation_steps")  # fmt: skip

if TYPE_CHECKING:
    from nbdl.engine.store import Floats, Store, Weight
    from nbdl.network.setup import TrainingState


def update(r: Recorder, optimizer: Optimizer, store: Store, losses: Tensor) -> None:
    """The update phase: regularizer → check → clip → optimizer → states → constraint."""
    trained = [weight for weight in store.weights if weight.trainable and weight.tensor in r.gradients]
    for weight in trained:
        gradient = r.gradients[weight.tensor]
        gradient.space, gradient.name = "gradient", f"∂{weight.name}"
        gradient.offset = store.gradient_offset(weight.tensor.offset)
        if gradient.shape != weight.tensor.shape:  # a sum over rows is flat
            r.gradients[weight.tensor] = r.reshape(gradient, weight.tensor.shape)
    for weight in trained:
        if weight.regularizer is not None:
            with r.recording(weight.name, "regularize"):
                unit, g = weight.regularizer, r.gradients[weight.tensor]
                value = result(
                    unit.gradient(r, weight.tensor, g), False, g.features, unit, "gradient", "g + the derivative"
                )
                if value.storage is not g.storage:  # else it was added in place
                    r.write(value, g)
    with r.recording("gradients", "check"):
        r.check(losses)
        for start, size in spans(trained):
            r.check(Tensor((size,), False, "gradient", "gradients", store.gradient_offset(start)))
    descend(r, optimizer, {weight: r.gradients[weight.tensor] for weight in trained}, store)
    if optimizer.use_ema:  # a frozen weight is its own average: it can be trained again at any time
        frozen = [weight for weight in store.weights if weight.trainable and weight not in trained]
        slots = Slots(optimizer, store)
        for start, size in spans(frozen):
            with r.recording("optimizer", "update"):
                w = Tensor((size,), False, "weight", "weights", start)
                r.map(same, w, into=[slots.part(AVERAGE, start, w.shape)])
    for state, value in r.assignments:
        with r.recording(state.name, "assign"):
            r.map(same, value, into=[state])
    constrain(r, trained)


def constrain(r: Recorder, weights: Sequence[Weight]) -> None:
    """Record the constraints of these weights."""
    for weight in weights:
        if weight.constraint is not None:
            with r.recording(weight.name, "constrain"):
                unit = weight.constraint
                value = unit.project(r, weight.tensor)
                r.write(
                    result(value, False, weight.tensor.features, unit, "project", "the projected weight"), weight.tensor
                )


class Slots:
    """Where an optimizer's slots lie: one piece for each, laid out as the gradients."""

    def __init__(self, optimizer: Optimizer, store: Store) -> None:
        self.names, self.store = optimizer.all_slots(), store

    def part(self, name: str, start: int, shape: Shape) -> Tensor:
        """A slot's values for the weights at an offset."""
        first = self.names.index(name) * self.store.trainable_size
        return Tensor(shape, False, "slot", name, first + self.store.gradient_offset(start))


def new_slots(optimizer: Optimizer, names: Sequence[str], size: int) -> Floats:
    """Slots of these names, each of the size of all trainable weights, before the first step."""
    block, own = aligned_zeros(len(names) * size), optimizer.used_slots()
    for number, name in enumerate(names):
        if name in own:
            block[number * size : (number + 1) * size] = optimizer.first_value(name)
    return block


def descend(r: Recorder, optimizer: Optimizer, gradients: Mapping[Weight, Tensor], store: Store) -> None:
    """Record the optimizer's step for these weights, those that lie side by side as one long vector if the rule allows.

    Args:
        gradients: by weight.
        store: the weights, whose layout the slots have.
    """
    slots = Slots(optimizer, store)
    scales = _scales(r, optimizer, gradients, slots)
    if optimizer.per_weight:
        for weight, g in gradients.items():
            w = Tensor(weight.tensor.shape, False, "weight", weight.name, weight.tensor.offset)
            _step(r, optimizer, w, g, slots, scales[weight], optimizer.shrinkage(weight))
        return
    alike: dict[tuple[Tensor | None, str], list[Weight]] = {}
    for weight, scale in scales.items():
        alike.setdefault((scale, optimizer.shrinkage(weight)), []).append(weight)
    for (scale, shrinkage), chosen in alike.items():
        for start, length in spans(chosen):
            first = next(gradients[weight] for weight in chosen if weight.tensor.offset == start)
            w = Tensor((length,), False, "weight", "weights", start)
            g = Tensor((length,), False, first.space, "gradients", first.offset)
            _step(r, optimizer, w, g, slots, scale, shrinkage)


def _step(
    r: Recorder, optimizer: Optimizer, w: Tensor, g: Tensor, slots: Slots, scale: Tensor | None, shrinkage: str
) -> None:
    around = Around(optimizer, shrinkage)
    kept = {name: slots.part(name, w.offset, w.shape) for name in slots.names}
    common = {argument: r.scalar(name) for argument, name in around.scalars.items()}
    if scale is not None:
        common["scale"] = scale
    with r.recording("optimizer", "update"):
        own = {name: kept[name] for name in optimizer.used_slots()}
        scalars = {name: r.scalar(name) for name in optimizer.per_step(1)}
        now = around.prepared(r, w, g, {**kept, **common}) if optimizer.per_weight else (w, g)
        recorded: Any = optimizer.record(r, *now, own, scalars)
        if not isinstance(recorded, tuple) or len(recorded) != 2 or not isinstance(recorded[1], list | tuple):
            raise ConfigError(
                f"{type(optimizer).__name__}: record returns the scalar function and a list of its operands, got "
                f"{recorded!r}"
            )
        rule, operands = recorded
        _check_room(optimizer, around, kept, list(scalars), len(operands))
        function = around.composed(rule, len(operands))
        r.map(function, w, g, *kept.values(), *operands, *common.values(), into=[w, *kept.values()])


def _check_room(
    optimizer: Optimizer, around: Around, kept: Mapping[str, Tensor], scalars: Sequence[str], operands: int
) -> None:
    """Refuse an update with more operands than a kernel takes; say what takes them.

    Raises:
        ConfigError: there are more.
    """
    most, extra = most_operands(2), [*around.scalars.values(), *["the scale of the gradient"] * around.scaled]
    count = 3 + 2 * len(kept) + operands + len(extra)  # the weight is read and written, as slots are
    if count <= most:
        return
    asked = [name for name in COMMON_OPERANDS if getattr(optimizer, name, None)]
    common = f"; {len(extra)} numbers ({', '.join(extra)}) of {', '.join(asked)}" if extra else ""
    raise ConfigError(
        f"{type(optimizer).__name__}: its update takes {count} operands, and there is room for {most}: 3 for the "
        f"weight and its gradient; {2 * len(kept)} for {len(kept)} slots ({', '.join(kept) or 'none'}); "
        f"{operands} numbers of its own ({', '.join(scalars)}){common}. Numbers that do not change from step to step "
        "can be literals or constants of the module in `update`; or leave out a common argument"
    )


class Around:
    """What the common arguments put around a rule, in Keras's order, as statements of one scalar function.

    Attributes:
        scalars: names of scalars, by the names of the function's arguments for them.
        before, after: statements around the rule's call.
        start: the weight that the rule begins with.
    """

    def __init__(self, optimizer: Optimizer, shrinkage: str) -> None:
        own, names = optimizer.used_slots(), optimizer.all_slots()
        self.olds, self.news = [f"s{n}" for n in range(len(own))], [f"t{n}" for n in range(len(own))]
        self.common, self.start = names[len(own) :], "w - w * shrinkage" if shrinkage else "w"
        self.scalars: dict[str, str] = {}
        self.before: list[str] = []
        self.after: list[str] = []
        self.scaled = optimizer.clipnorm is not None or optimizer.global_clipnorm is not None
        if ACCUMULATED in names:
            self.scalars["share"] = SHARE  # 1 / the number of steps where an update is due, else 0
            self.before += ["total = accumulated + g", "g = total * share"]
            for new, old in zip(["x", *self.news], ["w", *self.olds], strict=True):
                self.after.append(f"{new} = {new} if share > 0.0 else {old}")
            self.after.append("accumulated = 0.0 if share > 0.0 else total")
        if optimizer.clipvalue is not None:
            self.scalars["clip"] = CLIP
            self.before.append("g = min(max(g, -clip), clip)")
        if self.scaled:
            self.before.append("g = g * scale")
        if shrinkage:
            self.scalars["shrinkage"] = shrinkage
        if AVERAGE in names:
            self.scalars["momentum"] = MOMENTUM
            self.after.append("average = momentum * average + (1.0 - momentum) * x")
            if optimizer.ema_overwrite_frequency:
                self.scalars["overwrite"] = OVERWRITE
                self.after.append("x = average if overwrite > 0.0 else x")

    def composed(self, rule: Scalar, operands: int) -> Scalar:
        """The whole update of weight, gradient, slots, the rule's operands, `scalars` and the gradient's scale."""
        if not self.before and not self.after and self.start == "w":
            return rule
        numbers = [f"c{number}" for number in range(operands)]
        called = f"{', '.join(['x', *self.news])} = rule({', '.join([self.start, 'g', *self.olds, *numbers])})"
        return compose(
            "update", ["w", "g", *self.olds, *self.common, *numbers, *self.scalars, *["scale"] * self.scaled],
            ", ".join(["x", *self.news, *self.common]), *self.before, called, *self.after, rule=rule,
        )  # fmt: skip

    def prepared(self, r: Recorder, w: Tensor, g: Tensor, operands: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The weight and the gradient that the rule begins with, for one that looks at whole weights."""
        if self.start != "w":
            name = w.name
            w = r.map(compose("shrunk", ["w", "shrinkage"], self.start), w, operands["shrinkage"])
            w.name = name
        if self.before:
            used = [name for name in (ACCUMULATED, "share", "clip", "scale") if name in operands]
            g = r.map(compose("prepared", ["g", *used], "g", *self.before), g, *(operands[name] for name in used))
        return w, g


# -- norms ------------------------------------------------------------------------------------------------


def _mean_square(g: float, accumulated: float, share: float) -> float:
    mean = (accumulated + g) * share
    return mean * mean


def _factor(squares: float, limit: float) -> float:
    return limit / max(math.sqrt(squares), limit)


def _scales(
    r: Recorder, optimizer: Optimizer, gradients: Mapping[Weight, Tensor], slots: Slots
) -> dict[Weight, Tensor | None]:
    """By weight the factor that brings its gradient's norm, or that of all gradients, down to the limit."""
    if not gradients or (optimizer.clipnorm is None and optimizer.global_clipnorm is None):
        return dict.fromkeys(gradients)
    squares: dict[Weight, Tensor] = {}
    for weight, gradient in gradients.items():
        with r.recording(weight.name, "clip"):
            if ACCUMULATED in slots.names:
                accumulated = slots.part(ACCUMULATED, weight.tensor.offset, gradient.shape)
                squares[weight] = r.total(_mean_square, gradient, accumulated, r.scalar(SHARE))
            else:
                squares[weight] = r.total(square, gradient)
    if optimizer.global_clipnorm is not None:
        with r.recording("gradients", "clip"):
            squares = dict.fromkeys(gradients, functools.reduce(functools.partial(r.map, add), squares.values()))
    scales: dict[Tensor, Tensor] = {}
    for weight, total in squares.items():
        if total not in scales:
            with r.recording(weight.name if optimizer.clipnorm is not None else "gradients", "clip"):
                r.check(total)
                scales[total] = r.map(_factor, total, r.scalar(CLIP))
    return {weight: scales[total] for weight, total in squares.items()}


# -- spans ------------------------------------------------------------------------------------------------


def spans(weights: Sequence[Weight]) -> list[tuple[int, int]]:
    """(start, size) of runs of weights that lie side by side in the store, gaps for alignment included."""
    found: list[list[int]] = []
    for weight in sorted(weights, key=lambda weight: weight.tensor.offset):
        if found and found[-1][1] == weight.tensor.offset:
            found[-1][1] = end_of(weight)
        else:
            found.append([weight.tensor.offset, end_of(weight)])
    return [(start, end - start) for start, end in found]


def finalize(optimizer: Optimizer, state: TrainingState | None, store: Store) -> None:
    """Let the averages of the weights become the weights at the end of training, where the optimizer keeps any."""
    if state is None or not state.iterations or not optimizer.use_ema or AVERAGE not in state.slot_names:
        return
    start = state.slot_names.index(AVERAGE) * store.trainable_size
    block = state.slots[start : start + store.trainable_size]
    for weight in store.weights:
        if weight.trainable:
            weight.value[...] = store.view(block, weight)
