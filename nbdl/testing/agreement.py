"""One program, many ways to run it: compiled, plain Python, in parts, in tiles, on threads. All agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import SkipTest

import numpy as np

from nbdl.engine.executor import host_backend
from nbdl.plugins.options import RECORDING
from nbdl.testing.probe import Array, Outcome, Probe, assert_close, forced
from nbdl.testing.subject import NO_KERNELS, Subject, check
from nbdl.testing.units import generator, known_probes, large_probes


def same_bits(first: Outcome, second: Outcome, title: str) -> None:
    """Assert that two runs left the same bits."""
    for name, values in first.named().items():
        if values.tobytes() != second.named()[name].tobytes():
            differing = int((values.view(np.uint32) != second.named()[name].view(np.uint32)).sum())
            raise AssertionError(f"{title}: the {name} differ in {differing} of {values.size} elements")


def close(found: Outcome, wanted: Outcome, title: str, rtol: float, atol: float) -> None:
    """Assert that two runs left nearly the same."""
    for name, values in found.named().items():
        assert_close(values, wanted.named()[name], f"{title}: {name}", rtol, atol)


@check("compiled is plain Python", *RECORDING)
def compiled_is_python(subject: Subject) -> None:
    """Compiled code gives what the same functions give when Python runs them in float32, within a few roundings."""
    if host_backend() == "reference":
        raise SkipTest(NO_KERNELS)
    for probe in known_probes(subject):
        close(probe.run("compiled"), probe.run("python"), f"{probe.title}, compiled", 2e-5, 2e-6)


def cut(array: Array, rows: int) -> Array:
    """The first rows."""
    return np.ascontiguousarray(array[:rows])


def _random(probe: Probe) -> bool:
    return any(operation.kind == "uniform" for operation in probe.program.operations)


def by_row(subject: Subject) -> Iterator[Probe]:
    """Programs over rows, where no row's result may depend on the other rows."""
    for probe in known_probes(subject):
        over_rows = any(
            operation.kind in ("sum", "gemm") and any(t.space == "work" and not t.batched for t in operation.outputs)
            for operation in probe.program.operations
        )
        scaled = any(t.space == "scalar" for operation in probe.program.operations for t in operation.inputs)
        if probe.sources and not (_random(probe) or over_rows or scaled):
            yield probe


@check("any batch size", "layers", "activations", "losses", "metrics")
def any_batch_size(subject: Subject) -> None:
    """One row alone, or a short last batch, gives the same as all rows at once."""
    for probe in by_row(subject):
        whole = probe.run("compiled")
        for parts in ([1] * probe.rows, [probe.rows - 1, 1]):
            found = probe.run("compiled", parts=parts).output
            assert_close(found, whole.output, f"{probe.title} in batches of {parts}", 1e-5, 1e-6)
        executor = probe.executor("compiled", 40 * probe.rows)
        found = probe.run("compiled", executor=executor).output
        assert_close(found, whole.output, f"{probe.title}, a batch smaller than planned for", 1e-5, 1e-6)


@check("empty batch", "layers", "activations", "losses", "metrics")
def empty_batch(subject: Subject) -> None:
    """No rows give no rows, and change no weights: a part of a batch that is cut for many threads may have none.

    A hand-written body must neither look at a first row that may not be there, nor divide by the number of rows.
    """
    for probe in known_probes(subject):
        none = [cut(source, 0) for source in probe.sources]
        for how in () if host_backend() == "reference" else ("compiled", "checked"):
            found = probe.run(how, none, executor=probe.executor(how))
            assert found.output.shape[0] == 0, f"{probe.title}: no rows give {found.output.shape[0]}"
        with watching_bodies(probe) as calls:
            probe.run("python")
        for operation, arrays in calls:
            tensors = (*operation.inputs, *operation.outputs)
            empty = [array[:0] if tensor.batched else array for tensor, array in zip(tensors, arrays, strict=False)]
            body = operation.function
            try:
                with np.errstate(all="ignore"):
                    body(*empty, *arrays[len(tensors) :])
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise AssertionError(f"{probe.title}: the body {body.__name__}, given no rows: {reason}") from error


@contextmanager
def watching_bodies(probe: Probe) -> Iterator[list[tuple[Any, tuple[Any, ...]]]]:
    """Within, note each call of a hand-written body that Python makes: the operation, and copies of its arrays."""
    calls: list[tuple[Any, tuple[Any, ...]]] = []
    kernels = [(operation, operation.function) for operation in probe.program.operations if operation.kind == "kernel"]
    for operation, body in kernels:

        def watched(*arrays: Any, operation: Any = operation, body: Any = body) -> None:
            calls.append((operation, tuple(a.copy() if isinstance(a, np.ndarray) else a for a in arrays)))
            body(*arrays)

        operation.function = watched
    try:
        yield calls
    finally:
        for operation, body in kernels:
            operation.function = body


@check("rows in any order", "layers", "activations", "losses", "metrics")
def rows_in_any_order(subject: Subject) -> None:
    """Rows in another order give the same results in that order, and the same sums over them but for roundings.

    What depends on the order, such as a total that is carried from row to row, depends on how a batch is cut.
    """
    for probe in known_probes(subject):
        if _random(probe) or not probe.sources:
            continue
        order = generator().permutation(probe.rows)[::-1]
        wanted, turned = probe.run("compiled"), [np.ascontiguousarray(source[order]) for source in probe.sources]
        found, wanted.output = probe.run("compiled", turned), wanted.output[order]
        close(found, wanted, f"{probe.title}, rows in another order", 2e-5, 2e-6)


@check("any partition", *RECORDING)
def any_partition(subject: Subject) -> None:
    """Cut into tiles or into blocks of rows, with memory used again, the program gives what it gives in one piece."""
    for probe in large_probes(subject):
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
    for probe in large_probes(subject):
        for schedule in ("tiles", "blocks"):
            with forced(schedule):
                serial = probe.run("compiled", threads=1)
            with forced(schedule, parallel=True):
                parallel = probe.executor("compiled")
                for threads in (1, 2):
                    found = probe.run("compiled", threads=threads, executor=parallel)
                    same_bits(found, serial, f"{probe.title} in {schedule} on {threads} thread(s)")
