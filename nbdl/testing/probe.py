"""Probe: a small program around one unit, run by any executor: compiled, plain Python, float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from nbdl.engine.executor import host_backend
from nbdl.engine.reference import ReferenceExecutor
from nbdl.engine.run import RunTables
from nbdl.engine.store import Store, Weight
from nbdl.program.functions import same
from nbdl.program.operation import Program
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor

Array = NDArray[Any]
Record = Callable[[Recorder, Sequence[Tensor]], "Tensor | None"]
SEED = 20_240_229

# What the scheduler would do with much larger work, by the constants of `nbdl.engine.cpu.schedule`.
SCHEDULES: dict[str, dict[str, Any]] = {
    "tiles": {"SMALL_STEP_US": 0.0, "SMALL_CHAIN_US": 0.0, "TILE_US": 0.01, "NARROWEST": 16, "MANY_ROWS": 1 << 60},
    "blocks": {"SMALL_STEP_US": 0.0, "SMALL_CHAIN_US": 0.0, "MANY_ROWS": 1},
}


@contextmanager
def forced(schedule: str, parallel: bool = False) -> Iterator[None]:
    """Make the scheduler cut even small programs into "tiles" or "blocks", in parallel regions if asked."""
    from nbdl.engine.cpu import lowered
    from nbdl.engine.cpu import schedule as constants

    with mock.patch.multiple(constants, **SCHEDULES[schedule]):
        if parallel:
            with mock.patch.object(lowered, "PARALLEL_STAGE_US", 0.0):
                yield
        else:
            yield


@dataclass
class Outcome:
    """What a run left: predictions by row, the log (a row a step), weights, slots."""

    output: Array
    log: Array
    weights: Array
    slots: Array

    def named(self) -> dict[str, Array]:
        """All arrays by name."""
        return {"output": self.output, "log": self.log, "weights": self.weights, "slots": self.slots}


@dataclass
class Probe:
    """A program with its data.

    Attributes:
        title: for messages.
        record: records the program, given the tensors of the inputs; returns what goes to the output, if anything.
        sources: float32 data, rows first; one array for each input.
        weights: what the program names as weights; their values are the initial ones.
        slots: sizes of the optimizer's slots, in floats.
        scalars: per step, beside the number of rows.
        steps: how often the data is gone through.
        unit: what is being tested.
        gathered: whether batches are gathered through indices, as in training, rather than read in place; what follows
            can then pass through blocks of rows with the gathering.
        first_slots: what the slots hold before the first step.
    """

    title: str
    record: Record
    sources: list[Array] = field(default_factory=list)
    weights: list[Weight] = field(default_factory=list)
    slots: int = 0
    scalars: Callable[[int], dict[str, float]] | None = None
    steps: int = 1
    training: bool = True
    unit: Any = None
    gathered: bool = False
    first_slots: Array | float = 0.0
    store: Store = field(init=False)
    program: Program = field(init=False)
    initial: Array = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.weights)
        self.program = self.recorded()
        self.initial = self.store.data.copy()

    @property
    def rows(self) -> int:
        """Rows of the data."""
        return len(self.sources[0]) if self.sources else 1

    def recorded(self) -> Program:
        """The program, recorded anew."""
        r = Recorder(self.training)
        tensors = [r.input(source.shape[1:], f"input {number}") for number, source in enumerate(self.sources)]
        return r.finish(self.record(r, tensors))

    @property
    def width(self) -> int:
        """Features of the output."""
        return 0 if self.program.output is None else self.program.output.features

    def executor(self, how: str, rows: int | None = None) -> Any:
        """ "compiled", "plain" (one tile), "checked", "python" (float32), "float64", "cuda" or "checked cuda".

        Where Numba's JIT is off, all but the last are the same.
        """
        rows, kinds = rows or max(1, self.rows), ["float32" if self.gathered else None] * len(self.sources)
        slots = np.zeros(max(1, self.slots), np.float32)
        if how in ("python", "float64") or host_backend() == "reference":
            dtype = np.float64 if how == "float64" else np.float32
            made = ReferenceExecutor(self.program, self.store, rows, kinds, slots, dtype)
            made.slots = slots.astype(dtype)
            return made
        if how.endswith("cuda"):
            from nbdl.engine import select

            make = select.make_checked if how == "checked cuda" else select.make
            return make(self.program, self.store, rows, kinds, slots, "cuda")
        from nbdl.engine.cpu.checked import CheckedExecutor
        from nbdl.engine.cpu.executor import CpuExecutor

        if how == "checked":
            return CheckedExecutor(self.program, self.store, rows, kinds, slots)
        return CpuExecutor(self.program, self.store, rows, kinds, slots, plain=how == "plain")

    def run(
        self,
        how: str = "compiled",
        sources: Sequence[Array] | None = None,
        weights: Array | None = None,
        slots: Array | float | None = None,
        parts: Sequence[int] | None = None,
        threads: int | None = 1,
        executor: Any = None,
        seed: int = SEED,
        first_step: int = 1,
    ) -> Outcome:
        """Run it, from the initial weights and slots if no others are given.

        Args:
            how: as for `executor`.
            sources: other data than the probe's own.
            weights: other values than the initial ones.
            parts: sizes of the batches; by default one of all rows.
        """
        # Copies, since a body may change what it reads.
        copies = [source.copy() for source in self.sources] if sources is None else list(sources)
        assert [one.shape[1:] for one in copies] == [one.shape[1:] for one in self.sources]
        rows = len(copies[0]) if copies else self.rows
        made = executor or self.executor(how, max(parts) if parts else rows)
        dtype = np.float64 if how == "float64" else np.float32
        copies = [np.ascontiguousarray(source, dtype) for source in copies]
        tables = self._tables(parts or [rows], rows, dtype, copies, seed, first_step)
        start = self.initial if weights is None else weights
        made.slots[:] = self.first_slots if slots is None else slots
        if isinstance(made, ReferenceExecutor):
            after = start.astype(dtype)
            made.weights = {block.start: after for block in self.store.blocks}
            made.run(tables, threads)
        else:
            self.store.data[:] = start
            tables.sources = made.prepare(copies)
            made.push()
            if hasattr(made, "poison"):
                made.poison()
            made.run(tables, threads)
            made.pull()
            after = self.store.data.copy()
            self.store.data[:] = self.initial
        assert tables.output is not None
        return Outcome(tables.output, tables.log, after, made.slots.copy())

    def _tables(
        self, parts: Sequence[int], rows: int, dtype: Any, sources: list[Array], seed: int, first_step: int
    ) -> RunTables:
        count = len(parts) * self.steps
        steps = np.zeros((count, 4), np.int64)
        starts = np.cumsum([0, *parts[:-1]])
        for number in range(count):
            part = number % len(parts)
            steps[number, :3] = starts[part], parts[part], first_step + number
        self._order = np.arange(rows, dtype=np.int64)
        if self.gathered:
            steps[:, 3] = self._order.ctypes.data + 8 * steps[:, 0]
        scalars = np.zeros((count, len(self.program.scalars)), dtype)
        scalars[:, 0] = steps[:, 1]
        for number, step in enumerate(steps[:, 2]):
            values = self.scalars(int(step)) if self.scalars else {}
            scalars[number, 1:] = [values[name] for name in self.program.scalars[1:]]
        log = np.zeros((count, max(1, self.program.log_width)), dtype)
        output = np.full((rows, max(1, self.width)), np.nan if self.width else 0.0, dtype)  # all of it is to be written
        return RunTables(steps, scalars, log, sources, output, seed)

    def log_named(self, log: Array, name: str) -> Array:
        """The columns of one entry of the log."""
        start = 0
        for known, width in self.program.log:
            if known == name:
                return log[:, start : start + width]
            start += width
        raise KeyError(name)


def logged(r: Recorder, name: str, value: Tensor) -> None:
    """Put a tensor of fixed shape into the log."""
    r.map(same, value, into=[r.log(name, value.features)])


def assert_close(actual: Array, wanted: Array, title: str, rtol: float, atol: float = 0.0) -> None:
    """Equal within tolerances relative to the element and to the largest element; NaN and infinity alike."""
    finite = np.abs(wanted[np.isfinite(wanted)])
    allowed = rtol * np.abs(np.nan_to_num(wanted)) + atol * (float(finite.max()) if finite.size else 1.0)
    alike = (actual == wanted) | (np.isnan(actual) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        wrong = ~(alike | (np.abs(actual - wanted) <= allowed))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise AssertionError(f"{title} at {at}: {actual[at]!r}, expected {wanted[at]!r} ({int(wrong.sum())} differ)")
