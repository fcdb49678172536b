"""The programs around a unit of each kind."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nbdl.engine.executor import host_backend
from nbdl.engine.store import LINE, Store, Weight
from nbdl.errors import ConfigError
from nbdl.network.forward import Node, backward_of, forward
from nbdl.network.network import Step
from nbdl.network.update import descend, new_slots
from nbdl.program.functions import same
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.testing.data import loss_data, metric_data
from nbdl.testing.probe import Array, Probe, logged
from nbdl.testing.subject import Subject
from nbdl.units.builder import Builder
from nbdl.units.symbol import Call, Symbol

SMALL = (5, 3)
LARGE = (600, 48)
MEDIUM = (20, 8)  # where all is plain Python
SHAPES = ((3,), (4, 3))


def probes(subject: Subject, rows: int = SMALL[0], features: int = SMALL[1]) -> list[Probe]:
    """Programs that run all that the unit records; none for kinds that record nothing."""
    makers: dict[str, Callable[[Subject, int, int], list[Probe]]] = {
        "activations": activation_probes,
        "layers": layer_probes,
        "losses": loss_probes,
        "regularizers": regularizer_probes,
        "constraints": constraint_probes,
        "optimizers": optimizer_probes,
        "metrics": metric_probes,
    }
    maker = makers.get(subject.kind)
    return maker(subject, rows, features) if maker else []


def generator() -> np.random.Generator:
    """The same numbers each time."""
    return np.random.default_rng(1)


def reals(rng: np.random.Generator, *shape: int) -> Array:
    """Normal numbers, float32."""
    return rng.normal(0.0, 1.5, shape).astype(np.float32)


def away_from(kinks: Sequence[float], x: Array) -> Array:
    """The same numbers, none very near a kink."""
    for kink in kinks:
        x = np.where(np.abs(x - kink) < 0.01, kink + 0.05, x)
    return x.astype(np.float32)


def fixed(name: str, values: Array, trainable: bool = True) -> Weight:
    """A weight with given first values."""
    return Weight(Tensor(values.shape, False, "weight", name), None, lambda shape, random: values, trainable)


def with_values(probe: Probe) -> Probe:
    """Give each weight its first values, as `Sequential` would."""
    from nbdl.testing.probe import SEED
    from nbdl.units.random import RandomStream

    for site, weight in enumerate(probe.store.weights):
        weight.value[...] = weight.initializer(weight.tensor.shape, RandomStream(SEED, site))
    probe.initial = probe.store.data.copy()
    return probe


# -- by kind ----------------------------------------------------------------------------------------------


def accepted(unit: Any, features: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of a row of an activation's input, one feature wider if it refuses so many, and of its output."""
    try:
        return (features,), unit.output_shape((features,))
    except ConfigError:
        return (features + 1,), unit.output_shape((features + 1,))


def activation_probes(subject: Subject, rows: int, features: int) -> list[Probe]:
    """y of x; dx of x and dy."""
    unit, rng = subject.make(), generator()
    shape, output = accepted(unit, features)
    x = away_from(subject.options.get("kinks", ()), reals(rng, rows, *shape))

    def backward(r: Recorder, tensors: Sequence[Tensor]) -> Tensor:
        y, saved = unit.forward(r, tensors[0])
        return unit.backward(r, tensors[0], y, tensors[1], saved)  # type: ignore[no-any-return]

    return [
        Probe("forward", lambda r, t: unit.forward(r, t[0])[0], [x], unit=unit),
        Probe("backward", backward, [x, reals(rng, rows, *output)], unit=unit),
    ]


def inputs_of(subject: Subject, layer: Any) -> int:
    """How many inputs a layer is tried with."""
    return int(subject.options.get("inputs", 2)) if layer.takes_several else 1


def built(subject: Subject, features: int) -> tuple[Any, tuple[int, ...], tuple[int, ...], list[Weight]]:
    """A layer, the shapes of its input and output, its weights.

    The inputs of a layer that takes several lie side by side in one.
    """
    shapes = [(features,), *SHAPES[1:]] if features != SMALL[1] else list(SHAPES)
    stated = subject.options.get("input_shape")
    if stated is not None:
        shapes = [tuple(stated)]
    problem: Exception | None = None
    for shape in shapes:
        layer, weights = subject.make(), list[Weight]()
        layer.name = layer.name or "layer"
        try:
            shape = layer.given_shape or shape
            count = inputs_of(subject, layer)
            outputs = layer.outputs(Builder(layer, weights), *[shape] * count)
            output = outputs[0] if len(outputs) == 1 else (sum(map(math.prod, outputs)),)
            return layer, shape if not layer.takes_several else (count, *shape), output, weights
        except ConfigError as error:
            problem = error
    raise AssertionError(f"no shape of {shapes} suits it; register it with input_shape=(...): {problem}")


def layer_probes(subject: Subject, rows: int, features: int) -> list[Probe]:
    """y in inference and in training, with the states that are assigned; dx and the gradients of all weights."""
    found = []
    for title, training in (("inference", False), ("forward", True), ("backward", True)):
        layer, shape, output, weights = built(subject, features)
        rng = generator()
        sources = [away_from(subject.options.get("kinks", ()), layer_inputs(layer, rng, rows, *shape))]
        if title == "backward":
            sources.append(reals(rng, rows, *output))
        record = layer_backward(layer, weights) if title == "backward" else layer_forward(layer)
        probe = with_values(Probe(title, record, sources, weights, training=training, unit=layer))
        rng = generator()
        for weight in weights:
            if weight.trainable:  # not all zeros or ones, or a wrong gradient might pass
                weight.value[...] += 0.3 * rng.normal(size=weight.value.shape)
        probe.initial = probe.store.data.copy()
        found.append(probe)
    return found


def declared(shape: tuple[int, ...]) -> Symbol:
    """The symbol of an input."""
    return Call(None).give([shape])[0]


def in_a_graph(layer: Any, shape: tuple[int, ...]) -> tuple[list[Symbol], list[Symbol]] | None:
    """Call a layer that takes or gives several tensors; return the symbols of its inputs and outputs, else None.

    Args:
        shape: as `built` gives it.
    """
    shapes = [shape[1:]] * shape[0] if layer.takes_several else [shape]
    if len(shapes) == len(layer.shapes_for(shapes)) == 1 and not layer.takes_several:
        return None
    inputs = [declared(one) for one in shapes]
    outputs = layer(inputs if layer.takes_several else inputs[0])
    return inputs, list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def layer_inputs(layer: Any, rng: np.random.Generator, *shape: int) -> Array:
    """What a layer takes: normal numbers, or integers."""
    if layer.input_limit is None:
        return reals(rng, *shape)
    return rng.integers(0, layer.input_limit, shape).astype(np.float32)


def nodes_of(r: Recorder, layer: Any, x: Tensor) -> list[Node]:
    """Record a layer, each of several inputs a part of x; return its nodes."""
    if not layer.takes_several:
        values = {0: x}
    else:
        each = x.shape[1:]
        parts = [r.reshape(r.slice(x, number, number + 1, axis=0), each) for number in range(x.shape[0])]
        values = dict(enumerate(parts))
    known = tuple(values)
    outputs = layer.shapes_for([values[number].shape for number in known])
    return forward(r, [Step(layer, known, tuple(range(len(known), len(known) + len(outputs))))], values)


def layer_forward(layer: Any) -> Any:
    """Record y, and the states that the layer assigns; several outputs side by side."""

    def record(r: Recorder, tensors: Sequence[Tensor]) -> Tensor:
        found = nodes_of(r, layer, tensors[0])[-1].y
        several = isinstance(found, tuple)
        y: Tensor = r.concat(*(r.reshape(one, (one.features,)) for one in found)) if several else found
        for state, value in r.assignments:
            with r.recording(state.name, "assign"):
                r.map(same, value, into=[state])
        return y

    return record


def layer_backward(layer: Any, weights: Sequence[Weight]) -> Any:
    """Record dx, and the gradients into the log."""

    def record(r: Recorder, tensors: Sequence[Tensor]) -> Tensor:
        gradient: Any = tensors[1]
        for node in reversed(nodes_of(r, layer, tensors[0])):
            if isinstance(node.y, tuple):
                ends = list(itertools.accumulate(one.features for one in node.y))
                gradient = tuple(
                    r.reshape(r.slice(gradient, end - one.features, end), one.shape)
                    for one, end in zip(node.y, ends, strict=True)
                )
            found = backward_of(r, node, gradient)
            gradient = found[0]
            if isinstance(node.x, tuple):
                gradient = r.concat(*(r.reshape(one, (one.features,)) for one in found))
        for weight in weights:
            if weight.trainable:
                assert weight.tensor in r.gradients, f"backward gives no gradient for {weight.name}"
                logged(r, weight.name, r.gradients[weight.tensor])
        result: Tensor = gradient
        return result

    return record


def loss_probes(subject: Subject, rows: int, features: int) -> list[Probe]:
    """Values and gradient of p, and of the input z of each activation that it forms a pair with."""
    loss = subject.make()
    y, p = loss_data(loss, subject.options, rows, features, generator())
    found = [
        Probe("values", lambda r, t: loss.values(r, t[0], t[1]), [y, p], unit=loss),
        Probe("gradient", lambda r, t: loss.gradient(r, t[0], t[1]), [y, p], unit=loss),
    ]
    for name in loss.pairs:
        z = reals(generator(), rows, features)
        found += [pair_probe(loss, name, y, z, method) for method in ("values", "gradient")]
    return found


def pair_probe(loss: Any, name: str, y: Array, z: Array, method: str, paired: bool = True) -> Probe:
    """Values or gradient of z, by the pair's formula or by the activation and the loss one after the other."""
    from nbdl.units.registry import registry

    activation, pair = registry.make("activations", name), loss.pairs[name](loss)

    def record(r: Recorder, tensors: Sequence[Tensor]) -> Tensor:
        y, z = tensors
        p, saved = activation.forward(r, z)
        result: Tensor
        if paired:
            result = getattr(pair, method)(r, y, z, p, saved)
        elif method == "values":
            result = loss.values(r, y, p)
        else:
            result = activation.backward(r, z, p, loss.gradient(r, y, p), saved)
        return result

    return Probe(f"{method} after {name}", record, [y, z], unit=loss)


def regularizer_probes(subject: Subject, rows: int, features: int) -> list[Probe]:
    """The penalty of a matrix, and its gradient added to another."""
    unit, rng = subject.make(), generator()
    w = away_from(subject.options.get("kinks", ()), reals(rng, rows, features))
    g = reals(rng, rows, features)

    def penalty(r: Recorder, tensors: Sequence[Tensor]) -> None:
        logged(r, "penalty", unit.penalty(r, weights[0].tensor))

    def gradient(r: Recorder, tensors: Sequence[Tensor]) -> None:
        copied = r.map(same, others[1].tensor)
        logged(r, "gradient", unit.gradient(r, others[0].tensor, copied))

    weights, others = [fixed("w", w)], [fixed("w", w), fixed("g", g, False)]
    return [
        with_values(Probe("penalty", penalty, [], weights, unit=unit)),
        with_values(Probe("gradient", gradient, [], others, unit=unit)),
    ]


def constraint_probes(subject: Subject, rows: int, features: int) -> list[Probe]:
    """The projection of a matrix and of a vector."""
    unit, found = subject.make(), []
    for shape in ((rows, features), (features,)):
        weights = [fixed("w", reals(generator(), *shape))]

        def project(r: Recorder, tensors: Sequence[Tensor], weights: list[Weight] = weights) -> None:
            logged(r, "projected", unit.project(r, weights[0].tensor))

        found.append(with_values(Probe(f"projection of {shape}", project, [], weights, unit=unit)))
    return found


def optimizer_probes(subject: Subject, rows: int, features: int) -> list[Probe]:
    """Five steps with the same gradient."""
    rng, unit = generator(), subject.make()
    shapes = weight_shapes(unit, -(-rows * features // LINE) * LINE)
    return [optimizer_probe(subject.make(), reals(rng, *shape), reals(rng, *shape)) for shape in shapes]


def weight_shapes(unit: Any, size: int) -> list[tuple[int, ...]]:
    """A vector of that size, a multiple of 8; for a rule that looks at whole weights a tall and a wide matrix too."""
    return [(size,), (size // 4, 4), (2, size // 2)] if unit.per_weight else [(size,)]


def optimizer_probe(unit: Any, w: Array, g: Array, steps: int = 5) -> Probe:
    """Steps with the same gradient."""
    weights = [fixed("w", w), fixed("g", g, False)]
    store, slots = Store(weights), new_slots(unit, unit.all_slots(), w.size)

    def record(r: Recorder, tensors: Sequence[Tensor]) -> None:
        descend(r, unit, {weights[0]: weights[1].tensor}, store)

    title, size = f"{steps} steps of {w.shape}", len(unit.all_slots()) * w.size
    return with_values(Probe(title, record, [], weights, size, unit.scalars, steps=steps, unit=unit, first_slots=slots))


def after_steps(
    unit: Any, w: Array, gradient: Callable[[int, Array], Array], steps: int, how: str = "compiled"
) -> Array:
    """The weights after steps with gradients of the step's number and of w; slots are kept from step to step."""
    probe, size = optimizer_probe(unit, w, w, steps=1), w.size
    executor, data, slots = probe.executor(how), probe.initial.copy(), probe.first_slots
    for step in range(1, steps + 1):
        data[size : 2 * size] = gradient(step, data[:size].reshape(w.shape)).reshape(-1)
        left = probe.run(how, weights=data, slots=slots, executor=executor, first_step=step)
        data, slots = left.weights.copy(), left.slots
    return data[:size].reshape(w.shape)


def metric_probes(subject: Subject, rows: int, features: int) -> list[Probe]:
    """The rows' values and their sums."""
    unit = subject.make()
    y, p = metric_data(subject.options, rows, features, generator())

    def record(r: Recorder, tensors: Sequence[Tensor]) -> Tensor:
        values: tuple[Tensor, ...] = unit.log(r, "sums", tensors[0], tensors[1])
        return values[0]

    return [Probe("update", record, [y, p], unit=unit)]


def known_probes(subject: Subject) -> list[Probe]:
    """Return the programs around a unit, which all its checks share."""
    if "ordinary" not in subject.programs:
        subject.programs["ordinary"] = probes(subject)
    found: list[Probe] = subject.programs["ordinary"]
    return found


def large_probes(subject: Subject) -> list[Probe]:
    """Return the same with enough rows and features to be cut into parts."""
    if "large" not in subject.programs:
        made = probes(subject, *(MEDIUM if host_backend() == "reference" else LARGE))
        for probe in made:
            probe.gathered = True
        subject.programs["large"] = made
    found: list[Probe] = subject.programs["large"]
    return found
