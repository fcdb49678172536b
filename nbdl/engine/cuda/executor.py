"""Runs a program on a GPU: tables of a slice up, graphs of steps, results down.

A step's numbers (scalars, indices of its rows, counter of its random numbers) lie in tables. A graph of up to
`Sizes.steps` steps opens with a copy of its steps' rows of the tables to where its kernels read them, and closes with
a copy of what they logged. All launches of a graph are thus the same from run to run, and Python has nothing to do in
between. Once a step's gradients are not finite, nothing changes weights any more, and the run reports that step.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbdl.engine.cuda.base import LoadedKernel
from nbdl.engine.cuda.feed import device_dtype, feed
from nbdl.engine.cuda.kernel_text import KernelText, Pointer
from nbdl.engine.cuda.lowering import Lowering
from nbdl.engine.cuda.mirror import Mirror, of_block
from nbdl.engine.cuda.step_text import CLOSING_PARAMETERS, OPENING_PARAMETERS, closing_text, opening_text
from nbdl.engine.cuda.text import (
    COUNTER,
    CURSOR,
    FIRST,
    GPU,
    SEED_HIGH,
    SEED_LOW,
    SIMULATOR,
    STATE_WORDS,
    STATUS,
    STEP_WORDS,
    Argument,
    Launch,
    Sizes,
    divided,
)
from nbdl.engine.run import RunReport, RunTables, Words
from nbdl.engine.store import PLACES, Floats, Store, aligned_zeros
from nbdl.errors import ConfigError, DeviceError, NbdlError
from nbdl.program.language.explain import naming
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor

TABLE_WORDS = 1 << 22  # of a slice: longer ones are run in parts
MOST_STEPS = 4096
TF32_LIBRARY = 1 << 20  # multiplications
DIRECT = 2  # times that a step is launched before it is worth a graph


class CudaExecutor:
    """A program made ready to run on a GPU for up to `rows` rows a step; as `nbdl.engine.cpu.executor.CpuExecutor`.

    Args:
        runtime: of the device, or the simulator's.
        precision: "float32", or "tf32" for products of tensor cores, which takes cuBLAS.
        fuse: without it every operation is a launch of its own, for checked runs.
    """

    def __init__(
        self,
        program: Program,
        store: Store,
        max_rows: int,
        gathered: Sequence[str | None],
        slots: Floats | None,
        runtime: Any,
        precision: str = "float32",
        sizes: Sizes | None = None,
        fuse: bool = True,
    ) -> None:
        self.program, self.max_rows, self.runtime, self.tf32 = program, max_rows, runtime, precision == "tf32"
        if self.tf32 and not runtime.cublas:
            raise ConfigError("precision='tf32' needs cuBLAS, and none was found: pip install 'nbdl[cublas]'")
        self.sizes = sizes or (SIMULATOR if runtime.simulated else GPU)
        if self.tf32:  # own kernels have no tensor cores, so smaller products are worth the library
            self.sizes = replace(self.sizes, library=min(self.sizes.library, TF32_LIBRARY))
        self.dtypes = [device_dtype(kind) for kind in gathered]
        most = max((multiplications(operation, max_rows) for operation in program.operations), default=0)
        library = most >= self.sizes.library and bool(runtime.cublas)  # asking for cuBLAS takes 32 MiB of the device
        self.lowering = Lowering(program, max_rows, self.dtypes, store.trainable_size, self.sizes, library, fuse)
        self.store = store
        self.weights = {block.start: of_block(runtime, block) for block in store.blocks}
        self.slots = aligned_zeros(0) if slots is None else slots
        self.kept = Mirror(runtime, self.slots)
        self.trains = any(t.space in ("weight", "slot") for o in program.operations for t in o.outputs)
        self._lay_out()
        self.kernels = [self._kernel(launch) for launch in self.lowering.launches]
        threads = self.sizes.elementwise
        self._opening = runtime.kernel(KernelText("open", opening_text(threads), OPENING_PARAMETERS, threads))
        self._closing = runtime.kernel(KernelText("close", closing_text(threads), CLOSING_PARAMETERS, threads))
        self._feed: Any = None  # of the run that is under way
        self._known: Any = None  # a weak reference to the feed that the graphs read
        self._graphs: dict[tuple[int, int], Any] = {}
        self._launched: dict[int, int] = {}
        self._turn = 0

    def _kernel(self, launch: Launch) -> LoadedKernel | None:
        if launch.kernel is None:
            return None
        with naming(launch.operations) as attempt:
            attempt.text = launch.kernel.text
            kernel: LoadedKernel = self.runtime.kernel(launch.kernel)
        return kernel

    def _lay_out(self) -> None:
        """One arena: work area, tables of a slice, what a graph's steps read and log, results."""
        self.float_words, self.int_words = len(self.program.scalars), STEP_WORDS + self.max_rows
        self.log_words, output = max(1, self.program.log_width), self.program.output
        self.output_features = 0 if output is None else output.features
        words = self.float_words + self.int_words + self.log_words + self.max_rows * self.output_features
        self.capacity = max(1, min(MOST_STEPS, TABLE_WORDS // words))
        self.steps = min(self.sizes.steps, self.capacity)
        arena_plan = self.lowering.arena_plan
        floats = {
            "state": STATE_WORDS,
            "floats": self.capacity * self.float_words,
            "step_floats": self.steps * self.float_words,
            "ints": self.capacity * self.int_words,
            "step_ints": self.steps * self.int_words,
            "log": self.capacity * self.log_words,
            "step_log": self.steps * self.log_words,
            "output": self.capacity * self.max_rows * self.output_features,
            "constants": len(self.program.constants),
        }
        self._parts = {name: (arena_plan.take(size), size) for name, size in floats.items()}
        self.arena = self.runtime.allocate(4 * arena_plan.size)
        if self.program.constants:
            self._upload("constants", np.array(self.program.constants, np.float32))

    # -- weights and data -------------------------------------------------------------------------------

    def prepare(self, arrays: Sequence[Any]) -> Any:
        """The data of a run, put on the device; for `RunTables.sources`."""
        with self.runtime.lock:
            return feed(self.runtime, arrays, self.dtypes, self.steps * self.max_rows)

    def push(self) -> None:
        """Take the host's weights and slots if they have changed."""
        with self.runtime.lock:
            for mirror in (*self.weights.values(), self.kept):
                mirror.push()

    def pull(self) -> None:
        """Give the host the weights and slots of the device."""
        with self.runtime.lock:
            for mirror in (*self.weights.values(), self.kept):
                mirror.pull()

    def tuner(self, threads: int | None) -> None:
        """There are no threads to choose."""

    # -- running ----------------------------------------------------------------------------------------

    def run(self, tables: RunTables, threads: int | None = None) -> RunReport:
        """Run all steps, or up to the one whose gradients are not finite; it and later ones change no weights."""
        with self.runtime.lock:
            self._take(tables.sources)
            try:
                for first in range(0, len(tables.steps), self.capacity):
                    failed = self._run_part(tables, slice(first, first + self.capacity))
                    if failed is not None:
                        check = next(o for o in reversed(self.program.operations) if o.kind == "check")
                        return RunReport(first + failed, check)
            finally:
                self._feed = None
        return RunReport(len(tables.steps))

    def _take(self, sources: Any) -> None:
        """Begin a run on this data. Graphs go with the data that they read, whose memory they would keep."""
        if self._known is None or self._known() is not sources:
            self._graphs, self._launched = {}, {}
            self._known = weakref.ref(sources, self._forget)
        self._feed = sources
        if self.trains:
            for mirror in (*self.weights.values(), self.kept):
                mirror.changed = True

    def _forget(self, gone: Any) -> None:
        if gone is self._known:
            self._known, self._graphs = None, {}

    def _run_part(self, tables: RunTables, part: slice) -> int | None:
        """As many steps as the tables hold; the one that failed, or None."""
        steps = tables.steps[part]
        turns = self._turns(steps[:, 1])
        indices = row_indices(steps, self.max_rows)
        self._fill_tables(steps, tables.scalars[part], tables.seed, indices, turns)
        done = 0
        try:
            for number, (count, rows) in enumerate(turns):
                self._feed.provide(self._turn + number, indices[done : done + count, :rows])
                self._play(count, rows)
                self._feed.used(self._turn + number)
                done += count
        except BaseException:  # Ctrl-C may come before a launch is noted that still reads its half of the ring
            with suppress(DeviceError):
                self.runtime.synchronize()
            raise
        finally:
            self._turn += len(turns)
        return self._collect(tables, part)

    def _turns(self, rows: Words) -> list[tuple[int, int]]:
        """(steps, rows) of each launch: whole graphs while there are as many full batches, else single steps."""
        turns: list[tuple[int, int]] = []
        done = 0
        while done < len(rows):
            some = rows[done : done + self.steps]
            count = self.steps if len(some) == self.steps and bool((some == self.max_rows).all()) else 1
            turns.append((count, int(rows[done])))
            done += count
        return turns

    def _fill_tables(
        self, steps: Words, scalars: Floats, seed: int, indices: Words, turns: Sequence[tuple[int, int]]
    ) -> None:
        ints = np.zeros((len(steps), self.int_words), np.int32)
        ints[:, COUNTER] = (steps[:, 2] & 0xFFFFFFFF).astype(np.uint32).view(np.int32)
        ints[:, SEED_LOW], ints[:, SEED_HIGH] = np.array([seed & 0xFFFFFFFF, seed >> 32], np.uint32).view(np.int32)
        ints[:, FIRST] = np.cumsum(steps[:, 1]) - steps[:, 1]
        done = 0
        for number, (count, rows) in enumerate(turns):
            here = slice(done, done + count)
            ints[here, STEP_WORDS : STEP_WORDS + rows] = self._feed.positions(self._turn + number, indices[here, :rows])
            done += count
        self._upload("ints", ints)
        self._upload("floats", np.ascontiguousarray(scalars[:, : self.float_words], np.float32))
        self._upload("state", np.zeros(STATE_WORDS, np.int32))

    def _play(self, count: int, rows: int) -> None:
        """Some steps: as a graph where it pays, which is from the second time on for a single step."""
        key = count, rows
        self._launched[rows] = self._launched.get(rows, 0) + 1
        if key not in self._graphs and count == 1 and self._launched[rows] <= DIRECT:
            self._launch_steps(count, rows)
            return
        if key not in self._graphs:
            self._warm_products(rows)
            self._graphs[key] = self.runtime.capture(lambda: self._launch_steps(count, rows))
        self.runtime.replay(self._graphs[key])

    def _warm_products(self, rows: int) -> None:
        """Have cuBLAS choose and load its kernels, which is not for a capture. Between steps the work area is free."""
        for launch in self.lowering.launches:
            if launch.kernel is None:
                operands = [self._argument(one, rows, 0) for one in launch.arguments]
                self.runtime.warm(*operands, **launch.product(rows), tf32=self.tf32)

    def _launch_steps(self, count: int, rows: int) -> None:
        self._open(count)
        for position in range(count):
            for number in range(len(self.lowering.launches)):
                self._launch(number, rows, position)
        self._close(count)

    def _open(self, count: int) -> None:
        threads, words = self.sizes.elementwise, max(self.float_words, self.int_words)
        self.runtime.launch(
            self._opening, (divided(words, threads), count), (threads,),
            [self._at("state", "int32"), self._at("floats"), self._at("step_floats"), np.int32(self.float_words),
             self._at("ints", "int32"), self._at("step_ints", "int32"), np.int32(self.int_words), np.int32(count)],
        )  # fmt: skip

    def _close(self, count: int) -> None:
        self.runtime.launch(
            self._closing, (1,), (self.sizes.elementwise,),
            [self._at("state", "int32"), self._at("log"), self._at("step_log"), np.int32(self.log_words),
             np.int32(count)],
        )  # fmt: skip

    def _launch(self, number: int, rows: int, position: int) -> None:
        launch = self.lowering.launches[number]
        arguments = [self._argument(one, rows, position) for one in launch.arguments]
        if launch.kernel is None:
            self.runtime.product(*arguments, **launch.product(rows), tf32=self.tf32)
        else:
            self.runtime.launch(self.kernels[number], launch.grid(rows), launch.block, arguments)

    def _collect(self, tables: RunTables, part: slice) -> int | None:
        steps = tables.steps[part]
        log = np.empty((len(steps), self.log_words), np.float32)
        self._download("log", log)
        tables.log[part, : self.log_words] = log
        state = np.empty(STATE_WORDS, np.int32)
        self._download("state", state)
        if tables.output is not None and self.output_features:
            found = np.empty((int(steps[:, 1].sum()), self.output_features), np.float32)
            self._download("output", found)
            firsts = np.cumsum(steps[:, 1]) - steps[:, 1]
            for (to, rows), begin in zip(steps[:, :2], firsts, strict=True):
                tables.output[to : to + rows] = found[begin : begin + rows]
        if state[STATUS] == 0 and state[CURSOR] != len(steps):
            raise NbdlError(f"the GPU counted {state[CURSOR]} steps of {len(steps)}")
        return int(state[STATUS]) - 1 if state[STATUS] else None

    # -- addresses --------------------------------------------------------------------------------------

    def _at(self, name: str, dtype: str = "float32", start: int = 0, size: int | None = None) -> Pointer:
        """A part of the arena."""
        begin, whole = self._parts[name]
        return Pointer(self.arena, begin + start, whole - start if size is None else size, dtype)

    def _upload(self, name: str, array: NDArray[Any]) -> None:
        self.runtime.upload(self.arena, 4 * self._parts[name][0], array)

    def _download(self, name: str, array: NDArray[Any]) -> None:
        self.runtime.download(self.arena, 4 * self._parts[name][0], array)

    def _argument(self, argument: Argument, rows: int, position: int) -> Any:
        role, of = argument.role, argument.of
        if role == "tensor":
            return self.pointer(of, position)
        if role == "source":
            return self._feed.pointer(of)
        if role == "order":
            return self._at("step_ints", "int32", position * self.int_words + STEP_WORDS, self.max_rows)
        if role == "words":
            return self._at("step_ints", "int32", position * self.int_words, STEP_WORDS)
        if role == "state":
            return self._at("state", "int32")
        if role == "constant":
            return np.float32(self.program.constants[of])
        return np.int32({"rows": rows, "position": position}.get(role, of))

    def pointer(self, tensor: Tensor, position: int) -> Pointer:
        """Where a tensor lies for a step at a position of its graph."""
        size = tensor.features * (self.max_rows if tensor.batched else 1)
        space, arena_plan = tensor.space, self.lowering.arena_plan
        if space == "weight":
            place = tensor.offset & PLACES
            return self.weights[tensor.offset - place].pointer(place, size)
        if space == "slot":
            return self.kept.pointer(tensor.offset, size)
        if space == "constant":
            return self._at("constants", "float32", tensor.offset, size)
        if space == "scalar":
            return self._at("step_floats", "float32", position * self.float_words + tensor.offset, size)
        if space == "log":
            return self._at("step_log", "float32", position * self.log_words + tensor.offset, size)
        if space == "output":
            return self._at("output")
        offset = arena_plan.gradients + tensor.offset if space == "gradient" else arena_plan.offsets[id(tensor)]
        return Pointer(self.arena, offset, size)


def multiplications(operation: Operation, rows: int) -> int:
    """Multiplications of a product, 0 of anything else."""
    return math.prod(operation.product(rows)) if operation.kind == "gemm" else 0


def row_indices(steps: Words, most: int) -> Words:
    """The rows of each step, steps × `most`: those that the table points to, or one after another."""
    indices = np.zeros((len(steps), most), np.int64)
    addresses, rows = steps[:, 3], steps[:, 1]
    begin = 0
    while begin < len(steps):
        if addresses[begin] == 0:
            count = int(rows[begin])
            indices[begin, :count] = steps[begin, 0] + np.arange(count)
            begin += 1
            continue
        end = begin + 1  # full batches of one order lie side by side
        while end < len(steps) and rows[end - 1] == most and addresses[end] == addresses[end - 1] + 8 * most:
            end += 1
        count = int(rows[begin:end].sum())
        found = np.ctypeslib.as_array((ctypes.c_int64 * count).from_address(int(addresses[begin])))
        indices[begin:end].reshape(-1)[:count] = found
        begin = end
    return indices
