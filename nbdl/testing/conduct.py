"""Good conduct: documented, a config that comes back, a file that comes back, inputs left alone."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from nbdl.errors import NbdlError
from nbdl.model import Sequential
from nbdl.registry import Entry, registry
from nbdl.testing.agreement import RECORDING, same_bits
from nbdl.testing.probe import Array
from nbdl.testing.suite import UNITS, Subject, check
from nbdl.testing.units import generator, layer_inputs
from nbdl.units import serialize


@check("documented")
def documented(subject: Subject) -> None:
    """The docstring says what the unit is, its formula ("Formula: ...") and where it comes from ("Source: ...")."""
    text = inspect.getdoc(subject.entry.target) or ""
    assert text.strip(), "there is no docstring"
    for word in ("Formula", "Source"):
        assert re.search(rf"^{word}\b[^\n]*:", text, re.MULTILINE), f'the docstring has no line "{word}: ..."'


def through_json(config: Any) -> Any:
    """A config as a file would give it back."""
    return json.loads(json.dumps(config))


@check("config comes back")
def config_comes_back(subject: Subject) -> None:
    """`from_config(get_config())`, through JSON, gives a unit with the same config that does the same."""
    unit = subject.make()
    config = unit.get_config()
    again = type(unit).from_config(through_json(config))
    assert through_json(again.get_config()) == through_json(config), (
        f"config {config} comes back as {again.get_config()}"
    )
    missing = {name for name in subject.arguments if name not in config}
    assert not missing, f"the config lacks the arguments {sorted(missing)}"
    copied = Subject(subject.entry, through_json(config))
    if subject.kind == "layers":
        copied.arguments = {name: value for name, value in copied.arguments.items() if name != "name"}
    for probe, other in zip(subject.probes, copied.probes, strict=True):
        same_bits(other.run("compiled"), probe.run("compiled"), f"{probe.title} after the config came back")
    if subject.kind == "initializers":
        from nbdl.initializing import Stream

        first, second = (one((4, 3), Stream(1, 2)) for one in (unit, again))
        assert np.array_equal(first, second), "the unit gives other values after the config came back"


@check("inputs are left alone", *RECORDING)
def inputs_left_alone(subject: Subject) -> None:
    """No operation changes what it reads, and none writes outside its results."""
    for probe in subject.probes:
        before = [source.copy() for source in probe.sources]
        for how in ("compiled", "checked", "python"):
            given = [source.copy() for source in probe.sources]
            executor = probe.executor(how)
            try:
                after = probe.run(how, given, executor=executor)
            except NbdlError as error:
                raise AssertionError(f"{probe.title}: {error}") from None
            for number, (source, old) in enumerate(zip(given, before, strict=True)):
                assert np.array_equal(source, old, equal_nan=True), f"{probe.title}: input {number} is changed ({how})"
            if subject.kind not in ("optimizers", "layers"):
                assert np.array_equal(after.weights, probe.initial), f"{probe.title}: weights are changed ({how})"
        _operands_left_alone(probe)


def _operands_left_alone(probe: Any) -> None:
    """Run hand-written bodies in Python and look at what they read."""
    changed: list[str] = []
    kernels = [operation for operation in probe.program.operations if operation.kind == "kernel"]
    bodies = [operation.function for operation in kernels]
    for operation in kernels:

        def watched(*arrays: Array, operation: Any = operation, body: Any = operation.function) -> None:
            inputs = [array.copy() for array in arrays[: len(operation.inputs)]]
            body(*arrays)
            for number, before in enumerate(inputs):
                if not np.array_equal(arrays[number], before, equal_nan=True):
                    changed.append(f"{probe.title}: the body {body.__name__} changes its operand {number}")

        operation.function = watched
    try:
        probe.run("python")
    finally:
        for operation, body in zip(kernels, bodies, strict=True):
            operation.function = body
    assert not changed, changed[0]


# -- files ------------------------------------------------------------------------------------------------


def _singular(kind: str) -> str:
    return kind.removesuffix("s")


def host(kind: str) -> tuple[Any, str]:
    """A registered layer with a matrix that takes units of a kind as an argument, and that argument's name."""
    best: tuple[int, Any, str] | None = None
    for entry in registry.entries("layers"):
        names = list(inspect.signature(entry.target).parameters)
        fitting = [name for name in names if name == _singular(kind) or name.endswith(f"_{_singular(kind)}")]
        trained = [name for name in names if name.endswith("_initializer")]
        if fitting and trained and (best is None or len(names) < best[0]) and _has_a_matrix(entry):
            best = len(names), entry, fitting[0]
    assert best is not None, f"no registered layer takes {kind}"
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


def with_unit(subject: Subject) -> Sequential:
    """A small model that holds the unit, made of registered units only."""
    from nbdl.testing.units import built

    model = Sequential(seed=3)
    if subject.kind == "layers":
        layer, shape, _, _ = built(subject, 3)
        layer.name = ""
        if layer.input_shape is None:
            layer.set_input_shape(shape)
        model.add(layer)
    elif subject.kind in ("activations", "regularizers", "initializers", "constraints"):
        entry, argument = host(subject.kind)
        layer = entry.target(**{**entry.options["examples"][0], argument: subject.make(), "input_shape": (3,)})
        model.add(layer)
    else:
        entry, _ = host("activations")
        model.add(entry.target(**{**entry.options["examples"][0], "input_shape": (3,)}))
        losses = [one for one in registry.entries("losses") if not one.target.pairs]
        made = subject.make()
        default = registry.default("optimizers")
        model.compile(
            optimizer=made if subject.kind == "optimizers" else default.target() if default else None,
            loss=made if subject.kind == "losses" else losses[0].target(),
            metrics=[made] if subject.kind == "metrics" else [],
        )
    model.build()
    return model


@check("comes back from a file", *(kind for kind in UNITS if kind not in ("callbacks", "schedules")))
def comes_back_from_a_file(subject: Subject) -> None:
    """A saved model that holds the unit loads with the same config, weights and predictions."""
    registered = registry.find(subject.kind, subject.entry.name)
    if registered is None or registered.target is not subject.entry.target:
        return  # a file can only name what is registered
    model = with_unit(subject)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.nbdl"
        model.save(path)
        from nbdl.saving import load_model

        again = load_model(path)
    assert again.get_config() == model.get_config(), "the model's config differs after loading"
    if model.compiled is not None and again.compiled is not None:
        for first, second in (
            (model.compiled.optimizer, again.compiled.optimizer),
            (model.compiled.loss, again.compiled.loss),
            *((one, two) for (_, one), (_, two) in zip(model.compiled.metrics, again.compiled.metrics, strict=True)),
        ):
            assert serialize(first) == serialize(second), f"{first!r} comes back as {second!r}"
    shape = model.input_shape
    assert shape is not None
    x = layer_inputs(model.layers[0], generator(), 4, *shape)
    assert np.array_equal(model.predict(x), again.predict(x)), "predictions differ after loading"
