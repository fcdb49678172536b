"""Every registered unit on the GPU against the CPU: its programs, their gradients, and a small net that holds it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gpu import agreement, sections
from gpu.context import Context
from nbdl.testing.units import known_probes, large_probes

MOST_SHARDS = 6  # processes, each with a part of the units: most of the time is compiling


def units(context: Context) -> None:
    """All units, in several processes."""
    first, count = context.options.shard
    if count > 1:
        return part(context, first, count)
    shards = 1 if context.options.simulate else max(1, min(MOST_SHARDS, (os.cpu_count() or 1) // 2))
    if shards == 1:
        return part(context, 0, 1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.json" for number in range(shards)]
        children = [_begin(context, number, shards, file) for number, file in enumerate(files)]
        codes = [sections.wait(child, context.left() - 3.0) for child in children]
        _gather(context, files, codes)
    return None


def _begin(context: Context, number: int, shards: int, file: Path) -> subprocess.Popen[bytes]:
    told = replace(context.options, result=str(file), seconds=context.left() - 5.0, shard=(number, shards))
    return sections.start("units", told.to_json(), os.environ, sys.stderr, leader=False)


def _gather(context: Context, files: list[Path], codes: list[int | None]) -> None:
    context.result["units"] = {}
    for number, (file, code) in enumerate(zip(files, codes, strict=True)):
        found = sections.read(file) or {}
        context.result["units"].update(found.get("units", {}))
        context.result["failures"] += found.get("failures", [])
        if code != 0:
            how = "took too long" if code is None else f"ended with status {code}"
            context.fail(f"part {number + 1} of {len(files)} {how}, at {found.get('at', 'its start')}")


def part(context: Context, first: int, step: int) -> None:
    """Every `step`-th unit from the first on."""
    from nbdl.testing.subject import CLASS_KINDS
    from nbdl.testing.suite import entries, expected_failure

    found: dict[str, Any] = {}

    def against_cpu(entry: Any, name: str) -> list[str]:
        found[name], wrong = unit(entry, context)
        return wrong

    def by_suite(entry: Any, name: str) -> list[str]:
        checks = [one for one in suite_checks(entry) if not expected_failure(entry, one)]
        return [text for one in checks for text in failing(one, entry)]

    mine = {f"{entry.kind}/{entry.name}": entry for entry in list(entries(kinds=CLASS_KINDS))[first::step]}
    for check in (against_cpu, by_suite):  # what the suite looks at beyond that matters less, should time be short
        for name, entry in mine.items():
            context.keep(at=name, units=found)
            if context.left() < 1.0:
                return context.fail(f"no time was left for {name}, {check.__name__.replace('_', ' ')}")
            for text in check(entry, name):
                context.fail(f"{name}: {text}")
    context.keep(at="the end", units=found)
    return None


def suite_checks(entry: Any) -> Iterator[Any]:
    """The conformance suite's own checks of devices."""
    from nbdl.testing.suite import checks_for

    return (one for one in checks_for(entry) if one.function.__module__ == "nbdl.testing.devices")


def failing(check: Any, entry: Any) -> Iterator[str]:
    """What one of the suite's checks says."""
    try:
        check(entry)
    except Exception as error:
        yield f"{type(error).__name__}: {error}"


def unit(entry: Any, context: Context) -> tuple[dict[str, float], list[str]]:
    """The largest differences of a unit's programs and of its net, relative; and what is wrong."""
    from nbdl.testing.subject import subjects

    figures, wrong = {"programs": 0, "to CPU": 0.0, "to float64": 0.0, "CPU to float64": 0.0, "net": 0.0}, list[str]()
    for subject in subjects(entry):
        probes = list(known_probes(subject)) + ([] if context.options.simulate else list(large_probes(subject)))
        for probe in probes:
            figures["programs"] += 1
            try:
                agreement.programs(probe, figures)
            except Exception as error:
                wrong.append(f"{subject} {probe.title}: {type(error).__name__}: {error}")
        try:
            figures["net"] = max(figures["net"], net(subject, context.device))
        except NotTrained:
            pass
        except Exception as error:
            wrong.append(f"{subject} in a net: {type(error).__name__}: {error}")
    return figures, wrong


# -- a small net ---------------------------------------------------------------------------------------------


class NotTrained(Exception):
    """The unit has no part in training, or not even the CPU trains it alone."""


ROWS, BATCH, EPOCHS = 17, 5, 2  # the last batch is short


def net(subject: Any, device: str) -> float:
    """Train a small net that holds the unit on both devices: how far apart the weights end."""
    from nbdl.errors import NbdlError

    if subject.kind in ("callbacks", "schedules"):
        raise NotTrained
    try:
        cpu, x, y = made(subject)
        start = cpu.store.data.copy()
        cpu.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    except NbdlError as error:
        raise NotTrained from error
    other, _, _ = made(subject)
    other.device = device
    other.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    agreement.same_figures(cpu.history.history, other.history.history)
    return agreement.same_weights(start, cpu.store.data, other.store.data)


def made(subject: Any) -> tuple[Any, Any, Any]:
    """The conformance suite's model around the unit, and data for it; the same at each call."""
    from nbdl.testing.conduct import with_unit
    from nbdl.testing.data import loss_data

    model = with_unit(subject)
    if model.compiled is None:
        model.compile(loss="mse", optimizer="sgd")
    rng = np.random.default_rng(5)
    x = rng.normal(size=(ROWS, *(model.input_shape or ()))).astype(np.float32)
    outputs = int(np.prod(model.output_shape))
    y, _ = loss_data(model.loss, _options_of(model.loss), ROWS, outputs, rng)
    return model, x, y.reshape(ROWS, *model.output_shape) if y.size == ROWS * outputs else y


def _options_of(loss: Any) -> Any:
    from nbdl.units.registry import registry

    entry = registry.entry_of(loss)
    return {} if entry is None else entry.options
