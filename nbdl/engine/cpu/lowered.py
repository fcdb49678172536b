"""LoweredProgram: a schedule as addresses and descriptors, in tables that the drivers read.

An executor is immutable once made; every run has its own frame and work area, so `predict` may be called from many
threads while nothing of it is shared but code and weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nbdl.engine.compiler import address, load
from nbdl.engine.cpu import layout
from nbdl.engine.cpu import texts as kernels
from nbdl.engine.cpu.driver import parallel_driver
from nbdl.engine.cpu.memory import plan_memory
from nbdl.engine.cpu.schedule import Chain, Partition
from nbdl.engine.cpu.threads import Tuner, usable_threads
from nbdl.engine.executor import HostMemory
from nbdl.engine.run import RunTables, Words
from nbdl.engine.store import Floats, Store, aligned_zeros
from nbdl.engine.trial import foreign
from nbdl.errors import NbdlError
from nbdl.program.language.explain import naming
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor, pattern

GUARD = 16  # floats between buffers in a checked run
PARALLEL_STAGE_US = 15.0


class LoweredProgram(HostMemory):
    """A program lowered to addresses and descriptors, for up to `max_rows` rows a step.

    Args:
        program: what to run.
        store: the weights it names.
        max_rows: the largest number of rows of a batch.
        gathered: dtype of each input that is gathered through indices, or None where the data is used itself.
        plain: one tile for everything and no memory used twice, for checked runs.
        whole: one tile for everything, for callers that run the operations themselves.
    """

    def __init__(
        self,
        program: Program,
        store: Store,
        max_rows: int,
        gathered: Sequence[str | None],
        slots: Floats | None = None,
        plain: bool = False,
        whole: bool = False,
    ) -> None:
        self.program, self.store, self.max_rows, self.gathered = program, store, max_rows, list(gathered)
        self.slots = aligned_zeros(0) if slots is None else slots
        self.constants = aligned_zeros(len(program.constants))
        self.constants[: len(program.constants)] = program.constants
        direct = {tensor.offset for tensor, dtype in zip(program.inputs, self.gathered, strict=True) if dtype is None}
        self._live = [o for o in program.operations if not (o.kind == "gather" and o.outputs[0].offset in direct)]
        running = Program(self._live, program.inputs, program.output, program.log, program.scalars,
                          program.constants, program.training)  # fmt: skip
        self.partition = Partition(running, max_rows, plain or whole)
        self.memory = plan_memory(running, self.partition, store.trainable_size, not plain, GUARD if plain else 0)
        self.slow: set[str] = set()
        self.listing: list[Operation] = []
        self._lower()
        self.foreign, self._tried = foreign(program), 0
        self._areas: list[Floats] = []
        self._tuners: dict[int, Tuner] = {}

    # -- lowering ---------------------------------------------------------------------------------------

    def _lower(self) -> None:
        stages: list[list[int]] = []
        tasks: list[list[int]] = []
        descriptors: list[list[int]] = []
        for stage in self.partition.stages:
            first = len(tasks)
            for chain in sorted(stage, key=lambda chain: -chain.cost(self.max_rows) / len(chain.tiles)):
                begin = len(descriptors)
                for operation in chain.operations:
                    descriptors.append(self._descriptor(operation, chain))
                    self.listing.append(operation)
                for tile in chain.tiles:
                    tasks.append([begin, len(descriptors), *tile, chain.block, 0])
            work = sum(chain.cost(self.max_rows) for chain in stage)
            stages.append([first, len(tasks), int(len(tasks) - first > 1 and work > PARALLEL_STAGE_US)])
        self.stages = np.array(stages, np.int64).reshape(-1, 3)
        self.tasks = np.array(tasks, np.int64).reshape(-1, layout.TASK_WORDS)
        self.ops = np.array(descriptors, np.int64).reshape(-1, layout.OP_WORDS)
        self.parallel = bool(self.stages[:, layout.STAGE_PARALLEL].any())

    def _descriptor(self, operation: Operation, chain: Chain) -> list[int]:
        """One row: kernel address, loop, operands (outputs first), and what else the kernel reads."""
        with naming([operation]) as attempt:
            attempt.text, operands, extra, slow = self._kernel(operation, chain)
            compiled = load(attempt.text)
        self.slow |= slow
        row = [address(compiled), -1 if operation.domain[0] is None else operation.domain[0], operation.domain[1]]
        for tensor, partial in operands:
            row += self._operand(tensor, partial)
        row += extra
        if len(row) > layout.OP_WORDS:
            raise NbdlError(f"{operation.layer}: {operation.title} has more operands than a kernel takes")
        return row + [0] * (layout.OP_WORDS - len(row))

    def _kernel(
        self, operation: Operation, chain: Chain
    ) -> tuple[str, list[tuple[Tensor | None, bool]], list[int], set[str]]:
        """Text, operands (and whether the partial result is meant), further words, slow functions."""
        kind, inputs, outputs = operation.kind, operation.inputs, operation.outputs
        partial = chain.split == "blocks"
        operands: list[tuple[Tensor | None, bool]] = [(t, partial and t in self.partition.partials) for t in outputs]
        operands += [(t, False) for t in inputs]
        patterns = [pattern(tensor, operation.domain) for tensor in inputs]
        if kind == "map":
            assert operation.function is not None
            text, slow = kernels.map_text(operation.function, patterns, len(outputs))
            return text, operands, [], slow
        if kind == "sum":
            assert operation.function is not None
            over, reduction = operation.attributes["over"], operation.attributes["reduction"]
            over = "column" if over == "rows" and operation.domain[1] == 1 else over
            text, slow = kernels.sum_text(operation.function, patterns, over, reduction)
            return text, operands, [], slow
        if kind == "gemm":
            text = kernels.gemm_text()
            return text, [*operands, *([(None, False)] * (3 - len(inputs)))], self._product(operation, partial), set()
        if kind == "combine":
            text, chunks = kernels.combine_text(operation.attributes["reduction"]), self.partition.partials[outputs[0]]
            return text, [(outputs[0], False), (outputs[0], True)], [chunks], set()
        if kind == "check":
            return kernels.check_text(), operands, [], set()
        if kind == "gather":
            source = operation.outputs[0].offset
            dtype = self.gathered[source]
            assert dtype is not None
            return kernels.gather_text(dtype), operands, [source], set()
        if kind == "uniform":
            return kernels.uniform_text(), operands, [operation.attributes["site"]], set()
        return kernels.kernel_text(operation), operands, kernels.kernel_sizes(operation), set()

    def _product(self, operation: Operation, split: bool) -> list[int]:
        a, b = operation.inputs[:2]
        m, _, k = operation.product(-1)

        def leading(tensor: Tensor) -> int:
            return tensor.features if tensor.batched else tensor.features // tensor.shape[0]

        transpose_a, transpose_b = operation.attributes["transpose_a"], operation.attributes["transpose_b"]
        a_row, a_step = (1, leading(a)) if transpose_a else (leading(a), 1)
        over_rows, bias = int(split and k == -1), int(len(operation.inputs) == 3)
        return [over_rows, m, k, a_row, a_step, leading(b), int(transpose_b), bias]

    def _operand(self, tensor: Tensor | None, partial: bool) -> list[int]:
        """(slot, byte offset), checked against the extent of its base."""
        if tensor is None or tensor.space == "index":
            return [0, 0]
        storage = tensor.storage
        if storage.space == "weight":
            return [layout.STORE, self.store.part(storage.offset, storage.features).ctypes.data - self.store.address]
        bases: dict[str, tuple[int, int, int]] = {
            "slot": (layout.SLOTS, storage.offset, self.slots.size),
            "constant": (layout.CONSTANTS, storage.offset, self.constants.size),
            "scalar": (layout.SCALARS, storage.offset, len(self.program.scalars)),
            "log": (layout.LOG, storage.offset, self.program.log_width),
            "batch": (layout.BATCH + storage.offset, 0, self.max_rows * storage.features),
            "output": (layout.OUTPUT, 0, self.max_rows * storage.features),
        }
        if partial:
            slot, offset, size = layout.WORK, self.memory.partial[id(tensor)], self.memory.size
        elif storage.space == "work":
            slot, offset, size = layout.WORK, self.memory.offsets[id(storage)], self.memory.size
        elif storage.space == "gradient":
            slot, offset, size = layout.WORK, self.memory.gradients + storage.offset, self.memory.size
        else:
            slot, offset, size = bases[storage.space]
        extent = storage.features * (self.max_rows if storage.batched else 1)
        if offset < 0 or offset + extent > size:
            raise NbdlError(f"engine: {tensor.describe()} at {offset}+{extent} lies outside its base of {size} floats")
        return [slot, 4 * offset]

    # -- running ----------------------------------------------------------------------------------------

    def frame_for(self, batches: RunTables, work: Floats) -> Words:
        """The frame of one run."""
        frame = np.zeros(layout.FRAME_WORDS, np.int64)
        frame[layout.STORE] = self.store.address
        frame[layout.SLOTS] = self.slots.ctypes.data
        frame[layout.WORK] = work.ctypes.data
        frame[layout.CONSTANTS] = self.constants.ctypes.data
        frame[layout.SEED_LOW], frame[layout.SEED_HIGH] = batches.seed & 0xFFFFFFFF, batches.seed >> 32
        frame[layout.INPUT_COUNT] = len(self.gathered)
        for number, (source, dtype) in enumerate(zip(batches.sources, self.gathered, strict=True)):
            frame[layout.SOURCE + number] = source.ctypes.data
            if dtype is None:
                frame[layout.STRIDE + number] = 4 * self.program.inputs[number].features
            elif number in self.memory.batch:  # else nothing reads it
                frame[layout.BATCH + number] = work.ctypes.data + 4 * self.memory.batch[number]
        if batches.output is not None and self.program.output is not None:
            frame[layout.OUTPUT_START] = batches.output.ctypes.data
            frame[layout.OUTPUT_STRIDE] = 4 * self.program.output.features
        return frame

    def tuner(self, threads: int | None) -> Tuner | None:
        """What chooses the number of threads from slice to slice, where there is a choice."""
        most = usable_threads(threads) if self.parallel else 1
        if most == 1:
            return None
        if most not in self._tuners:
            parallel_driver()  # made now, not within the first slice, whose time is taken
            self._tuners[most] = Tuner(most)
        return self._tuners[most]

    def poison(self) -> None:
        """Leave NaN in the next run's work area, for tests: what is read before it is written shows then."""
        work = self._borrow()
        work.fill(np.nan)
        self._areas.append(work)

    def _borrow(self) -> Floats:
        """A work area that nobody else uses; list.pop and append are atomic."""
        try:
            return self._areas.pop()
        except IndexError:
            return aligned_zeros(self.memory.size)
