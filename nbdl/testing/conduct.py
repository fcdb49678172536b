"""Good conduct: a config that comes back, a file that comes back, inputs left alone."""

from __future__ import annotations

import inspect
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np

from nbdl.errors import NbdlError
from nbdl.model.base import Model
from nbdl.model.sequential import Sequential
from nbdl.plugins.options import RECORDING
from nbdl.testing.agreement import same_bits, watching_bodies
from nbdl.testing.subject import CLASS_KINDS, Subject, check, entries
from nbdl.testing.truths import is_its_functions
from nbdl.testing.units import generator, known_probes, layer_inputs, probes
from nbdl.units.entry import Entry, singular
from nbdl.units.registry import registry
from nbdl.units.unit import serialize

WIDER = (70, 40)  # more than one part of a batch and than one vector of floats, few enough for Python


def _nothing_is_lost(subject: Subject) -> None:
    """Assert that every argument is in the config, those too that no example gives: with their defaults."""
    own = inspect.signature(inspect.unwrap(subject.entry.target.__init__)).parameters.values()
    plain = (bool, int, float, str, tuple, list, dict)
    defaults = {p.name: p.default for p in own if p.default is None or isinstance(p.default, plain)}
    settings = {**defaults, **subject.arguments}
    config = subject.entry.target(**settings).get_config()
    missing = settings.keys() - config.keys()
    assert not missing, f"the config lacks the arguments {sorted(missing)}"


def through_json(config: Any) -> Any:
    """A config as a file would give it back."""
    return json.loads(json.dumps(config))


@check("config comes back", *CLASS_KINDS)
def config_comes_back(subject: Subject) -> None:
    """`from_config(get_config())`, through JSON, gives a unit with the same config that does the same."""
    unit = subject.make()
    config = unit.get_config()
    again = type(unit).from_config(through_json(config))
    assert through_json(again.get_config()) == through_json(config), (
        f"config {config} comes back as {again.get_config()}"
    )
    _nothing_is_lost(subject)
    copied = Subject(subject.entry, through_json(config))
    if subject.kind == "layers":
        copied.arguments = {name: value for name, value in copied.arguments.items() if name != "name"}
    for probe, other in zip(known_probes(subject), known_probes(copied), strict=True):
        same_bits(other.run("compiled"), probe.run("compiled"), f"{probe.title} after the config came back")
    if subject.kind == "initializers":
        from nbdl.units.random import RandomStream

        first, second = (one((4, 3), RandomStream(1, 2)) for one in (unit, again))
        assert np.array_equal(first, second), "the unit gives other values after the config came back"


@check("inputs are left alone", *RECORDING)
def inputs_left_alone(subject: Subject) -> None:
    """No operation changes what it reads, and none writes outside its results; hand-written bodies not at sizes of
    some dozens either, and they read nothing outside of what they are given.
    """
    for probe in probes(subject, *WIDER):
        if any(operation.kind == "kernel" for operation in probe.program.operations):
            try:
                probe.run("checked")
            except NbdlError as error:
                raise AssertionError(f"{probe.title}, {probe.rows} rows: {error}") from None
    for probe in known_probes(subject):
        before = [source.copy() for source in probe.sources]
        for how in ("compiled", "checked", "python"):
            copies = [source.copy() for source in probe.sources]
            executor = probe.executor(how)
            try:
                after = probe.run(how, copies, executor=executor)
            except NbdlError as error:
                raise AssertionError(f"{probe.title}: {error}") from None
            for number, (source, old) in enumerate(zip(copies, before, strict=True)):
                assert np.array_equal(source, old, equal_nan=True), f"{probe.title}: input {number} is changed ({how})"
            if subject.kind not in ("optimizers", "layers"):
                assert np.array_equal(after.weights, probe.initial), f"{probe.title}: weights are changed ({how})"
        _operands_left_alone(probe)


def _operands_left_alone(probe: Any) -> None:
    """Run hand-written bodies in Python and look at what they read."""
    with watching_bodies(probe) as calls:
        probe.run("python")
    for operation, arrays in calls:
        body, count = operation.function, len(operation.inputs)
        before = [array.copy() for array in arrays[:count]]
        body(*arrays)
        for number, (array, old) in enumerate(zip(arrays[:count], before, strict=True)):
            reason = f"{probe.title}: the body {body.__name__} changes its operand {number}"
            assert np.array_equal(array, old, equal_nan=True), reason


# -- files ------------------------------------------------------------------------------------------------


def standard(kind: str) -> list[Entry]:
    """Units that come with nbdl: what else is installed must not change what a check sees."""
    return list(entries("nbdl", (kind,)))


def host(kind: str) -> tuple[Any, str]:
    """A layer of nbdl's own with a matrix that takes units of a kind as an argument, and that argument's name."""
    best: tuple[int, Any, str] | None = None
    for entry in standard("layers"):
        names = list(inspect.signature(entry.target).parameters)
        fitting = [name for name in names if name == singular(kind) or name.endswith(f"_{singular(kind)}")]
        trained = [name for name in names if name.endswith("_initializer")]
        if fitting and trained and (best is None or len(names) < best[0]) and _has_a_matrix(entry):
            best = len(names), entry, fitting[0]
    assert best is not None, f"no layer of nbdl's own takes {kind}"
    return best[1], best[2]


def _has_a_matrix(entry: Entry) -> bool:
    """Whether a layer, with its first example, has a weight that any unit can be for."""
    if not entry.options.get("examples"):
        return False
    model = Sequential([entry.target(**{**entry.options["examples"][0], "input_shape": (3,)})], seed=3)
    try:
        model.build()
    except NbdlError:
        return False
    return any(len(weight.tensor.shape) == 2 for weight in model.weights)


def registered_model(optimizers: Any = None, losses: Any = None, metrics: Any = None) -> Sequential:
    """A small compiled model with these units, and else with nbdl's own: files can name all of it."""
    entry, _ = host("activations")
    model = Sequential([entry.target(**{**entry.options["examples"][0], "input_shape": (3,)})], seed=3)
    default = next(one for one in standard("optimizers") if one.options.get("default"))
    plain = next(one for one in standard("losses") if _takes_any_numbers(one))
    model.compile(
        optimizer=optimizers or default.target(),
        loss=losses or plain.target(),
        metrics=[metrics] if metrics else [],
    )
    return model


def _takes_any_numbers(entry: Entry) -> bool:
    """Whether a loss compares numbers of any size, element by element."""
    return is_its_functions(entry) and entry.options.keys().isdisjoint({"targets", "predictions", "pairs"})


def with_unit(subject: Subject) -> Model:
    """A small model that holds the unit, made of registered units only."""
    from nbdl.testing.units import built, in_a_graph

    model = Sequential(seed=3)
    if subject.kind == "layers":
        layer, shape, _, _ = built(subject, 3)
        layer.name = ""
        called = in_a_graph(layer, shape)
        if called is not None:
            return Model(*called, seed=3)
        if layer.given_shape is None:
            layer.set_input_shape(shape)
        model.add(layer)
        if layer.declares_input:
            entry, _ = host("activations")
            model.add(entry.target(**entry.options["examples"][0]))
    elif subject.kind in ("activations", "regularizers", "initializers", "constraints"):
        entry, argument = host(subject.kind)
        layer = entry.target(**{**entry.options["examples"][0], argument: subject.make(), "input_shape": (3,)})
        model.add(layer)
    else:
        model = registered_model(**{subject.kind: subject.make()})
    model.build()
    return model


@check("comes back from a file", *(kind for kind in CLASS_KINDS if kind not in ("callbacks", "schedules")))
def comes_back_from_a_file(subject: Subject) -> None:
    """A saved model that holds the unit loads with the same config, weights and predictions."""
    registered = registry.find(subject.kind, subject.entry.name)
    if registered is None or registered.target is not subject.entry.target:
        raise SkipTest("a file can only name what is registered, and this is not")
    model = with_unit(subject)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.nbdl"
        model.save(path)
        from nbdl.model.load import load_model

        again = load_model(path)
    assert again.get_config() == model.get_config(), "the model's config differs after loading"
    if model.compiled is not None and again.compiled is not None:
        for first, second in (
            (model.compiled.optimizer, again.compiled.optimizer),
            (model.compiled.loss, again.compiled.loss),
            *((one, two) for (_, one), (_, two) in zip(model.compiled.metrics, again.compiled.metrics, strict=True)),
        ):
            assert serialize(first) == serialize(second), f"{first!r} comes back as {second!r}"
    rng = generator()
    x = [layer_inputs(model.network.all_layers[0], rng, 4, *shape) for shape in model.network.known_input_shapes()]
    first, second = (one.predict(x if len(x) > 1 else x[0]) for one in (model, again))
    pairs = zip(first, second, strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs), "predictions differ after loading"
