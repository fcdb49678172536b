"""Float32 as it is: NaN is not lost, finite stays finite, rounding does not grow, nothing becomes float64."""

from __future__ import annotations

import functools
import hashlib
import re
from typing import Any
from unittest import SkipTest

import numpy as np

from nbdl.engine.executor import host_backend
from nbdl.engine.store import PLACES
from nbdl.plugins.options import RECORDING
from nbdl.program.language.plain import reference_function
from nbdl.testing.agreement import by_row
from nbdl.testing.probe import Array, Probe
from nbdl.testing.subject import NO_KERNELS, Subject, check
from nbdl.testing.units import away_from, generator, known_probes

MANY = 1e4  # finite inputs go up to here
ULP = 2.0**-23
DENORMAL = 2.4e-38  # below it denormals, which count as zero, may be on the way
GRID = np.concatenate([np.linspace(-8.0, 8.0, 65), [-100.0, -50.0, -30.0, -20.0, -17.0, 17.0, 20.0, 50.0, 100.0]])


def with_nan(array: Array, *index: int) -> Array:
    """A copy with one NaN."""
    copied = array.copy()
    copied[index] = np.nan
    return copied


def assert_nan(values: Array, title: str) -> None:
    """Assert that NaN is there."""
    assert np.isnan(values).any(), f"{title} is lost: write conditions so that NaN passes (max(x, 0.0), 0.0 * x)"


@check("NaN in, NaN out", "activations", "layers")
def nan_passes(subject: Subject) -> None:
    """NaN in an input shows in that row's output, and NaN in dy in that row's dx; and in no other row's."""
    alone = {id(probe) for probe in by_row(subject)}
    for probe in known_probes(subject):
        last = len(probe.sources) - 1
        index = (2, *(min(1, size - 1) for size in probe.sources[last].shape[1:]))
        sources = [*probe.sources[:last], with_nan(probe.sources[last], *index)]
        result = probe.run("compiled", sources)
        found = result.output[2]
        if last and getattr(probe.unit, "input_limit", None) is not None:
            found = result.log  # there is no derivative by integers
        assert_nan(found, f"{probe.title}: NaN in a row")
        if id(probe) in alone:
            assert np.isfinite(np.delete(result.output, 2, axis=0)).all(), (
                f"{probe.title}: NaN in a row is in others, too"
            )


@check("NaN in, NaN out", "losses")
def nan_passes_losses(subject: Subject) -> None:
    """NaN in a prediction shows in that row's value and gradient."""
    for probe in known_probes(subject):
        y, p = probe.sources
        sources = [y, with_nan(p, 2, p.shape[1] // 2)]
        result = probe.run("compiled", sources)
        assert_nan(result.output[2], f"{probe.title}: NaN in a prediction")


@check("NaN in, NaN out", "regularizers", "constraints")
def nan_passes_weights(subject: Subject) -> None:
    """NaN in a weight shows in the penalty or the projection, and NaN in its gradient stays."""
    for probe in known_probes(subject):
        last = probe.store.weights[-1]  # of a gradient's program: the gradient
        weights = probe.initial.copy()
        weights[(last.tensor.offset & PLACES) + 1] = np.nan
        assert_nan(probe.run("compiled", weights=weights).log, f"{probe.title}: NaN")


@check("NaN in, NaN out", "optimizers")
def nan_passes_update(subject: Subject) -> None:
    """NaN in a gradient makes that weight NaN, and no other; where a norm is clipped, it stops the step."""
    for probe in known_probes(subject):
        g = probe.store.weights[1].tensor
        weights = probe.initial.copy()
        weights[(g.offset & PLACES) + 3] = np.nan
        after = probe.run("compiled", weights=weights).weights[: g.features]
        lost = np.isnan(after)
        if probe.unit.clipnorm is not None or probe.unit.global_clipnorm is not None:
            assert np.array_equal(after, probe.initial[: g.features]), "NaN in a norm must stop the step"
        elif probe.unit.per_weight:
            assert lost[3], "NaN in gradient 3 must make weight 3 NaN"
        else:
            assert np.flatnonzero(lost).tolist() == [3], "NaN in gradient 3 must make weight 3 NaN, and no other"


def finite(probe: Probe, sources: list[Array] | None, weights: Array | None, title: str) -> None:
    """Assert that a run gives finite numbers."""
    result = probe.run("compiled", sources, weights)
    for name, values in result.named().items():
        bad = ~np.isfinite(values)
        assert not bad.any(), f"{probe.title}: {title} gives {values[bad].reshape(-1)[0]} in the {name}"


def wide(shape: tuple[int, ...]) -> Array:
    """Numbers of all sizes up to MANY, with zeros."""
    rng = generator()
    values = rng.choice([-1.0, 1.0], shape) * 10.0 ** rng.uniform(-6, 4, shape)
    values[rng.uniform(size=shape) < 0.2] = 0.0
    flat = values.reshape(-1)
    flat[:2] = MANY, -MANY
    return values.astype(np.float32)


@check("finite stays finite", "activations", "layers")
def stays_finite(subject: Subject) -> None:
    """Finite inputs of up to ±10 000 give neither NaN nor infinity, forward or backward."""
    for probe in known_probes(subject):
        integers = getattr(probe.unit, "input_limit", None) is not None
        sources = probe.sources if integers else [wide(probe.sources[0].shape), *probe.sources[1:]]
        finite(probe, sources, None, f"x up to ±{MANY:g}")


@check("finite stays finite", "losses")
def stays_finite_losses(subject: Subject) -> None:
    """Right and wrong predictions at the ends of their range give neither NaN nor infinity, nor do huge logits."""
    for number, probe in enumerate(known_probes(subject)):
        y, p = probe.sources
        if number >= 2:
            points = [wide(p.shape)]
        elif p.min() < 0.0:
            points = [wide(p.shape)] if "predictions" not in subject.options else []
        else:  # probabilities: all on one column, which is right for some rows and wrong for others
            points = [np.ascontiguousarray(np.eye(p.shape[1], dtype=np.float32)[np.arange(len(p)) % p.shape[1]])]
        for at in points:
            finite(probe, [y, at], None, "a prediction at the end of its range")


@check("finite stays finite", "regularizers", "constraints")
def stays_finite_weights(subject: Subject) -> None:
    """Weights of up to ±10 000, and zeros only, give neither NaN nor infinity."""
    for probe in known_probes(subject):
        for values in (wide(probe.initial.shape), np.zeros_like(probe.initial)):
            finite(probe, None, values, "a finite weight")


@check("finite stays finite", "optimizers")
def stays_finite_update(subject: Subject) -> None:
    """Zero gradients, in the first step too, and gradients of up to ±10 000 give neither NaN nor infinity."""
    for probe in known_probes(subject):
        size = probe.store.weights[1].tensor.features
        for gradient in (np.zeros(size, np.float32), wide((size,))):
            weights = probe.initial.copy()
            weights[size : 2 * size] = gradient
            finite(probe, None, weights, "a finite gradient")


def _elementwise(entry: Any) -> bool:
    return bool(getattr(entry.target, "functions", ()))


def _wobble(function: Any, arguments: list[Array], parameters: list[float], which: int, ulps: int) -> Array:
    """How far a result moves when one argument is rounded a little differently."""
    base = _float64(function, arguments, parameters)
    moved = np.zeros_like(base)
    for sign in (1.0, -1.0):
        changed = list(arguments)
        changed[which] = changed[which] * (1.0 + sign * ulps * ULP)
        moved = np.maximum(moved, np.abs(_float64(function, changed, parameters) - base))
    return moved


def _float64(function: Any, arguments: list[Array], parameters: list[float]) -> Array:
    plain = reference_function(function)
    with np.errstate(all="ignore"):
        rows = zip(*(argument.reshape(-1) for argument in arguments), strict=True)
        values = [plain(*map(np.float64, row), *map(np.float64, parameters)) for row in rows]
    return np.array(values, np.float64).reshape(arguments[0].shape)


def _accurate(found: Array, function: Any, arguments: list[Array], parameters: list[float], title: str) -> None:
    """Assert that float32 lost no more than rounding the function's arguments by some ulp would."""
    wanted = _float64(function, arguments, parameters)
    allowed = 16 * ULP * np.abs(wanted) + DENORMAL
    for which in range(len(arguments)):
        allowed = allowed + _wobble(function, arguments, parameters, which, 4)
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there
        wrong = ~((np.abs(found - wanted) <= allowed) | (found == wanted.astype(np.float32)))
    if wrong.any():
        at = int(np.argmax(wrong))
        shown = ", ".join(f"{argument.reshape(-1)[at]:.6g}" for argument in arguments)
        single, double = found.reshape(-1)[at], wanted.reshape(-1)[at]
        raise AssertionError(f"{title} of ({shown}) is {single:.7g} in float32, {double:.7g} in float64")


@check("accurate in float32", "activations", applies=_elementwise)
def accurate_activation(subject: Subject) -> None:
    """f and df lose no digits that float32 could keep: from -100 to 100 they are right within some ulp of their
    arguments. (1 - e^-y, as the derivative of ln(1 + e^x), is 44 % wrong at x = -17.)
    """
    unit = subject.make()
    parameters = list(unit.parameters.values())
    forward, backward = known_probes(subject)
    x = away_from(subject.options.get("kinks", ()), np.resize(GRID, (-(-GRID.size // forward.width), forward.width)))
    y = forward.run("compiled", [x]).output
    dx = backward.run("compiled", [x, np.ones_like(x)]).output
    exact = x.astype(np.float64)
    _accurate(y, unit.functions[0], [exact], parameters, "f")
    _accurate(dx, unit.functions[1], [exact, _float64(unit.functions[0], [exact], parameters)], parameters, "df")


@functools.cache
def llvm_of(text: str) -> str:
    """The LLVM text of a kernel; compiled in memory, since a cached one has none."""
    from nbdl.engine import compiler as kernel

    name = f"nbdl_inspected_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    return str(kernel._from_memory(name, text).inspect_llvm())


DOUBLE = re.compile(r"\bdouble\b")


@check("float32 only", *RECORDING)
def float32_only(subject: Subject) -> None:
    """No kernel of the unit computes in float64: no `double` in its LLVM text."""
    from nbdl.engine.cpu.texts import map_text, sum_text
    from nbdl.program.tensor import pattern

    if host_backend() == "reference":
        raise SkipTest(NO_KERNELS)
    for probe in known_probes(subject):
        for operation in probe.program.operations:
            if operation.function is None:
                continue
            patterns = [pattern(tensor, operation.domain) for tensor in operation.inputs]
            if operation.kind == "map":
                text, _ = map_text(operation.function, patterns, len(operation.outputs))
            elif operation.kind == "sum":
                over = operation.attributes["over"]
                text, _ = sum_text(operation.function, patterns, over, operation.attributes["reduction"])
            else:
                from nbdl.engine.cpu.texts import kernel_text

                text = kernel_text(operation)
            if DOUBLE.search(llvm_of(text)):
                raise AssertionError(f"{probe.title}: {operation.title} computes in float64 (double)")
