"""Arguments off their defaults: what a unit does must depend on each of them."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from nbdl.plugins.description import own_arguments
from nbdl.plugins.options import RECORDING
from nbdl.program.language.source import used_arguments
from nbdl.program.operation import Operation
from nbdl.program.tensor import Tensor
from nbdl.testing.probe import Array, Probe
from nbdl.testing.subject import CLASS_KINDS, Subject, check, known_subjects
from nbdl.testing.truths import is_its_functions
from nbdl.testing.units import after_steps, generator, known_probes, probes, reals, weight_shapes
from nbdl.units.entry import Entry
from nbdl.units.random import RandomStream

STEPS = (0, 1, 2, 3, 10, 30, 100, 1000, 10_000)


def numbers(subject: Subject) -> dict[str, Any]:
    """The unit's own arguments that are numbers, with the subject's values."""
    own = own_arguments(subject.entry.target)
    parameters = inspect.signature(subject.entry.target).parameters.values()
    values = {one.name: subject.arguments.get(one.name, one.default) for one in parameters if one.name in own}
    return {name: value for name, value in values.items() if isinstance(value, int | float) and math.isfinite(value)}


def others(value: Any) -> tuple[Any, ...]:
    """Other values than a number, to be tried one after the other: not every unit takes each of them."""
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return value + 1, value - 1, 2 * value
    found = [float(f"{one:.6g}") for one in (1.3 * value + 0.1, 0.7 * value, -value)]
    return tuple(sorted(found, key=lambda one: 0.0 <= value <= 1.0 < one))  # a share stays one, if it can


def moved(subject: Subject, *names: str) -> Subject:
    """The subject with other values of these arguments, as far as the unit takes them."""
    for name in names:
        for value in others(numbers(subject)[name]):
            trial = Subject(subject.entry, {**subject.arguments, name: value})
            try:
                behaviour(trial)
            except Exception:  # not a value of that argument
                continue
            subject = trial
            break
    return subject


@functools.lru_cache(maxsize=1)  # checks come unit by unit
def off_their_defaults(first: Subject) -> Subject | None:
    """The unit's first subject with other numbers, all at once; None if there is no other number."""
    trial = moved(first, *numbers(first))
    return trial if trial.arguments != first.arguments else None


def with_other_numbers(entry: Entry) -> list[Subject]:
    """A unit's subjects, and one more if there are numbers that all of them have in common."""
    known = known_subjects(entry)
    values = [numbers(subject) for subject in known]
    if all(len({one.get(name) for one in values}) > 1 for name in values[0]):
        return known
    more = off_their_defaults(known[0])
    return known if more is None else [*known, more]


# -- what a unit does -------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def behaviour(subject: Subject) -> Any:
    """What a unit records, or the values that it gives; equal for units that do the same."""
    with np.errstate(all="ignore"):
        return _behaviour(subject)


def _behaviour(subject: Subject) -> Any:
    unit = subject.make()
    if subject.kind == "initializers":
        return np.asarray(unit((7, 5), RandomStream(1, 2))).tobytes()
    if subject.kind == "schedules":
        return [float(unit(step)) for step in STEPS]
    if subject.kind not in RECORDING:
        return state(unit)
    found: list[Any] = [(recorded(probe), probe.initial.tobytes()) for probe in known_probes(subject)]
    if subject.kind == "optimizers":
        found += [_way(unit, shape).tobytes() for shape in weight_shapes(unit, 48)]
        if unit.per_weight:  # which may look at what weights are called, or belong to
            found.append(state(unit))
    if subject.kind == "metrics":
        (probe,) = probes(subject, rows=150)
        log = probe.log_named(probe.run("float64").log, "sums").astype(np.float64)
        found.append(np.asarray(unit.figure(log, np.array([float(probe.rows)]))).tobytes())
    if subject.kind == "layers":
        found.append(state(unit.activity_regularizer))  # which training records
    return found


def _way(unit: Any, shape: tuple[int, ...]) -> Array:
    """The weights after steps with a gradient of its own each."""
    rng = generator()
    w, gradients = reals(rng, *shape), [reals(rng, *shape) for _ in range(6)]
    return after_steps(unit, w, lambda step, now: gradients[step - 1], len(gradients), "float64")


def recorded(probe: Probe) -> list[Any]:
    """A program as plain data: operands that a function does not read are left out."""
    numbers: dict[int, int] = {}

    def operand(tensor: Tensor) -> Any:
        storage = tensor.storage
        if storage.space == "constant":
            return probe.program.constants[storage.offset : storage.offset + storage.features]
        return storage.space, storage.name, tensor.shape, tensor.batched, numbers.setdefault(id(storage), len(numbers))

    return [
        (operation.kind, told(operation), [*map(operand, (*_read(operation), *operation.outputs))])
        for operation in probe.program.operations
    ]


def told(operation: Operation) -> Any:
    """What an operation does, without its operands."""
    attributes = {name: value for name, value in operation.attributes.items() if name != "cuda"}
    return state(attributes), state(operation.function)


def _read(operation: Operation) -> Iterator[Tensor]:
    if operation.function is None:
        yield from operation.inputs
        return
    code, used = operation.function.__code__, used_arguments(operation.function)
    for name, tensor in zip(code.co_varnames, operation.inputs, strict=False):
        if name in used:
            yield tensor


def state(value: Any, depth: int = 0) -> Any:
    """A value as plain data, as far as it has any; what cannot be looked into is like nothing else."""
    if value is None or isinstance(value, str | int | float | type):
        return value
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if depth > 6:
        return None
    inner = functools.partial(state, depth=depth + 1)
    if isinstance(value, Mapping):
        return {key: inner(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [inner(one) for one in value]
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__code__, inner(cells), inner(value.__defaults__)
    if hasattr(value, "__dict__"):
        return type(value), inner({name: one for name, one in vars(value).items() if name != "_arguments"})
    return object()


def first_only(entry: Entry) -> list[Subject]:
    """The unit as the first of its subjects has it."""
    return known_subjects(entry)[:1]


def has_numbers(entry: Entry) -> bool:
    """Whether a unit has arguments of its own that are numbers."""
    try:
        return bool(numbers(known_subjects(entry)[0]))
    except Exception:  # which other checks tell
        return False


@check("arguments matter", *CLASS_KINDS, applies=has_numbers, subjects=first_only)
def arguments_matter(subject: Subject) -> None:
    """Each number that the constructor takes changes what the unit does: what it records, or the values it gives.

    Other values are tried beside the defaults, beside each example, and with all other numbers changed as well, for
    arguments that matter only with others. The config holds the value that was given.
    """
    contexts = [*known_subjects(subject.entry)]
    if everything := off_their_defaults(subject):
        contexts.append(everything)
    for name in numbers(subject):
        _matters(name, contexts)


def _matters(name: str, contexts: list[Subject]) -> None:
    tried = ""
    for context in contexts:
        other = moved(context, name) if name in numbers(context) else context
        if other is context:
            continue
        before, value = numbers(context)[name], other.arguments[name]
        held = other.make().get_config().get(name)
        assert held == value, f"{name}={value!r} is {name}={held!r} in the config"
        assert not _unread(other, name), f"{name}: no function of the unit reads it"
        if behaviour(other) != behaviour(context):
            return
        tried = tried or f"{name}={value!r} does what {name}={before!r} does"
    assert not tried, f"{tried}: is the argument used?"


def _unread(subject: Subject, name: str) -> bool:
    """Whether a unit of scalar functions has an argument that none of them reads."""
    if not is_its_functions(subject.entry):
        return False
    functions = subject.entry.target.functions
    return name in subject.make().parameters and not any(name in used_arguments(one) for one in functions)
