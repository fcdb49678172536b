"""One program, many ways to run it: compiled, plain Python, in parts, in tiles, on threads. All agree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nbdl.testing.probe import Array, Outcome, Probe, assert_close, forced
from nbdl.testing.suite import Subject, check

RECORDING = ("layers", "activations", "losses", "regularizers", "constraints", "optimizers", "metrics")


def same_bits(first: Outcome, second: Outcome, what: str) -> None:
    """Assert that two runs left the same bits."""
    for name, values in first.named().items():
        if values.tobytes() != second.named()[name].tobytes():
            differing = int((values.view(np.uint32) != second.named()[name].view(np.uint32)).sum())
            raise AssertionError(f"{what}: the {name} differ in {differing} of {values.size} elements")


def close(found: Outcome, wanted: Outcome, what: str, rtol: float, atol: float) -> None:
    """Assert that two runs left nearly the same."""
    for name, values in found.named().items():
        assert_close(values, wanted.named()[name], f"{what}: {name}", rtol, atol)


@check("compiled is plain Python", *RECORDING)
def compiled_is_python(subject: Subject) -> None:
    """Compiled code gives what the same functions give when Python runs them in float32, within a few roundings."""
    for probe in subject.probes:
        close(probe.run("compiled"), probe.run("python"), f"{probe.title}, compiled", 2e-5, 2e-6)


def cut(array: Array, rows: int) -> Array:
    """The first rows."""
    return np.ascontiguousarray(array[:rows])


def _by_row(subject: Subject) -> Iterator[Probe]:
    """Programs over rows, where no row's result may depend on the other rows."""
    for probe in subject.probes:
        random = any(operation.kind == "uniform" for operation in probe.program.operations)
        over_rows = any(
            operation.kind in ("sum", "gemm") and any(t.space == "work" and not t.rows for t in operation.outputs)
            for operation in probe.program.operations
        )
        scaled = any(t.space == "scalar" for operation in probe.program.operations for t in operation.inputs)
        if probe.sources and not (random or over_rows or scaled):
            yield probe


@check("any batch size", "layers", "activations", "losses", "metrics")
def any_batch_size(subject: Subject) -> None:
    """One row alone, or a short last batch, gives the same as all rows at once."""
    for probe in _by_row(subject):
        whole = probe.run("compiled")
        for parts in ([1] * probe.rows, [probe.rows - 1, 1]):
            found = probe.run("compiled", parts=parts).output
            assert_close(found, whole.output, f"{probe.title} in batches of {parts}", 1e-5, 1e-6)
        executor = probe.executor("compiled", 40 * probe.rows)
        found = probe.run("compiled", executor=executor).output
        assert_close(found, whole.output, f"{probe.title}, a batch smaller than planned for", 1e-5, 1e-6)


@check("any partition", *RECORDING)
def any_partition(subject: Subject) -> None:
    """Cut into tiles or into blocks of rows, with memory used again, the program gives what it gives in one piece."""
    for probe in subject.large_probes:
        wanted = probe.run("plain")
        for schedule in ("tiles", "blocks"):
            with forced(schedule):
                found = probe.run("compiled")
                close(found, wanted, f"{probe.title} in {schedule}", 2e-5, 5e-6)
                if len(probe.sources):  # most tiles are empty then
                    few = [cut(source, 3) for source in probe.sources]
                    executor = probe.executor("compiled")
                    found = probe.run("compiled", few, executor=executor)
                    close(found, probe.run("plain", few), f"{probe.title}, 3 rows in {schedule}", 2e-5, 5e-6)


@check("same bits on any threads", *RECORDING)
def same_bits_on_any_threads(subject: Subject) -> None:
    """The serial and the parallel driver, on one and on two threads, give the same bits."""
    for probe in subject.large_probes:
        for schedule in ("tiles", "blocks"):
            with forced(schedule):
                serial = probe.run("compiled", threads=1)
            with forced(schedule, parallel=True):
                parallel = probe.executor("compiled")
                for threads in (1, 2):
                    found = probe.run("compiled", threads=threads, executor=parallel)
                    same_bits(found, serial, f"{probe.title} in {schedule} on {threads} thread(s)")
